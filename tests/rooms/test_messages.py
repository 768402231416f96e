"""Ground floor: every sentence that the sources say exists, in both languages, with the facts it needs."""

from __future__ import annotations

import ast
import re
import string
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

import hoasi
from hoasi import errors
from hoasi.messages import LANGUAGES, catalogue, explain, money, say, speak
from hoasi.records import Problem

HOUSE = Path(hoasi.__file__).parent
TAKEN = {"detail", "paid", "retry", "retry_after_s"}
"""What an error's constructor keeps for itself: no fact of a sentence."""
SILENT = {"lost_ownership"}
"""Never reaches a reader: the engine's own affair."""
ERRORS = {name for name, leaf in vars(errors).items() if isinstance(leaf, type) and issubclass(leaf, errors.HoasiError)}


def calls(*names: str) -> Iterator[tuple[str, ast.Call]]:
    """Every call in the sources of one of these names, with where it stands."""
    for path in sorted(HOUSE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="ascii"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in names:
                yield f"{path.relative_to(HOUSE)}:{node.lineno}", node


def literal(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def facts(call: ast.Call) -> set[str] | None:
    """The facts that a call passes by name; None where it passes others too."""
    names = [word.arg for word in call.keywords]
    return None if None in names else {name for name in names if name}


def fields(text: str) -> set[str]:
    """The facts that a sentence needs."""
    return {name.partition(".")[0] for _, name, _, _ in string.Formatter().parse(text) if name is not None}


SAID = [(where, key, call) for where, call in calls("say") if call.args and (key := literal(call.args[0]))]
RAISED = [
    (where, key, facts(call))
    for where, call in calls(*ERRORS)
    if call.args and (key := literal(call.args[0])) and key not in SILENT
]
PROBLEMS = [
    (where, key, call)
    for where, call in calls("Problem")
    if (key := literal(next((word.value for word in call.keywords if word.arg == "key"), None)))
]


def test_there_is_something_to_check() -> None:
    """The search finds what is known to be there: these tests are not empty."""
    assert {"WrongInput", "PaymentUnknown", "HoasiError"} <= ERRORS
    assert "prompt_empty" in {key for _, key, _ in RAISED}
    assert "price.unknown" in {key for _, key, _ in SAID}
    assert "abandoned" in {key for _, key, _ in PROBLEMS}
    assert (len(RAISED) > 80, len(SAID) > 60) == (True, True)


def test_both_languages_have_the_same_keys() -> None:
    """No sentence is missing in one of them."""
    vi, en = (set(catalogue(language)) for language in LANGUAGES)
    assert vi ^ en == set()


def test_both_languages_tell_the_same_facts() -> None:
    """Each sentence needs the same facts in both."""
    vi, en = catalogue("vi"), catalogue("en")
    unequal = {key for key in vi if fields(vi[key]) != fields(en[key])}
    assert unequal == set()


def test_each_error_has_a_text_and_a_fix() -> None:
    """Whoever says what is wrong also says how to mend it."""
    for language in LANGUAGES:
        keys = {key.rpartition(".")[0] for key in catalogue(language) if key.startswith("error.")}
        wanted = {f"{key}.{part}" for key in keys for part in ("text", "fix")}
        assert wanted == {key for key in catalogue(language) if key.startswith("error.")}
        assert [key for key in wanted if not catalogue(language)[key].strip()] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_that_is_said_exists(language: str) -> None:
    """Each literal key of `say` is in the catalogue."""
    assert [(where, key) for where, key, _ in SAID if key not in catalogue(language)] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_error_that_is_raised_exists(language: str) -> None:
    """Each literal key of an error or a problem has its text and its fix."""
    keys = [(where, key) for where, key, _ in [*RAISED, *PROBLEMS]]
    known = catalogue(language)
    missing = [found for found in keys if not {f"error.{found[1]}.text", f"error.{found[1]}.fix"} <= set(known)]
    assert missing == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_gets_its_facts(language: str) -> None:
    """Where the facts are named in the call, none that the sentence needs is missing."""
    known = catalogue(language)
    lacking = [
        (where, key, fields(known[key]) - given)
        for where, key, call in SAID
        if (given := facts(call)) is not None and not fields(known.get(key, "")) <= given
    ]
    assert lacking == []


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("part", ["text", "fix"])
def test_every_error_gets_its_facts(language: str, part: str) -> None:
    """Text and fix of an error need no more than its constructor is given; what the error keeps itself is no fact."""
    known = catalogue(language)
    lacking = [
        (where, key, needed - given)
        for where, key, passed in RAISED
        if passed is not None
        and not (needed := fields(known.get(f"error.{key}.{part}", ""))) <= (given := passed - TAKEN)
    ]
    assert lacking == []


def words(text: str) -> list[str]:
    """The words of a sentence without its facts and signs."""
    return re.findall(r"[^\W\d_]+", re.sub(r"[{][^}]*[}]", " ", text))


def has_diacritic(text: str) -> bool:
    """Whether a letter in it carries a Vietnamese sign."""
    return any(
        letter in "\u0111\u0110" or (letter.isalpha() and len(unicodedata.normalize("NFD", letter)) > 1)
        for letter in text
    )


def test_vietnamese_is_written_with_its_signs() -> None:
    """Every sentence of more than three words holds a letter with a diacritic."""
    bare = {key: text for key, text in catalogue("vi").items() if len(words(text)) > 3 and not has_diacritic(text)}
    assert bare == {}


def test_vietnamese_is_composed() -> None:
    """Letters are single characters (NFC), so that searching and counting work."""
    assert [key for key, text in catalogue("vi").items() if not unicodedata.is_normalized("NFC", text)] == []


def test_english_is_english() -> None:
    """No sentence was left in Vietnamese."""
    assert [key for key, text in catalogue("en").items() if has_diacritic(text)] == []


def test_the_language_is_chosen_and_falls_back_to_vietnamese() -> None:
    """`vi` unless `en` was chosen; anything else is Vietnamese."""
    for chosen, spoken in (("en", "en"), ("vi", "vi"), ("fr", "vi"), ("", "vi")):
        speak(chosen)
        assert say("money.unknown") == catalogue(spoken)["money.unknown"]
    speak("vi")


@pytest.mark.parametrize(
    ("usd", "shown"),
    [(0.0, "$0"), (0.039, "$0.039"), (1.5, "$1.5"), (10, "$10"), (0.00004, "$0"), (2.34567, "$2.3457")],
)
def test_money_is_short(usd: float, shown: str) -> None:
    """At most four digits after the point, no empty ones."""
    assert money(usd) == shown
    assert money(None) == say("money.unknown")


def test_an_error_becomes_what_a_reader_needs() -> None:
    """Kind, key, both sentences, whether it was paid, whether to try again, and the provider's words."""
    refused = errors.ProviderRefused(
        "refused", provider="fal", status=422, detail="too tall https://x.example/a?sign=1"
    )
    view = explain(Problem.model_validate(refused.problem().model_dump(mode="json")))
    assert (view.kind, view.key, view.paid, view.retry) == ("ProviderRefused", "refused", "no", "no")
    assert view.detail == "too tall https://x.example/a"
    assert "fal" in view.message
    assert view.fix
