"""Hall (floor 6): the MCP server. It answers first and loads the heavy parts afterwards.

Nothing but the protocol and the tools' schemas is imported before `initialize` is answered: no database, no network,
no pictures. Logs go to stderr, one line each.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from mcp.server.caching import CacheHint
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import MCPServer

from hoasi.errors import NotSupported
from hoasi.extensions.generation_tasks import GenerationTasks
from hoasi.extensions.skills import Skills, skills_dir
from hoasi.extensions.tasks import Tasks, listening
from hoasi.offers import offer
from hoasi.settings import LOOPBACK
from hoasi.tools import tools
from hoasi.tools._lives import Lives

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from hoasi import callbacks
    from hoasi.extensions.fixtures import Fixtures
    from hoasi.extensions.tasks import Keeper
    from hoasi.team import Team

NAME = "hoasi"
TOOLS_KEEP_MS = 3_600_000
REPORTS, HEALTH = "/callbacks/{provider}", "/health"

INSTRUCTIONS = """\
hoasi makes pictures and clips for video jobs (jobs/<job_id>/) and never pays twice for the same request.

- Scenes of a job: generate_from_creative_plan. Finished prompts: generate_batch. One prompt: generate_image. From
  pictures: edit_image, swap_face, generate_video. From clips: extend_video, lip_sync. The same person again and
  again: create_avatar once, then `avatar`.
- Money: provider fal is paid and the default (auto = cheapest with a key: default for edits and clips); local makes
  free sketches without a key. dry_run gives plan and price; tell the user the price before a clip or more than 20
  pictures. max_cost_usd refuses what is dearer.
- What makes something also takes generate_image's seed, resubmit, minor, wait_seconds.
- A result says per generation: state, paid, cost_usd, outputs (absolute paths) and, at the end, `next`: do it. States:
  queued, submitting, running, fetching (wait: get_generations), succeeded, skipped_existing (was there, nothing paid),
  failed, cancelled, expired, unknown.
- Work goes on when a call ends. Repeating a call is safe: it joins what runs and skips what exists. Do not poll faster
  than poll_after_seconds.
