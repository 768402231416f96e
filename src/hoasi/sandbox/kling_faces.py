"""Room: sandbox. Kling's identify-face: the first step of a lip sync, answered at once and billed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hoasi.sandbox.gate import Gate
from hoasi.sandbox.kling_account import Session, Source, new_id
from hoasi.sandbox.kling_auth import check_key
from hoasi.sandbox.kling_errors import success
from hoasi.sandbox.kling_fields import Endpoint
from hoasi.sandbox.kling_intake import Intake, json_object
from hoasi.sandbox.kling_prices import FACES_UNITS, as_text

if TYPE_CHECKING:
    from hoasi.sandbox.sandbox import Sandbox


class Faces:
    """Finds faces in clips; every face is there from the first to the last moment."""

    def __init__(self, sandbox: Sandbox, intake: Intake, endpoint: Endpoint) -> None:
        self._sandbox = sandbox
        self._intake = intake
        self._endpoint = endpoint

    def route(self, gate: Gate) -> Route:
        """Serve the one POST."""
        return Route(f"/v1/{self._endpoint.path}", gate("submit", self._identify), methods=["POST"])

    async def _identify(self, request: Request) -> Response:
        check_key(self._sandbox, request)
        given = await json_object(request)
        body = self._intake.checked(self._endpoint, given, request)
        source = self._intake.work.source(body)
        if source is None:
            source = Source("", body["video_url"], await self._intake.work.length_s(body["video_url"]))
        count = self._sandbox.settings.kling_faces_in_clip
        faces = tuple(self._face(index, source.duration_s, str(request.base_url)) for index in range(count))
        session_id = new_id()
        self._sandbox.kling.sessions[session_id] = Session(source, faces, self._sandbox.clock())
        self._sandbox.kling.used["video"] += FACES_UNITS
        self._intake.count(self._endpoint, given)
        return success(
            {"session_id": session_id, "final_unit_deduction": as_text(FACES_UNITS), "face_data": list(faces)}
        )

    def _face(self, index: int, duration_s: float, origin: str) -> dict[str, Any]:
        picture = self._intake.work.face_picture(origin, index)
        return {"face_id": str(index), "face_image": picture, "start_time": 0, "end_time": round(duration_s * 1000)}
