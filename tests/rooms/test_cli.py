"""The command line's words: what it takes, what it refuses, and that `--json` is one object whatever happens."""

from __future__ import annotations

import json
import re
import shlex
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from hoasi.answers import Entry, Reply
from hoasi.catalogue import PROVIDERS
from hoasi.choosing import DEFAULT_PROVIDER
from hoasi.cli import words as word_rules
from hoasi.cli.answer import Answer, made
from hoasi.cli.app import app
from hoasi.cli.frame import Command, Root
from hoasi.cli.lines import clean, entry_lines
from hoasi.cli.show import _spent
from hoasi.messages import LANGUAGES, catalogue, explain, say, speak
from hoasi.records import Problem, State

SECRET = "id-5f3c9a:secret-7d1e2b"
DIACRITICS = re.compile("[\u00c0-\u1ef9]")
PLAN = "jobs/job-1/source/creative_plan.toml"


@pytest.fixture(autouse=True)
def in_vietnamese() -> None:
    speak("vi")


def hoasi(*words: str, env: dict[str, str] | None = None, program: typer.Typer = app) -> Result:
    return CliRunner().invoke(program, list(words), env=env)


def one_object(result: Result) -> dict[str, Any]:
    """Standard output is one JSON object on one line and nothing else; the promised keys are there."""
    assert result.stdout.count("\n") == 1, result.stdout
    answer: dict[str, Any] = json.loads(result.stdout)
    assert {"generations", "warnings", "message", "error"} <= answer.keys()
    return answer


# ---------------------------------------------------------------------- usage errors

WRONG = [
    ("--json", "usage_command_missing"),
    ("paint --json", "usage_command_unknown"),
    ("--json --fast list", "usage_option_unknown"),
    ("generate --json --promt x", "usage_option_unknown"),
    ("generate --json --prompt", "usage_value_missing"),
    ("generate --prompt --json", "usage_value_missing"),
    ("generate --json=yes --prompt x", "usage_value_surplus"),
    ("generate --json --prompt x --seed one", "usage_value_bad"),
    ("generate --json --prompt x --max-cost-usd nan --dry-run", "usage_value_bad"),
    ("generate --json --prompt x --max-images -1 --dry-run", "usage_value_bad"),
    ("generate --json a cat", "usage_surplus"),
    ("generate --json", "source_count"),
    ("generate --json --prompt x --prompts-toml y", "source_count"),
    ("generate --json --prompt x --consent ok --no-faces", "usage_consent"),
    ("generate --json --prompt x --consent ''", "usage_consent"),
    ("list --json --lang fr", "usage_value_bad"),
    ("list --json --state done", "usage_value_bad"),
    ("list --json --limit 0", "usage_value_bad"),
    ("show --json", "usage_parameter_missing"),
    ("show --json nobody", "generation_unknown"),
    ("resume --json a b --attach r", "usage_settle"),
    ("resume --json --abandon", "usage_settle"),
    ("resume --json a --abandon --resubmit", "usage_settle"),
    ("cancel --json", "usage_cancel"),
    ("cancel --json a --all", "usage_cancel"),
    ("models --json --provider fall", "provider_unknown"),
    ("serve --json --http --host 0.0.0.0", "host_not_loopback"),
    ("serve --json --http --port 70000", "usage_value_bad"),
    ("serve --json --conformance", "serve_needs_http"),
    ("serve --json --tokens t.toml", "serve_needs_http"),
    ("serve --json --http --allow-host a.example", "serve_needs_tokens"),
    ("serve --json --http --tokens nobody.toml", "tokens_missing"),
    ("token --json", "usage_command_missing"),
    ("token add --json mai --tokens t.toml --month-usd nan", "setting_not_number"),
    ("token add --json Mai.Lan --tokens t.toml", "token_name"),
    ("token revoke --json mai --tokens t.toml", "token_unknown"),
    ("sandbox --json --fault submit:explode", "fault_bad"),
    ("sandbox --json --slots 0", "sandbox_setting_bad"),
    ("consent --json", "usage_command_missing"),
    ("consent add --json nothing.jpg --words ok", "reference_missing"),
    ("consent list --json --job Job-1", "job_id_bad"),
    ("demo --json", "demo_missing"),
]


