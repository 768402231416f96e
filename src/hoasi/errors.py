"""Ground floor: the one tree of errors. Leaves are named after what the caller must do differently.

HoasiError
|-- WrongInput            nothing happened; change the call (CLI exit 2)
|   |-- FileBroken        a source file cannot be used: file, table, field, line
|   |-- NotSupported      this model or provider cannot do that: choose another, or drop the parameter
|   |-- KeyMissing        set the named variable
|   |-- ConsentMissing    record consent for the named picture
|   |-- BudgetExceeded    raise the limit or ask for less
|   |-- PathRefused       use a path inside the workspace
|   `-- NotFound          no such generation, job, model or file
|-- NotReady              nothing happened yet; make the same call again
|-- GenerationFailed      one generation ended without its result (CLI exit 1)
|   |-- ProviderRefused   the provider said no to this input
|   |-- KeyRejected       the key is wrong, lacks a right, or the balance is empty
|   |-- ContentBlocked    the provider's content rules: change prompt or picture
|   |-- NotAccepted       proven not accepted (rate limit, no runner): the engine repeats it
|   |-- ProviderUnreachable  nothing was sent: the engine repeats it
|   |-- ResultBroken      paid, but what came is not a picture: resume fetches it again
|   |-- ResultExpired     paid, but the provider no longer has it
|   |-- DiskTrouble       our own disk or folder; resume when mended
|   `-- Cancelled         the user took it back
|-- PaymentUnknown        may have been billed; settle it (CLI exit 3)
`-- LostOwnership         another process took this generation over; the engine's own affair
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from hoasi.record import Paid, Retry
from hoasi.records import Problem

DETAIL_LIMIT = 300
_QUERY = re.compile(r"(https?://[^\s?\"'<>]+)\?[^\s\"'<>]*")
"""A query may be a signature; the address before it may be told."""


class HoasiError(Exception):
    """An error with a machine key and facts; `messages` turns it into the user's language.

    Args:
        key: entry of the message catalogues below `error.`.
        detail: the provider's own words (cut at 300 characters; never a key or a signed URL).
        paid: whether money moved, when the class's usual answer is not true here.
        facts: the fields of the message.
    """

    paid: Paid = "no"
    retry: Retry = "no"
    exit_code: ClassVar[int] = 1

    def __init__(
        self, key: str, /, *, detail: str = "", paid: Paid | None = None, retry: Retry | None = None, **facts: Any
    ) -> None:
        super().__init__(key)
        self.key = key
        self.detail = _QUERY.sub(r"\1", detail)[:DETAIL_LIMIT]
        self.facts = facts
        self.paid = self.paid if paid is None else paid
        self.retry = self.retry if retry is None else retry

    def __str__(self) -> str:
        """Key and facts: for our own logs, never for users."""
        return f"{self.key} {self.facts}" + (f" ({self.detail})" if self.detail else "")

    def problem(self) -> Problem:
        """The same as data, for ledger, logs and replies."""
        facts = {name: value if isinstance(value, int | float) else str(value) for name, value in self.facts.items()}
        return Problem(
            kind=type(self).__name__, key=self.key, facts=facts, paid=self.paid, retry=self.retry, detail=self.detail
        )


class WrongInput(HoasiError):
    """The call cannot be done as it stands; nothing was sent, nothing was paid."""

    exit_code = 2


class FileBroken(WrongInput):
    """A source file cannot be used; facts name file, table, field and line where known."""


class NotSupported(WrongInput):
    """The chosen model or provider cannot do what was asked."""


class KeyMissing(WrongInput):
    """No key for the provider; facts name the variable and where to get one."""


class ConsentMissing(WrongInput):
    """A picture that may show a face has no recorded consent."""


class BudgetExceeded(WrongInput):
    """The plan costs more, or holds more pictures, than the caller or the settings allow."""


class PathRefused(WrongInput):
    """A path leaves the workspace, or cannot be written."""


class NotFound(WrongInput):
    """No such generation, job, model or file."""


class NotReady(HoasiError):
    """The caller could not wait until everything was read; nothing was sent, and the same call goes on from there."""

    retry = "safe"


class GenerationFailed(HoasiError):
    """One generation ended without its result; the others of its batch go on."""


class ProviderRefused(GenerationFailed):
    """The provider answered that it will not do this."""


class KeyRejected(GenerationFailed):
    """401 or 403: wrong key, missing right, or no balance."""


class ContentBlocked(GenerationFailed):
    """The provider's content rules stopped it."""


class NotAccepted(GenerationFailed):
    """Proven not accepted, hence not paid; may be sent again after `retry_after_s`, or never (`retry="no"`)."""

    retry: Retry = "safe"

    def __init__(self, key: str, /, *, retry_after_s: float | None = None, **facts: Any) -> None:
        super().__init__(key, **facts)
        self.retry_after_s = retry_after_s


class ProviderUnreachable(NotAccepted):
    """The connection itself failed: no byte of the request left."""


class ResultBroken(GenerationFailed):
    """What was fetched is not the result; it is still the provider's to give again."""

    paid = "yes"
    retry = "safe"


class ResultExpired(GenerationFailed):
    """The provider made it and no longer keeps it."""

    paid = "yes"


class DiskTrouble(GenerationFailed):
    """Our own disk is full, or the folder cannot be written."""

    retry = "later"


class Cancelled(GenerationFailed):
    """Taken back by the user."""


class PaymentUnknown(HoasiError):
    """The reply to a paid request was lost: it may have been billed."""

    paid = "unknown"
    exit_code = 3


class LostOwnership(HoasiError):
    """A save was fenced off: another process works on this generation now."""
