"""LoRA policy: order, strengths and limits, as a small pure function."""

from __future__ import annotations

import pytest

from hoasi.comfy.loras import Wanted, model_urls, must_be_one, notes, placed, stack
from hoasi.errors import WrongInput
from hoasi.messages import speak

FILM = Wanted(name="FILM-V3-FLUX", weight=1.0)


def cast(count: int, weight: float | None = None) -> list[Wanted]:
    return [Wanted(name=f"person_{n}", weight=weight) for n in range(count)]


@pytest.mark.parametrize(
    ("count", "person", "film"), [(0, None, 1.0), (1, 0.85, 0.95), (2, 0.75, 0.85), (3, 0.65, 0.75), (8, 0.65, 0.75)]
)
def test_strengths_fall_with_the_number_of_characters(count: int, person: float | None, film: float) -> None:
    """Characters: 0.85, 0.75, 0.65; film: 1.0, 0.95, 0.85, 0.75; the style keeps its weight; clip as model."""
    found = stack(Wanted(name="style", weight=0.9), cast(count), FILM)
    assert [lora.strength_model for lora in found] == [0.9, *[person] * count, film]
    assert [lora.strength_clip for lora in found] == [lora.strength_model for lora in found]
    assert [lora.name for lora in found] == [
        "style.safetensors",
        *(f"person_{n}.safetensors" for n in range(count)),
        "FILM-V3-FLUX.safetensors",
    ]


def test_a_weight_is_multiplied() -> None:
    """character_lora_strength x factor, cine_lora_strength x factor."""
    found = stack(None, cast(2, 0.85), Wanted(name="FILM-V3-FLUX", weight=0.5))
    assert [lora.strength_model for lora in found] == [0.6375, 0.6375, 0.425]


def test_ten_are_the_most() -> None:
    """Ten LoRAs pass, eleven are an error that says both numbers."""
    assert len(stack(Wanted(name="style"), cast(8), FILM)) == 10
    with pytest.raises(WrongInput) as refused:
        stack(Wanted(name="style"), cast(9), FILM)
    assert (refused.value.key, refused.value.facts) == ("too_many_loras", {"count": 11, "limit": 10})


def test_a_weight_of_zero_leaves_out_and_is_not_counted() -> None:
    """A style without film (0.0) brings none; a character of 0 makes the others no weaker."""
    people = [*cast(1), Wanted(name="gone", weight=0.0)]
    found = stack(Wanted(name="style", weight=0.0), people, Wanted(name="FILM-V3-FLUX", weight=0.0))
    assert [(lora.name, lora.strength_model) for lora in found] == [("person_0.safetensors", 0.85)]


@pytest.mark.parametrize("name", ["a", "a.safetensors", "a.SAFETENSORS", " a ", "v1.5"])
def test_the_suffix_is_added_where_it_is_missing(name: str) -> None:
    """Once, and whatever its case."""
    file = stack(Wanted(name=name))[0].name
    assert file.lower().count(".safetensors") == 1
    assert file.lower().endswith(".safetensors")
    assert file.startswith(name.strip())


@pytest.mark.parametrize(
    "name", ["", "  ", "film/x", "film\\x", "../x", "..", "x..y", "/x", "a\nb", "a\x00", "C:\\x", "\x7f", "x" * 201]
)
def test_a_name_that_is_a_path_is_refused(name: str) -> None:
    """No folder, no parent, no control character; nothing is cut off silently."""
    for wish in ({"style": Wanted(name=name)}, {"characters": [Wanted(name=name)]}, {"film": Wanted(name=name)}):
        with pytest.raises(WrongInput) as refused:
            stack(**wish)  # type: ignore[arg-type]
        assert refused.value.key == "lora_name_bad"


@pytest.mark.parametrize("file", ["x.safetensors", "film/x.safetensors", "film\\x.safetensors", "a/b/x.safetensors"])
def test_a_bare_name_is_the_file_that_the_server_lists(file: str) -> None:
    """With the server's own separator, and its strengths as they were; what only ends alike is another file."""
    loras = stack(Wanted(name="x", weight=0.5))
    found = placed(loras, (file, "film/ax.safetensors", "y.safetensors"))
    assert found == (loras[0].model_copy(update={"name": file}),)
    assert placed(loras, ("ax.safetensors", "x.safetensors/y")) == loras


def test_a_bare_name_in_several_folders_is_refused() -> None:
    """Unless one lies in no folder: then that is what its name says."""
    loras, both = stack(Wanted(name="x")), ("b/x.safetensors", "a/x.safetensors")
    assert placed(loras, both) == loras
    with pytest.raises(WrongInput) as refused:
        must_be_one(loras, both)
    told = {"name": "x.safetensors", "files": "a/x.safetensors, b/x.safetensors"}
    assert (refused.value.key, refused.value.facts) == ("lora_in_folders", told)
    must_be_one(loras, ("a/x.safetensors", "x.safetensors"))


@pytest.mark.parametrize("weight", [10.01, -11.0, float("inf"), float("nan")])
def test_a_strength_that_no_node_takes_is_refused(weight: float) -> None:
    """Between -10 and 10, and a number."""
    with pytest.raises(WrongInput) as refused:
        stack(Wanted(name="x", weight=weight))
    assert refused.value.key == "lora_strength_bad"
    assert stack(Wanted(name="x", weight=-10.0))[0].strength_model == -10.0


def test_one_that_stands_twice_is_noted() -> None:
    """It is hung in as asked for, and said once."""
    speak("en")
    found = stack(Wanted(name="a"), [Wanted(name="a.safetensors"), Wanted(name="b")])
    assert len(found) == 3
    assert [note for note in notes(found) if "a.safetensors" in note] == list(notes(found))
    assert len(notes(found)) == 1
    speak("vi")


def test_own_addresses_go_to_workers_that_fetch() -> None:
    """`model_urls` holds file and address of each LoRA that has one, once."""
    own = Wanted(name="own", url="https://models.example/own.safetensors?token=1")
    assert model_urls(stack(own, [own, Wanted(name="there")])) == (
        {"id": "own.safetensors", "url": "https://models.example/own.safetensors?token=1"},
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://x.example/a",
        "ftp://x",
        "https://",
        "file:///etc/passwd",
        "https://me:pw@x.example/a",
        "https://[/a",
        "https://x.example/a b",
    ],
)
def test_an_address_that_is_not_public_https_is_refused(url: str) -> None:
    """Its text is not repeated: it may hold a token."""
    with pytest.raises(WrongInput) as refused:
        stack(Wanted(name="x", url=url))
    assert (refused.value.key, refused.value.facts) == ("lora_url_bad", {"name": "x.safetensors"})