@pytest.mark.parametrize(("words", "key"), WRONG, ids=[words for words, _ in WRONG])
def test_a_wrong_call_is_one_object_in_the_readers_language(
    words: str, key: str, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every wrong call exits 2 with one JSON object: Vietnamese unless English is asked for; nothing was paid."""
    monkeypatch.chdir(tmp_path)
    for lang in LANGUAGES:
        given = [*shlex.split(words), *(["--lang", lang] if "--lang" not in words else [])]
        result = hoasi(*given, "--workspace", str(workspace)) if key != "usage_command_missing" else hoasi(*given)
        answer = one_object(result)
        assert (result.exit_code, answer["error"]["key"], answer["error"]["paid"]) == (2, key, "no"), answer
        assert answer["message"] == answer["error"]["message"]
        assert answer["error"]["fix"]
        if "--lang fr" not in words:
            assert bool(DIACRITICS.search(answer["message"])) == (lang == "vi"), answer["message"]
        assert result.stderr == ""


@pytest.mark.parametrize(
    ("words", "fix"),
    [
        ("list --limit 0", "--limit cần: số nguyên từ 1."),
        ("list --cursor -1", "--cursor cần: số nguyên từ 0."),
        ("generate --prompt x --num-images -1", "--num-images cần: số nguyên từ 1."),
        ("generate --prompt x --max-images -1", "--max-images cần: số nguyên từ 0."),
        ("video --prompt x --mode best", "--mode cần: std, pro, 4k."),
        (
            "token add mai --tokens t.toml --month-usd -1",
            "Sửa --month-usd ở nơi đã ghi nó: lệnh, biến môi trường hoặc .env.",
        ),
    ],
    ids=lambda words: words.partition(" cần")[0],
)
def test_the_mending_can_be_done(words: str, fix: str, workspace: Path) -> None:
    """What a wrong number or word is to be replaced by is really taken, and said in the reader's language."""
    answer = one_object(hoasi(*shlex.split(words), "--json", "--workspace", str(workspace)))
    assert answer["error"]["fix"] == fix


def test_an_error_for_people_says_what_how_to_mend_it_and_that_nothing_was_paid(workspace: Path) -> None:
    """Without `--json` an error goes to standard error: text, fix, whether it cost money, the machine's key."""
    result = hoasi("--workspace", str(workspace), "generate", "--prompt", "x")
    assert (result.exit_code, result.stdout) == (2, "")
    text, fix, paid = result.stderr.splitlines()
    assert text.startswith("L\u1ed7i: ")
    assert "--provider local" in fix
    assert paid == "Kh\u00f4ng m\u1ea5t ti\u1ec1n. key_missing"


def test_words_that_are_no_text_are_refused(workspace: Path) -> None:
    """Undecodable bytes never reach a file or a provider."""
    result = hoasi("--json", "generate", "--prompt", "ban c\udce3ng", "--workspace", str(workspace))
    assert one_object(result)["error"]["key"] == "usage_not_text"


# ---------------------------------------------------------------------- options before and after


PLACES = [
    "--workspace {w} --json list",
    "list --workspace {w} --json",
    "--json list --workspace {w}",
    "--workspace {w} consent --json list",
    "consent list --json --workspace {w}",
]


@pytest.mark.parametrize("words", PLACES)
def test_shared_options_stand_before_or_after_the_command(words: str, workspace: Path) -> None:
    """`--workspace --json --env-file --lang` mean the same at every place."""
    result = hoasi(*shlex.split(words.format(w=workspace)))
    assert result.exit_code == 0
    assert one_object(result)["generations"] == []


def test_what_stands_later_wins(workspace: Path, tmp_path: Path) -> None:
    """An option after the command overrides the one before it, and one before is not lost by one that is not given."""
    missing = str(tmp_path / "nowhere")
    assert hoasi("--workspace", missing, "list", "--workspace", str(workspace)).exit_code == 0
    assert hoasi("--workspace", missing, "list", "--json").exit_code == 2
    assert "0 record(s)" in hoasi("--lang", "en", "consent", "list", "--workspace", str(workspace)).stderr


def test_an_env_file_may_lie_outside_the_workspace(workspace: Path, tmp_path: Path) -> None:
    """The key of another file counts, before or after the command; its value is never shown."""
    keys = tmp_path / "keys.env"
    keys.write_text(f"FAL_KEY={SECRET}\n", encoding="utf-8")
    for words in (["--env-file", str(keys), "models"], ["models", "--env-file", str(keys)]):
        result = hoasi(*words, "--workspace", str(workspace), "--json")
        assert {m["key_present"] for m in one_object(result)["models"] if m["provider"] == "fal"} == {True}
        assert SECRET not in result.output


def test_a_token_is_shown_once_and_can_be_taken_back(workspace: Path, tmp_path: Path) -> None:
    """Whoever lists them sees names, workspaces and limits, never a token."""
    file = str(tmp_path / "tokens.toml")
    words = ("--tokens", file, "--workspace", str(workspace), "--json")
    token = one_object(hoasi("token", "add", "mai", "--month-usd", "0", *words))["token"]
    listed = hoasi("token", "list", *words)
    assert token not in listed.output
    assert one_object(listed)["tokens"] == [{"name": "mai", "workspace": str(workspace), "month_usd": 0.0}]
    assert hoasi("token", "revoke", "mai", *words).exit_code == 0
    assert one_object(hoasi("token", "list", *words))["tokens"] == []


# ---------------------------------------------------------------------- help


def commands(group: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    found = [(path, group)]
    for name, command in getattr(group, "commands", {}).items():
        found += commands(command, (*path, name))
    return found


COMMANDS = commands(typer.main.get_command(app))


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[" ".join(path) or "hoasi" for path, _ in COMMANDS])
def test_every_command_has_a_page_in_both_languages(path: tuple[str, ...], command: Any) -> None:
    """`--help` names every option and explains it in the reader's language, within 80 columns."""
    pages = {lang: hoasi(*path, "--help", "--lang", lang, env={"COLUMNS": "80"}) for lang in LANGUAGES}
    for lang, result in pages.items():
        assert result.exit_code == 0
        assert max(map(len, result.stdout.splitlines())) <= 80
        for param in command.params:
            names = param.opts if param.param_type_name == "option" else [param.metavar]
            assert all(name in result.stdout for name in names)
            assert catalogue(lang)[param.help].split()[0] in result.stdout
    assert DIACRITICS.search(pages["vi"].stdout)
    assert not re.search("[\u1ea0-\u1ef9]", pages["en"].stdout)


def test_the_promised_commands_and_options_are_there() -> None:
    """What the documents name exists."""
    known = {" ".join(path): {name for param in command.params for name in param.opts} for path, command in COMMANDS}
    promised = "list show resume cancel models doctor serve sandbox demo"
    assert {*promised.split(), "generate", "consent add", "consent list", "consent revoke"} <= known.keys()
    options = """--prompt --prompts-toml --from-creative-plan --job --scene-id --provider --model --seed --num-images
        --aspect-ratio --reference-images --style --overwrite --resubmit --dry-run --max-cost-usd --output-dir
        --report-toml --all-scenes --vds-path --resolution --output-format --negative-prompt --max-images --consent
        --no-faces"""
    assert set(options.split()) <= known["generate"]
    assert known[""] == {"--workspace", "--env-file", "--json", "--lang", "--version"}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_help_names_every_provider_and_the_one_that_is_asked_first(lang: str) -> None:
    """Who reads the page of `generate`, or of `visuals`, learns whom it can go to."""
    for words in (("generate",), ("visuals", "generate")):
        page = " ".join(hoasi(*words, "--help", "--lang", lang).output.split())
        told = page[page.index("--provider NAME") : page.index("--model ID")]
        assert [name for name in PROVIDERS if name not in told] == []
        assert re.search(rf"{DEFAULT_PROVIDER} \((m\u1eb7c \u0111\u1ecbnh|default)\)", told)


def test_without_any_word_the_page_is_shown() -> None:
    """`hoasi` alone shows what it can do."""
    result = hoasi()
    assert (result.exit_code, "generate" in result.stdout) == (0, True)


# ---------------------------------------------------------------------- what words mean


def test_who_asks_for_the_version_gets_nothing_else(workspace: Path) -> None:
    """`--version` tells the number of pyproject.toml, with `--json` in one object; a command beside it does not run."""
    number = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert hoasi("--version").stdout == f"hoasi {number}\n"
    assert one_object(hoasi("--json", "--version"))["version"] == number
    beside = hoasi("--workspace", str(workspace), "--version", "generate", "--prompt", "x", "--provider", "local")
    assert (beside.exit_code, beside.stdout) == (0, f"hoasi {number}\n")
    assert not (workspace / "outputs").exists()


def test_lists_are_comma_separated_and_repeatable() -> None:
    """`--scene-id a,b --scene-id c` are three scenes."""
    assert word_rules.listed(["a, b", "c,"]) == ("a", "b", "c")
    assert word_rules.listed(None) == ()


def test_commas_in_names_and_addresses_do_not_tear_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reference with a comma in its file name, or in its address, stays one reference."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "b,c.jpg"):
        (tmp_path / name).touch()
    address = "https://cdn.example/w_200,h_200/x.jpg"
    given = ["a.jpg,b,c.jpg", f"{address},a.jpg", "missing.jpg,a.jpg"]
    expected = ("a.jpg", "b,c.jpg", address, "a.jpg", "missing.jpg", "a.jpg")
    assert word_rules.references(given, tmp_path) == expected


def test_a_relative_path_starts_where_the_user_stands(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path is meant from the current folder, unless only the workspace has its beginning."""
    source = workspace / "jobs" / "job-1" / "source"
    monkeypatch.chdir(source)
    assert word_rules.located("creative_plan.toml", workspace) == PLAN
    assert word_rules.located(PLAN, workspace) == PLAN
    assert word_rules.located("../input", workspace) == str(source / "../input")
    result = hoasi(
        "generate", "--from-creative-plan", "creative_plan.toml", "--provider", "local", "--dry-run", "--json"
    )
    assert [entry["scene_id"] for entry in one_object(result)["generations"]] == ["SC_01", "SC_02"]


# ---------------------------------------------------------------------- looking costs and changes nothing


def test_looking_writes_nothing(workspace: Path) -> None:
    """Dry run, list, models and show leave the workspace as it is."""
    before = sorted(workspace.rglob("*"))
    for words in (["list"], ["models"], ["generate", "--from-creative-plan", PLAN, "--dry-run"], ["consent", "list"]):
        assert hoasi(*words, "--workspace", str(workspace)).exit_code == 0
    assert sorted(workspace.rglob("*")) == before


def test_a_dry_run_tells_names_and_price(workspace: Path) -> None:
    """`--dry-run` prices the plan and names the files; nothing is paid."""
    result = hoasi("generate", "--from-creative-plan", PLAN, "--dry-run", "--json", "--workspace", str(workspace))
    answer = one_object(result)
    assert (result.exit_code, answer["estimate_usd"], answer["cost_usd"]) == (0, 0.078, 0.0)
    assert {entry["state"] for entry in answer["generations"]} == {"planned"}
    assert all(Path(entry["outputs"][0]).is_absolute() for entry in answer["generations"])


def test_the_default_provider_is_never_silently_local(workspace: Path) -> None:
    """Without a key the error names the variable, the page and `--provider local`; nothing is drawn."""
    answer = one_object(hoasi("generate", "--prompt", "x", "--json", "--workspace", str(workspace)))
    assert answer["error"]["key"] == "key_missing"
    assert all(word in answer["error"]["fix"] for word in ("FAL_API_KEY", "https://fal.ai", "--provider local"))


def test_models_tell_price_with_date_limits_and_key(workspace: Path) -> None:
    """A pipe gets one tab-separated line a model, and no heading."""
    result = hoasi("models", "--provider", "fal", "--workspace", str(workspace), env={"FAL_KEY": SECRET})
    line = next(line for line in result.stdout.splitlines() if line.startswith("fal-ai/nano-banana\t"))
    model, operations, price, limits, key = line.split("\t")
    assert (model, operations, key) == ("fal-ai/nano-banana", "generate_image", "c\u00f3")
    assert price.startswith("$0.039/")
    assert "(2026-" in price
    assert "4 " in limits


def test_doctor_names_keys_and_shows_no_secret(workspace: Path) -> None:
    """Names of variables only, never a value or a part of one; a missing key is no failure."""
    for env, state in (({"FAL_KEY": SECRET}, "ok"), ({}, "warn")):
        result = hoasi("doctor", "--offline", "--json", "--workspace", str(workspace), env=env)
        checks = {check["text"]: check for check in one_object(result)["checks"] if check["what"] == "key"}
        fal = next(check for text, check in checks.items() if text.startswith("fal"))
        assert (result.exit_code, fal["state"]) == (0, state)
        assert "FAL_KEY" in fal["text"]
        assert not any(part in result.output for part in SECRET.split(":"))


def test_doctor_asks_for_a_key_only_where_none_is_set(workspace: Path) -> None:
    """Without any key the default provider's is what comes next; with one of any provider nobody is sent for others."""
    at = ("doctor", "--offline", "--json", "--workspace", str(workspace))
    assert "FAL_API_KEY" in one_object(hoasi(*at))["next"]
    assert one_object(hoasi(*at, env={"STABILITY_API_KEY": SECRET}))["next"] == ""


def test_doctor_fails_when_the_ledger_cannot_be_opened(workspace: Path) -> None:
    """A ledger that is none is what local use needs mended: exit 1, and the advice not to delete it."""
    (workspace / ".hoasi").mkdir()
    (workspace / ".hoasi" / "ledger.db").write_text("not a database, but long enough to be taken for one" * 20)
    result = hoasi("doctor", "--offline", "--json", "--workspace", str(workspace))
    (workspace / ".hoasi" / "ledger.db").unlink()
    bad = [check for check in one_object(result)["checks"] if check["state"] == "fail"]
    assert (result.exit_code, [check["what"] for check in bad]) == (1, ["ledger"])


@pytest.mark.parametrize("words", ["sandbox", "serve --http"])
def test_a_taken_port_is_said_plainly(words: str, workspace: Path) -> None:
    """A taken port is wrong input with one object, not a dump, nor a code that means an unknown payment."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = hoasi(*words.split(), "--port", port, "--json", "--workspace", str(workspace))
    assert (result.exit_code, one_object(result)["error"]["key"]) == (2, "port_taken")


# ---------------------------------------------------------------------- consent


def test_consent_is_recorded_listed_and_revoked(workspace: Path) -> None:
    """What was said about a picture is kept word for word, bound to its bytes, and can be taken back by its hash."""
    Image.effect_noise((64, 64), 80).save(workspace / "lan.png")
    at = ("--job", "job-1", "--workspace", str(workspace), "--json")
    words = "T\u00f4i, Lan, \u0111\u1ed3ng \u00fd."
    added = one_object(hoasi("consent", "add", "lan.png", "--words", words, *at))["consents"][0]
    assert (added["words"], added["by"], added["picture"]) == (words, "cli", "lan.png")
    assert one_object(hoasi("consent", "list", *at))["consents"] == [added]
    assert (workspace / "jobs/job-1/source/consent.toml").is_file()
    assert hoasi("consent", "revoke", added["sha256"][:12], *at).exit_code == 0
    assert one_object(hoasi("consent", "list", *at))["consents"][0]["revoked_at"]
    again = hoasi("consent", "revoke", "lan.png", *at)
    assert (again.exit_code, one_object(again)["error"]["key"]) == (2, "consent_none")


def test_the_list_of_consents_tells_what_each_is_worth(workspace: Path) -> None:
    """Scope, and whether it stands, is over or was taken back."""
    Image.effect_noise((64, 64), 80).save(workspace / "lan.png")
    at = ("--workspace", str(workspace))
    for more in (["--scope", "swap"], ["--scope", "avatar", "--expires", "2020-01-31"], ["--expires", "2999-01-31"]):
        assert hoasi("consent", "add", "lan.png", "--words", "ok", *more, *at).exit_code == 0
    rows = [line for line in hoasi("--lang", "en", "consent", "list", *at).stdout.splitlines() if "lan.png" in line]
    told = [[word for word in row.split() if word in {"swap", "avatar", "reference", "yes", "expired"}] for row in rows]
    assert told == [["swap", "yes"], ["avatar", "expired"], ["reference", "yes"]]


def test_consent_without_words_is_refused(workspace: Path) -> None:
    """Nobody's silence is a consent; a date that is none is refused too."""
    Image.effect_noise((64, 64), 80).save(workspace / "lan.png")
    at = ("--workspace", str(workspace), "--json")
    assert one_object(hoasi("consent", "add", "lan.png", *at))["error"]["key"] == "consent_words_empty"
    late = hoasi("consent", "add", "lan.png", "--words", "ok", "--expires", "soon", *at)
    assert one_object(late)["error"]["key"] == "usage_value_bad"
    assert not (workspace / "consent.toml").exists()


# ---------------------------------------------------------------------- ends


def entry(state: str, kind: str = "") -> Entry:
    error = explain(Problem(kind=kind, key="disk_other", facts={"path": "x"})) if kind else None
    return Entry(
        id=state, scene_id="S", state=state, paid="no", cost_usd=0, provider="p", model="m", seed=1, error=error
    )


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ((), 0),
        (("succeeded", "skipped_existing"), 0),
        (("succeeded", "failed"), 1),
        (("cancelled",), 1),
        (("expired",), 1),
        (("running",), 1),
        (("failed", "unknown"), 3),
    ],
)
def test_the_exit_code_is_the_worst_that_happened(states: tuple[str, ...], code: int) -> None:
    """0 all made or there, 1 some not made, and 3, an unknown payment, beats 1."""
    assert made(Reply(message="", generations=tuple(map(entry, states)))).code == code


