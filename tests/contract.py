"""What every provider promises; each provider's test inherits `ProviderContract` and names the provider."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, cast, get_args
from urllib.parse import urlsplit

import pytest

from hoasi import settings
from hoasi.catalogue import PROVIDERS, Card, load
from hoasi.errors import NotSupported
from hoasi.given import Given, Input, Remote
from hoasi.planning import Site, plan_request
from hoasi.providers import REGISTRY, _provider, _settings, _workers, provider
from hoasi.providers._provider import CallsBack, Cancels, Follows, Provider, Publishes, Shares, Uploads, Watches
from hoasi.providers._settings import AddsHeaders, Heeds, Needs
from hoasi.providers._workers import HasWorkers
from hoasi.record import Operation, OptionValue, Role
from hoasi.records import Planned, Request

OPERATIONS = set(get_args(Operation))
"""What can be asked for today; cards of other operations only wait."""
ALWAYS = {"references", "reference", "scene"}
SITE = Site(job_id="job-1", output_dir="jobs/job-1/pictures")
HERE = (
    "https://proxy.example",
    "http://127.0.0.1:9",
    "http://localhost:9",
    "http://[::1]:9",
    "https://proxy.example/x",
)
NOT_HERE = (
    "http://proxy.example", "http://127.0.0.1.proxy.example", "http://192.168.0.1", "http://0.0.0.0", "ftp://127.0.0.1",
    "https://me:word@proxy.example", "https://proxy.example?to=x", "https://", "proxy.example", "http://127.0.0.1@x.example",
)  # fmt: skip


def picture(number: int = 1, role: Role = "reference", card: Card | None = None) -> Input:
    """An input as planning sees it: one that every model takes."""
    name = f"refs/{number}.png"
    medium = Given(role=role).medium
    limits = None if card is None else card.limits.get(medium)
    models = limits.models if limits is not None else ()
    remote = Remote(provider=card.provider, model=models[0], id="829001") if card is not None and models else None
    kind = {"image": "image/png", "video": "video/mp4", "audio": "audio/mpeg"}[medium]
    return Input(
        written=f"https://files.example/{number}" if medium == "video" else name,
        path=name,
        sha256=f"{number:064x}",
        media_type=kind,
        size_bytes=9,
        width=1280,
        height=720,
        role=role,
        medium=medium,
        duration_s=0.0 if medium == "image" else 6.0,
        faces=1,
        boxes=((0, 0, 400, 400),),
        face_sides=(300,),
        remote=remote,
    )


def operation_of(card: Card) -> str:
    """The first thing a card does that can be asked for."""
    return next(operation for operation in card.operations if operation in OPERATIONS)


MEANT: dict[str, list[Role]] = {
    "swap_face": ["source", "face"],
    "image_to_video": ["first_frame"],
    "extend_video": ["video"],
}
"""What an operation is about, where a card does several."""


def needed(card: Card, operation: str) -> list[Role]:
    """The roles without which this operation cannot be asked of a card."""
    meant = [role for role in MEANT.get(operation, []) if role in {"source", "face"} or role in card.accepts]
    return list(dict.fromkeys([*meant, *(cast("Role", role) for role in card.needs if role != "prompt")]))


def demanded(card: Card) -> dict[str, OptionValue]:
    """An option of each group of which a card forbids that all are missing."""
    names = [next(iter(pair)) for pair in card.forbids if not any(pair.values())]
    return {name: card.options[name].most or "a dog" for name in names if name in card.options}


def planned(card: Card, *, references: int = 0, roles: Sequence[Role] | None = None, **asked: object) -> Planned:
    """One plan for a card, with so many reference pictures and inputs of these roles (else those it needs)."""
    operation = str(asked.pop("operation", operation_of(card)))
    inputs = [
        picture(100 + k, role, card) for k, role in enumerate(needed(card, operation) if roles is None else roles)
    ]
    pictures = [picture(k, card=card) for k in range(references)]
    words = "a kite" if "prompt" in card.accepts else ""
    wanted = {"prompt": words, "provider": card.provider, "model": card.id, "operation": operation, **asked}
    wanted |= {"references": tuple(item.written for item in pictures)}
    wanted |= {"inputs": [Given(role=item.role, written=item.written) for item in inputs]}
    wanted |= {"options": {**demanded(card), **cast("dict[str, OptionValue]", asked.get("options", {}))}}
    request = Request.model_validate(wanted)
    return plan_request(request, load(card.provider), [*inputs, *pictures], SITE, request.prompt)[0]


def both(names: Sequence[str], value: str) -> dict[str, str]:
    """An environment in which keys of these names are set; `A+B` are two variables."""
    return {part: value for name in names for part in name.split("+")}


def told(environ: dict[str, str], root: Path, **dotenv: str) -> settings.Settings:
    """Settings of a process with this environment in a workspace with this `.env`."""
    (root / ".env").write_text("".join(f"{name}={value}\n" for name, value in dotenv.items()), encoding="utf-8")
    return settings.read(root, environ=environ)


KINDS = [
    kind
    for module in (_provider, _settings, _workers)
    for kind in vars(module).values()
    if getattr(kind, "_is_protocol", False) and kind.__module__ == module.__name__
]
"""Every protocol of a provider: what all can do, and what only some."""


def members(kind: type) -> set[str]:
    """The public names of a protocol, facts and methods."""
    return {name for name in {*inspect.get_annotations(kind), *vars(kind)} if not name.startswith("_")}


def called(kind: type, name: str) -> tuple[list[str], bool] | None:
    """How a method is called: what it is given, and whether it is waited for; None for a fact."""
    method = getattr(kind, name, None)
    return (list(inspect.signature(method).parameters), inspect.iscoroutinefunction(method)) if method else None


class ProviderContract:
    """Inherit, set `name`, and the promises of every provider are tested."""

    name: ClassVar[str]

    @property
    def maker(self) -> Provider:
        return provider(self.name)

    @property
    def cards(self) -> list[Card]:
        return [card for card in load(self.name).cards if OPERATIONS & set(card.operations)]

    def variable(self, role: str) -> str:
        """Name of the address override of a role."""
        return "_".join(["HOASI", self.name.upper(), *([role.upper()] if role else []), "URL"])

    def test_its_facts_are_there(self) -> None:
        """It is registered under its own name, has cards, places, a cap, fields, and a key page if it needs a key."""
        maker = self.maker
        assert (maker.name, self.name in REGISTRY, self.name in PROVIDERS) == (self.name, True, True)
        assert maker.concurrency >= 1
        assert set(maker.ways) <= {"image", "video", "audio"}
        assert all(ours and theirs for ours, theirs in maker.fields.items())
        assert "prompt" in maker.fields
        assert bool(maker.secrets) == maker.key_page.startswith("https://")
        assert list(maker.origins)[:1] in ([""], [])

    def test_the_default_models_can_be_used(self) -> None:
        """Each default is a card that does its operation and is not retired."""
        catalogue = load(self.name)
        assert catalogue.defaults
        for operation, models in catalogue.defaults.items():
            for model in models:
                assert operation in catalogue.card(model).operations
                assert catalogue.card(model).retired is None

    def test_what_a_card_accepts_can_be_sent(self) -> None:
        """No card claims a parameter that the provider has no field for."""
        for card in self.cards:
            asked = set(card.accepts) | set(card.options)
            if card.sizes.kind == "image_size":
                asked = asked - {"aspect_ratio"} | {"size"}
            assert asked <= set(self.maker.fields) | set(card.fields) | ALWAYS, card.id
            assert ("references" in asked) == (card.references > 0), card.id

    def test_what_planning_decides_can_be_sent(self) -> None:
        """The parameters of a plan that asks for everything a card takes all have a field."""
        for card in self.cards:
            if card.retired is None:
                for operation in OPERATIONS & set(card.operations):
                    sendable = set(self.maker.fields) | set(card.fields) | ALWAYS
                    assert set(fullest(card, operation).parameters) <= sendable, card.id

    def test_its_addresses_are_https(self) -> None:
        """The keys travel encrypted, to a host and nothing but a host; in clear on this machine only."""
        for url in self.maker.origins.values():
            parts = urlsplit(url)
            scheme = "https" if parts.hostname == "127.0.0.1" else parts.scheme
            assert (scheme, parts.username, parts.query, url[-1:] == "/") == ("https", None, "", False)
            assert parts.hostname

    def test_each_address_can_be_overridden_alone(self, tmp_path: Path) -> None:
        """`HOASI_<NAME>[_<ROLE>]_URL` moves one role; the others stay."""
        for role, url in self.maker.origins.items():
            said = told({self.variable(role): "https://proxy.example/"}, tmp_path)
            assert said.origin(self.name, role, url) == "https://proxy.example"
            for other, its in self.maker.origins.items():
                assert other == role or said.origin(self.name, other, its) == its

    def test_a_file_never_moves_an_address(self, tmp_path: Path) -> None:
        """A `.env` in somebody's workspace cannot send the key elsewhere, nor switch to a sandbox."""
        for role, url in self.maker.origins.items():
            said = told({}, tmp_path, **{self.variable(role): "https://evil.example", "HOASI_SANDBOX": "1"})
            assert said.origin(self.name, role, url) == url

    @pytest.mark.parametrize("address", HERE)
    def test_an_address_may_be_https_or_loopback(self, address: str, tmp_path: Path) -> None:
        """Any https host, and plain http on this machine."""
        for role, url in self.maker.origins.items():
            assert told({self.variable(role): address}, tmp_path).origin(self.name, role, url) == address

    @pytest.mark.parametrize("address", NOT_HERE)
    def test_no_other_address_is_taken(self, address: str, tmp_path: Path) -> None:
        """Plain http to another machine, names in addresses, queries and nonsense are refused by name."""
        for role, url in self.maker.origins.items():
            with pytest.raises(NotSupported) as refused:
                told({self.variable(role): address}, tmp_path).origin(self.name, role, url)
            assert refused.value.facts == {"name": self.variable(role)}

    def test_keys_are_looked_for_in_their_order(self, tmp_path: Path) -> None:
        """The first declared name that is set wins; the process comes before the file; blank is not set."""
        names = self.maker.secrets
        for number, name in enumerate(names):
            rest = {part: key for later in names[number:] for part, key in both([later], f"key of {later}").items()}
            parts = 1 + name.count("+")
            blank = both(names[:number], " ")
            assert told({**blank, **rest}, tmp_path).secret(names) == "\n".join([f"key of {name}"] * parts)
            process = told(both([name], "process"), tmp_path, **both([name], "file"))
            assert process.secret(names) == "\n".join(["process"] * parts)
            assert told({}, tmp_path, **both([name], "file")).secret(names) == "\n".join(["file"] * parts)
        assert told({}, tmp_path).secret(names) is None

    def test_the_sandbox_never_gets_a_real_key(self, tmp_path: Path) -> None:
        """With `HOASI_SANDBOX` every role is the sandbox, and the key is a dummy."""
        said = told({"HOASI_SANDBOX": "1", **both(self.maker.secrets, "real")}, tmp_path)
        assert said.secret(self.maker.secrets) == "sandbox:sandbox"
        assert {said.origin(self.name, role, url) for role, url in self.maker.origins.items()} <= {said.sandbox_url}

    def test_the_key_travels_in_a_header(self) -> None:
        """`auth` puts the whole key into headers, whose names are lower-case; without secrets there is nothing."""
        headers = self.maker.auth("the-key")
        assert bool(self.maker.secrets) == any("the-key" in value for value in headers.values())
        assert all(name == name.lower() for name in headers)

    def test_what_it_can_do_fits_together(self) -> None:
        """Whoever polls collects and attaches; only who gives receipts watches or cancels; uploads live a while."""
        maker = self.maker
        assert isinstance(maker, Follows) == hasattr(maker, "poll")
        assert isinstance(maker, Follows) or not isinstance(maker, Watches | Cancels)
        assert not isinstance(maker, Uploads) or maker.upload_life_s > 0
        assert isinstance(maker, Uploads) == ("upload" in maker.ways.values())
        assert isinstance(maker, Heeds) or not isinstance(maker, Needs | AddsHeaders | HasWorkers)
        assert not isinstance(maker, Heeds) or maker.variables
        assert isinstance(maker, CallsBack) == (isinstance(maker, Shares) != isinstance(maker, Publishes))
        assert not isinstance(maker, Shares) or maker.callback_secrets

    def test_it_has_what_is_asked_for_and_nothing_else(self) -> None:
        """Each public name belongs to a protocol that is there as a whole, and is called as that says."""
        kinds = [kind for kind in KINDS if kind is Provider or isinstance(self.maker, kind)]
        known = {name: called(kind, name) for kind in kinds for name in members(kind)}
        assert {name for name in dir(self.maker) if not name.startswith("_")} == set(known)
        for name, way in known.items():
            assert way is None or called(type(self.maker), name) == way, name

    def test_a_receipt_found_by_hand_is_json(self) -> None:
        """What a person pastes becomes a receipt that survives the ledger, blanks removed."""
        if isinstance(self.maker, Follows):
            card = next(card for card in self.cards if card.retired is None)
            plan = planned(card, references=int(card.needs_references))
            receipt = self.maker.attach(plan, "  abc-123\n").receipt
            assert json.loads(json.dumps(receipt)) == receipt
            assert "abc-123" in receipt.values()


def fullest(card: Card, operation: str | None = None, *, references: int | None = None) -> Planned:
    """A plan that uses everything a card takes for an operation, as far as it goes together."""
    operation = operation or operation_of(card)
    asked: dict[str, Any] = {"operation": operation, "seed": 0, "scene": {"id": "SC_01"}}
    asked |= {"num_images": card.max_images}
    asked |= {"resolution": card.resolutions[-1]} if card.resolutions else {}
    asked |= {"output_format": card.formats[-1]} if card.formats else {}
    asked |= {"aspect_ratio": "9:16"} if card.sizes.kind != "none" else {}
    asked |= {"negative_prompt": "text"} if "negative_prompt" in card.accepts else {}
    room = card.references - (2 if operation == "swap_face" else 0)
    references = room if references is None else references
    while True:
        try:
            return planned(card, references=references, **asked)
        except NotSupported as refused:
            if refused.key != "forbidden_together":
                raise
            error = refused
        for name in ("negative_prompt", "aspect_ratio", "resolution"):
            if name in str(error.facts["values"]) and asked.pop(name, None) is not None:
                break
        else:
            raise error
