"""Door (floor 5): an avatar in two steps: portraits of photos, then angles of the portrait that is chosen."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

from mcp.server.mcpserver import Context
from pydantic import Field

from hoasi import avatars
from hoasi.answers import Reply
from hoasi.ask import Ask
from hoasi.errors import WrongInput
from hoasi.messages import say
from hoasi.records import iso
from hoasi.tools._consent import Permission
from hoasi.tools._life import studio_of
from hoasi.tools._options import Unsaid, Working
from hoasi.tools._results import Answer
from hoasi.tools._waiting import make
from hoasi.workflows import AvatarAngles, CreateAvatar, Workflow

if TYPE_CHECKING:
    from hoasi.studio import Studio


class Call(Working):
    """Photos, or the number of a portrait, or neither: what is missing."""

    avatar_id: Annotated[str, Field(min_length=1)]
    photos: Annotated[tuple[str, ...], Field(max_length=10)] = ()
    portrait: Annotated[int | None, Field(ge=1, description="user's choice, 1-4")] = None
    scene_id: Unsaid[str] = ""
    job_id: Unsaid[str | None] = None
    model: Unsaid[str | None] = None
    overwrite: Unsaid[bool] = False
    no_faces: Unsaid[bool] = False

    def work(self) -> Workflow:
        """The step that is meant.

        Raises:
            WrongInput: two steps at once.
        """
        if self.photos and self.portrait is not None:
            raise WrongInput("avatar_step")
        return self._as(CreateAvatar if self.photos else AvatarAngles)

    def ask(self, client: str) -> Ask:
        """The step's requests; they land in the avatar's folder, whatever the job."""
        requests = self.work().requests()
        return self._ask(client, requests=requests, job_id=None, output_dir=f"{avatars.FOLDER}/{self.avatar_id}")

    def choose(self, studio: Studio) -> None:
        """Write down which portrait it is; a call that makes no sense chooses none."""
        self.work()
        avatars.folder(studio.settings.workspace, self.avatar_id)
        if self.portrait is not None and not self.dry_run:
            now = iso(time.time())
            avatars.confirm(studio.settings, self.avatar_id, self.portrait, studio.generations, at=now)

    def told(self, studio: Studio, reply: Reply) -> Reply:
        """The reply in an avatar's words; which angles are there is noted."""
        if not (self.photos or self.dry_run):
            avatars.settle(studio.settings, self.avatar_id)
        return avatars.told(reply, say("avatar.choose" if self.photos else "avatar.use", id=self.avatar_id))


async def create_avatar(ctx: Context, call: Call, permission: Permission) -> Answer:
    """Make an avatar of a person who consents. Step 1: photos give 4 portraits; 2: the chosen portrait gives 3 angles
    (without it: what is missing). $0.12, 40 s a step.
    """
    studio = await studio_of(ctx)
    call.choose(studio)
    return await make(ctx, call, permission)