def test_a_list_says_no_price_is_missing_where_only_the_payment_is() -> None:
    """Nothing yet while it is at work, unclear where nobody knows, and what it came to where that is known."""
    unclear = {"cost_usd": None, "paid": "unknown"}
    cases = (("running", unclear), ("unknown", unclear), ("failed", {"cost_usd": 0.0, "paid": "no"}))
    told = [_spent(entry(state).model_copy(update=more)) for state, more in cases]
    assert told == ["-", say("cli.state.unknown"), "$0"]
    assert _spent(entry("succeeded").model_copy(update={"cost_usd": None, "paid": "yes"})) == say("money.unknown")


def test_an_unknown_payment_counts_whatever_the_state() -> None:
    """An error that says the payment is unknown exits 3."""
    assert made(Reply(message="", generations=(entry("failed", "PaymentUnknown"),))).code == 3


def broken() -> typer.Typer:
    program = typer.Typer(cls=Root, help="help.hoasi")
    ends: dict[str, BaseException] = {"bug": ZeroDivisionError("secret place"), "stop": KeyboardInterrupt()}

    @program.callback()
    def shared() -> None:
        """Nothing is shared."""

    for name, end in ends.items():

        def fall(end: BaseException = end) -> Answer:
            raise end

        program.command(name, cls=Command, help="help.hoasi")(lambda fall=fall: fall())
    return program


