"""Hall (floor 6): the commands that stay: `serve` (MCP) and `sandbox` (a provider's stand-in on this machine)."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hoasi import settings
from hoasi.answers import Reply
from hoasi.cli.answer import Answer
from hoasi.cli.frame import Call, call_of
from hoasi.errors import WrongInput
from hoasi.messages import say
from hoasi.settings import LOOPBACK, SANDBOX_PORT

if TYPE_CHECKING:
    from hoasi.team import Team


def serve(
    context: typer.Context,
    *,
    http: Annotated[bool, typer.Option("--http", help="help.serve_http")] = False,
    host: Annotated[str, typer.Option("--host", help="help.serve_host", metavar="HOST")] = LOOPBACK[0],
    port: Annotated[int, typer.Option("--port", help="help.serve_port", metavar="N")] = 8765,
    tokens: Annotated[Path | None, typer.Option("--tokens", help="help.serve_tokens", metavar="FILE")] = None,
    allow_hosts: Annotated[
        list[str] | None, typer.Option("--allow-host", help="help.serve_allow_host", metavar="NAME")
    ] = None,
    allow_origins: Annotated[
        list[str] | None, typer.Option("--allow-origin", help="help.serve_allow_origin", metavar="URL")
    ] = None,
    conformance: Annotated[bool, typer.Option("--conformance", help="help.serve_conformance")] = False,
) -> None:
    """Serve MCP until the client leaves. Without tokens it asks nobody who he is and listens on this machine only.

    Raises:
        NotSupported: a host that others could reach, and no tokens.
        WrongInput: the port is taken, or what needs `--http` without it.
        NotFound, FileBroken, PathRefused: the tokens, a workspace of theirs, or the conformance fixtures.
    """
    call = call_of(context)
    call.settings()
    _check(port)
    if not http and (tokens or allow_hosts or allow_origins or conformance):
        raise WrongInput("serve_needs_http")
    with suppress(KeyboardInterrupt):
        if http:
            team = _team(tokens, allow_hosts or (), allow_origins or ())
            _serve_http(call, host, port, team, is_conformance=conformance)
        else:
            _serve_stdio(call)


def _serve_stdio(call: Call) -> None:
    from hoasi import server

    if sys.stdin.isatty():
        _warn_typist()
    server.serve_stdio(call.workspace, call.env_file)


def _serve_http(call: Call, host: str, port: int, team: Team | None, *, is_conformance: bool) -> None:
    from hoasi import server
    from hoasi.extensions import fixtures

    more = fixtures.load() if is_conformance else None

    if team is not None:
        team.security(host)
    if host in LOOPBACK or team is not None:
        _refuse_taken(host, port)
        shown = f"[{host}]" if ":" in host else host
        _announce(say("cli.serve.http" if team is None else "cli.serve.team", url=f"http://{shown}:{port}/mcp"))
    server.serve_http(call.workspace, call.env_file, port, host, team=team, fixtures=more)


def _team(tokens: Path | None, hosts: Sequence[str], origins: Sequence[str]) -> Team | None:
    """Whoever may call, checked before the door opens."""
    if tokens is None and not (hosts or origins):
        return None
    if tokens is None:
        raise WrongInput("serve_needs_tokens")
    from hoasi.team import Team
    from hoasi.tokens import Tokens

    team = Team(Tokens(tokens), tuple(hosts), tuple(origins))
    for tenant in team.tokens.tenants():
        settings.read(tenant.workspace)
    return team


def _refuse_taken(host: str, port: int) -> None:
    """The server itself would leave with a code that means something else here.

    Raises:
        WrongInput: another program listens there.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise WrongInput("port_taken", port=port, detail=error.strerror or "") from error


def _announce(text: str) -> None:
    """For the person at the terminal; standard output belongs to the protocol."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _warn_typist() -> None:
    """A person started it by hand: say so, and let Ctrl-C end it at once.

    The thread that reads the keyboard cannot be woken; the ledger needs no farewell.
    """
    _announce(say("cli.serve.stdio"))
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def sandbox(
    context: typer.Context,
    *,
    port: Annotated[int, typer.Option("--port", help="help.sandbox_port", metavar="N")] = SANDBOX_PORT,
    latency: Annotated[float, typer.Option("--latency", help="help.sandbox_latency", metavar="SECONDS")] = 0.3,
    slots: Annotated[int | None, typer.Option("--slots", help="help.sandbox_slots", metavar="N")] = None,
    faults: Annotated[list[str] | None, typer.Option("--fault", help="help.sandbox_fault", metavar="SPEC")] = None,
) -> Answer | None:
    """Serve the providers' wire on 127.0.0.1 until interrupted. Nothing costs money there.

    Raises:
        WrongInput: settings or faults that make no sense, or the port is taken.
    """
    from pydantic import ValidationError

    from hoasi.sandbox import Sandbox, run

    screen = call_of(context).screen
    _check(port)
    try:
        stand_in = Sandbox(latency_s=latency, slots=slots, faults=[_fault(spec) for spec in faults or ()])
    except ValidationError as error:
        raise WrongInput("sandbox_setting_bad", detail=_said(error)) from error
    try:
        with suppress(KeyboardInterrupt):
            run(stand_in, port, on_ready=lambda url: screen.tell(_ready(url)))
    except OSError as error:
        raise WrongInput("port_taken", port=port, detail=error.strerror or "") from error
    return None


def _ready(url: str) -> Answer:
    switch = "1" if url.endswith(f":{SANDBOX_PORT}") else url
    return Answer(
        Reply(message=say("cli.sandbox.ready", url=url), next=say("cli.sandbox.use", switch=switch)), facts={"url": url}
    )


def _fault(spec: str) -> Any:
    """`at:kind[:times[:value]]`, such as `submit:lost_reply:1`.

    Raises:
        WrongInput: no such fault.
    """
    from pydantic import ValidationError

    from hoasi.sandbox import Fault

    names: Sequence[str] = ("at", "kind", "times", "value")
    parts = spec.split(":", len(names) - 1)
    try:
        return Fault.model_validate(dict(zip(names, parts, strict=False)))
    except ValidationError as error:
        raise WrongInput("fault_bad", spec=spec, detail=_said(error)) from error


def _said(error: Any) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}".lstrip(": ")


def _check(port: int) -> None:
    if not 0 <= port <= 65535:
        raise WrongInput("usage_value_bad", option="--port", kind="0-65535")
