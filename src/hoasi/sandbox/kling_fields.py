"""Room: sandbox. What each of Kling's endpoints takes, and what is wrong with a body.

`kling_fields.toml` holds forms by name. `takes` of an endpoint lists its fields: `name*` is required, `name~2` takes
another form of that name. A form is `text` (the default), `number`, `integer`, `boolean`, `link`, `object` or `list`
(with `members`), `picture`, `clip` or `sound` (`kling_media` looks at these), or an `enum`; `from` and `to` bound
numbers, `least` and `most` lengths. `by` of a list names the member that tells its items apart: rules may then speak of
`list.word`. Rules are explained in the file; what no table can say has a name in `checks`.
"""

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

Form = Mapping[str, Any]
Makes = Literal["images", "clip", "faces"]
Generation = Literal["v1", "new"]
_EVERY = "callback_url external_task_id watermark_info"
_MEDIA = frozenset({"picture", "clip", "sound"})


@dataclass(frozen=True)
class Rule:
    """Where all of `when` holds, all of `then` must; `say` is the answer if not."""

    when: Mapping[str, Any]
    then: Mapping[str, Any]
    say: str

    def is_broken(self, facts: Mapping[str, Any]) -> bool:
        """Say whether a body, as `Endpoint.facts` tells of it, breaks the rule."""
        return _holds(self.when, facts) and not _holds(self.then, facts)


@dataclass(frozen=True)
class Medium:
    """A picture, clip or sound that a body refers to: where it stands, what it is, and its URL or base64."""

    where: str
    form: Form
    value: str

    @property
    def kind(self) -> str:
        """Return `picture`, `clip` or `sound`."""
        return str(self.form["type"])