def test_a_bug_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An error of ours shows no traceback unless HOASI_DEBUG=1 asks for it."""
    monkeypatch.chdir(tmp_path)
    quiet = hoasi("bug", program=broken())
    assert (quiet.exit_code, "Traceback" in quiet.output, "ZeroDivisionError" in quiet.stderr) == (1, False, True)
    assert "Traceback" in hoasi("bug", program=broken(), env={"HOASI_DEBUG": "1"}).stderr


def test_an_interruption_says_that_nothing_is_lost() -> None:
    """Ctrl-C exits 130 and names `hoasi resume`."""
    result = hoasi("stop", program=broken())
    assert (result.exit_code, "hoasi resume" in result.stderr, result.stdout) == (130, True, "")


def test_a_strangers_words_do_not_drive_the_terminal() -> None:
    """Escape sequences in what a provider said are taken out."""
    assert clean("\x1b[2J\x07gone\x9b31m\tok") == "[2Jgone31m\tok"
    bad = entry("failed", "Refused").model_copy(update={"notes": ("\x1b[31mred",)})
    text = "".join(piece for line in entry_lines(bad, is_short=False) for piece, _ in line)
    assert "\x1b" not in text


def test_every_state_has_a_word() -> None:
    """No state can surprise the screen."""
    for language in LANGUAGES:
        assert {f"cli.state.{state}" for state in [*State, "planned", "skipped_existing"]} <= catalogue(language).keys()


def test_the_command_line_starts_light() -> None:
    """Help and usage errors load no engine, no network, no pictures and no drawing."""
    heavy = ("aiohttp", "httpx", "PIL", "rich", "sqlite3", "mcp", "tomlkit", "uvicorn", "hoasi.studio")
    code = f"import sys, hoasi.cli.app; print([name for name in {heavy!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