- unknown = the provider may have billed it. Never retry it by yourself: the user decides between get_generations
  resolve = resubmit (may be billed twice), attach (with the receipt from the provider's dashboard) and abandon.
- Pictures of people leave the machine only with consent. Ask the user; pass their own words as `consent`, or no_faces
  if they say nobody is shown. Never invent consent. minor: a child is shown, refused.
- Inputs: paths in the workspace, https, or generation ids. Look at a result with view_generation.
- Reply to the user in Vietnamese with diacritics: `message`, `warnings`, notes and errors already are; show `message`,
  paths and cost as they are. Field names, ids, paths and model names stay untouched.
"""


def build(
    workspace: Path | str | None = None,
    env_file: Path | str | None = None,
    team: Team | None = None,
    *,
    fixtures: Fixtures | None = None,
) -> MCPServer[Lives]:
    """The server, ready to run; the workspace is opened after its first answer.

    Args:
        workspace: root with `jobs/`; default: the nearest such folder at or above the current one.
        env_file: file with keys instead of the workspace's `.env`.
        team: who may call over HTTP, each in a workspace of his own; None: whoever reaches us.
        fixtures: what the conformance suite needs besides.
    """
    keepers: list[Keeper] = [GenerationTasks()] if fixtures is None else [fixtures.keeper, GenerationTasks()]
    places = _path(workspace), _path(env_file)
    lives = Lives(*places) if team is None else Lives(*places, team.tokens, team.caller)
    _log_to_stderr(lives)
    skills = Skills(skills_dir())
    with _without_rich():
        server = MCPServer(
            NAME,
            title="hoasi",
            instructions=INSTRUCTIONS,
            version=version(NAME),
            tools=[*tools()],
            extensions=[Tasks(keepers), skills],
            log_level="WARNING",
            lifespan=_lifespan(lives),
            cache_hints={"tools/list": CacheHint(ttl_ms=TOOLS_KEEP_MS, scope="public")},
            middleware=[_note_answer, listening],
            **({} if team is None else team.gate()),
        )
    server.middleware.append(skills.shelving(server))
    offer(server, lives)
    server.custom_route(REPORTS, methods=["POST"])(_reported(lives))
    server.custom_route(HEALTH, methods=["GET"])(_healthy)
    return server


async def _healthy(_: Request) -> Response:
    """For load balancers; nothing that anybody may not know."""
    from starlette.responses import JSONResponse

    return JSONResponse({"status": "ok", "name": NAME, "version": version(NAME)})


def _reported(lives: Lives) -> Callable[[Request], Awaitable[Response]]:
    """Takes providers' reports; its parts are loaded by the first one."""

    @cache
    def receiver() -> callbacks.Receiver:
        from hoasi.callbacks import Receiver

        return Receiver(lives.studios)

    async def reported(request: Request) -> Response:
        return await receiver()(request)

    return reported


def serve_stdio(workspace: Path | str | None = None, env_file: Path | str | None = None) -> None:
    """Serve one client over stdin and stdout until it hangs up."""
    build(workspace, env_file).run("stdio")


def serve_http(
    workspace: Path | str | None = None,
    env_file: Path | str | None = None,
    port: int = 8765,
    host: str = LOOPBACK[0],
    *,
    team: Team | None = None,
    fixtures: Fixtures | None = None,
) -> None:
    """Serve over streamable HTTP (SSE) at `http://<host>:<port>/mcp` until interrupted.

    Host and Origin of every request are checked, so no web page can call us: against loopback names, and with a team
    against the names it is known by.

    Raises:
        NotSupported: `host_not_loopback`: others could reach the host, and nobody is asked who he is.
        WrongInput: `serve_hosts_missing`: a team on an open host must say by which names it is called.
    """
    if team is None and host not in LOOPBACK:
        raise NotSupported("host_not_loopback", host=host)
    security = None if team is None else team.security(host)
    server = build(workspace, env_file, team, fixtures=fixtures)
    more = {} if fixtures is None else fixtures.dress(server)
    server.run("streamable-http", host=host, port=port, transport_security=security, **more)


def _path(given: Path | str | None) -> Path | None:
    return None if given is None else Path(given)


def _lifespan(lives: Lives) -> Callable[[MCPServer[Lives]], AbstractAsyncContextManager[Lives]]:
    @asynccontextmanager
    async def lifespan(_: MCPServer[Lives]) -> AsyncIterator[Lives]:
        async with anyio.create_task_group() as group:
            group.start_soon(lives.wake)
            try:
                yield lives
            finally:
                group.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await lives.close()

    return lifespan


async def _note_answer(ctx: ServerRequestContext[Lives], call_next: CallNext) -> HandlerResult:
    """The first message was handled: the heavy parts may be loaded now."""
    try:
        return await call_next(ctx)
    finally:
        ctx.lifespan_context.answered.set()


# ---------------------------------------------------------------------- logs


class _OneLine(logging.Formatter):
    """A record as one line of JSON, a traceback included, a secret never."""

    def __init__(self, lives: Lives) -> None:
        super().__init__()
        self._lives = lives

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {
            "at": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            told["error"] = self.formatException(record.exc_info)
        text = json.dumps(told, ensure_ascii=False)
        for secret in self._lives.secrets():
            text = text.replace(secret, "***")
        return text


def _log_to_stderr(lives: Lives) -> None:
    """Unless the program around us has its own logging."""
    if logging.root.handlers:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine(lives))
    logging.root.addHandler(handler)
    logging.root.setLevel(logging.WARNING)


@contextmanager
def _without_rich() -> Iterator[None]:
    """The SDK loads rich for its logging wherever it is installed; we have our own, and a start to win."""
    name = "rich.console"
    loaded = sys.modules.get(name)
    sys.modules[name] = None  # type: ignore[assignment]  # the documented way to make an import fail
    try:
        yield
    finally:
        if loaded is None:
            del sys.modules[name]
        else:
            sys.modules[name] = loaded