@dataclass(frozen=True)
class Endpoint:
    """One endpoint of either generation. `model` is set where it stands in the path (the new standard)."""

    path: str
    generation: Generation
    makes: Makes
    forms: Mapping[str, Form]
    rules: tuple[Rule, ...]
    checks: tuple[str, ...]
    model: str = ""

    @property
    def name(self) -> str:
        """Return the name under which it is counted and under which faults find it."""
        return f"kling/{self.path}/{self.model}" if self.model else f"kling/{self.path}"

    def unknown(self, body: Mapping[str, Any]) -> list[str]:
        """List fields that the endpoint does not know, also those inside objects, as `settings.seed`."""
        return list(_unknown(self.forms, body, ""))

    def filled(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a well-formed body without nulls and unknown fields, with defaults."""
        return _filled(self.forms, body)

    def facts(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a filled body as rules see it: members as `object.member`, items of a list as `list.word`."""
        return {"model": self.model, **body, **dict(_flat(self.forms, body))}

    def misshapen(self, body: Mapping[str, Any]) -> Iterator[str]:
        """Yield what is wrong with single fields."""
        yield from _wrong_members(self.forms, body, "")

    def broken(self, body: Mapping[str, Any]) -> Iterator[str]:
        """Yield the rules that a filled body breaks."""
        facts = self.facts(body)
        yield from (rule.say for rule in self.rules if rule.is_broken(facts))

    def media(self, body: Mapping[str, Any]) -> list[Medium]:
        """List the pictures, clips and sounds of a filled body, in the order in which it names them."""
        return list(_media(self.forms, body, ""))


@cache
def table() -> Mapping[str, Any]:
    """Return what stands in `kling_fields.toml`."""
    return tomllib.loads(files(__package__).joinpath("kling_fields.toml").read_text(encoding="ascii"))


@cache
def v1_endpoints() -> Mapping[str, Endpoint]:
    """Return the endpoints below `/v1/` by path."""
    return {path: _endpoint("v1", path, row, "") for path, row in table()["v1"].items()}


@cache
def new_endpoints() -> Mapping[tuple[str, str], Endpoint]:
    """Return the endpoints of the new standard by capability and model."""
    rows = table()["new"].items()
    return {(path, model): _endpoint("new", path, row, model) for path, row in rows for model in row["models"]}


def _endpoint(generation: Generation, path: str, row: Mapping[str, Any], model: str) -> Endpoint:
    words = row["takes"].split()
    if generation == "v1" and row["makes"] != "faces":
        words += _EVERY.split()
    forms = {_named(word): _form(word, row) for word in words}
    if generation == "v1" and row["models"]:
        forms["model_name"] = {"enum": row["models"], "default": row["models"][0]}
    rules = tuple(Rule(**table()["rules"][name]) for name in row.get("rules", ()))
    return Endpoint(path, generation, row["makes"], forms, rules, tuple(row.get("checks", ())), model)


def _named(word: str) -> str:
    name = word.rstrip("*").split("~")[0]
    return f"{name}*" if word.endswith("*") else name


def _form(word: str, row: Mapping[str, Any]) -> Form:
    if word.startswith("contents"):
        parts = {name: table()["parts"][name] for name in row["contents"]}
        return {"type": "list", "by": "type", "least": 1, "kinds": parts}
    form: Form = table()["forms"][word.rstrip("*")]
    return form


def _holds(conditions: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    return all(_is_so(wanted, facts.get(name)) for name, wanted in conditions.items())


def _is_so(wanted: object, value: Any) -> bool:
    match wanted:
        case bool():
            return (value not in (None, "", [], {})) is wanted
        case list():
            return value in wanted
        case {"least": int(least), "most": int(most)}:
            return least <= _count(value) <= most
        case {"most": int(most)}:
            return _count(value) <= most
    return False


def _count(value: Any) -> int:
    return sum(map(bool, value.values() if isinstance(value, dict) else value or ()))


def _members(form: Form, value: Any) -> Mapping[str, Form]:
    """Return the members that an object or an item of a list may have; in `contents` its type decides."""
    if "kinds" not in form:
        members: Mapping[str, Form] = form.get("members", {})
        return members
    kind = value.get("type") if isinstance(value, dict) else None
    return {"type*": {"enum": list(form["kinds"])}, **form["kinds"].get(kind if isinstance(kind, str) else "", {})}


def _plain(forms: Mapping[str, Form]) -> dict[str, Form]:
    return {name.rstrip("*"): form for name, form in forms.items()}


def _inner(form: Form, value: Any) -> list[tuple[str, Any]]:
    """Return the objects inside a field, each with the suffix of its place."""
    match form.get("type"):
        case "object" if isinstance(value, dict):
            return [("", value)]
        case "list" if isinstance(value, list):
            return [(f"[{index}]", item) for index, item in enumerate(value) if isinstance(item, dict)]
    return []


def _unknown(forms: Mapping[str, Form], body: Mapping[str, Any], place: str) -> Iterator[str]:
    known = _plain(forms)
    for name, value in body.items():
        if name not in known:
            yield place + name
            continue
        for _, inner in _inner(known[name], value):
            yield from _unknown(_members(known[name], inner), inner, f"{place}{name}.")


def _filled(forms: Mapping[str, Form], body: Mapping[str, Any]) -> dict[str, Any]:
    full: dict[str, Any] = {}
    for name, form in _plain(forms).items():
        value = body.get(name)
        if value is None:
            value = {} if form.get("type") == "object" and name == "settings" else form.get("default")
        inner = [_filled(_members(form, item), item) for _, item in _inner(form, value)]
        if inner:
            value = inner if isinstance(value, list) else inner[0]
        if value is not None:
            full[name] = value
    return full


def _flat(forms: Mapping[str, Form], body: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, form in _plain(forms).items():
        match body.get(name):
            case dict(members):
                yield from ((f"{name}.{member}", value) for member, value in members.items())
            case list(items) if "by" in form:
                words = {item.get(form["by"]) for item in items} - {None}
                yield from ((f"{name}.{word}", [i for i in items if i.get(form["by"]) == word]) for word in words)


def _media(forms: Mapping[str, Form], body: Mapping[str, Any], place: str) -> Iterator[Medium]:
    known = _plain(forms)
    for name in (name for name in known if name in body):
        form, value = known[name], body[name]
        if form.get("type") in _MEDIA:
            yield Medium(place + name, form, value)
        for suffix, inner in _inner(form, value):
            yield from _media(_members(form, inner), inner, f"{place}{name}{suffix}.")


def _wrong_members(forms: Mapping[str, Form], body: Mapping[str, Any], place: str) -> Iterator[str]:
    for name, form in forms.items():
        plain = name.rstrip("*")
        value = body.get(plain)
        if value is not None:
            yield from _wrong(form, value, place + plain)
        elif name.endswith("*"):
            yield f"{place}{plain} is required"


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: dict[str, tuple[Callable[[object], bool], str]] = {
    "number": (_is_number, "a number"),
    "integer": (_is_integer, "an integer"),
    "boolean": (lambda v: isinstance(v, bool), "a boolean"),
    "object": (lambda v: isinstance(v, dict), "an object"),
    "list": (lambda v: isinstance(v, list), "a list"),
    "link": (lambda v: isinstance(v, str) and v.startswith(("http://", "https://")), "an http(s) URL"),
}
_TEXT: tuple[Callable[[object], bool], str] = (lambda v: isinstance(v, str), "a string")


def _wrong(form: Form, value: Any, where: str) -> Iterator[str]:
    if "enum" in form:
        if value not in form["enum"] or isinstance(value, bool):
            yield f"{where} must be one of {_listed(form['enum'])}"
        return
    fits, noun = _TYPES.get(form.get("type", "text"), _TEXT)
    if not fits(value):
        yield f"{where} must be {noun}"
        return
    yield from _outside(form, value, where)
    for suffix, inner in _inner(form, value):
        yield from _wrong_members(_members(form, inner), inner, f"{where}{suffix}.")
    if form.get("type") == "list" and not all(isinstance(item, dict) for item in value):
        yield f"{where} must be a list of objects"


def _outside(form: Form, value: Any, where: str) -> Iterator[str]:
    least, most = form.get("from", form.get("least")), form.get("to", form.get("most"))
    size = value if _is_number(value) else len(value) if isinstance(value, str | list) else 0
    noun = "" if _is_number(value) else "length of "
    if least is not None and size < least:
        yield f"{noun}{where} must be at least {least}"
    if most is not None and size > most:
        yield f"{noun}{where} must be at most {most}"


def _listed(words: Sequence[object]) -> str:
    return ", ".join(map(str, words))
