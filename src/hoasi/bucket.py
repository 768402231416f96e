"""Street door (floor 1): a bucket at an S3-compatible server. Beside `street`, because an S3 client signs its requests.

aiobotocore, loaded when first used (why it: docs/decisions/0010-s3.md). What this door promises:

* Keys are the standard `AWS_*` names or a profile; a machine's own role is not asked for over the network. They go to
  one endpoint: AWS, or what `HOASI_S3_ENDPOINT_URL` says (process environment only). No proxy, nothing of it is logged.
* Bytes that were damaged on their way are refused by the server (`Content-MD5`); what is there is known by the SHA-256
  that lies beside it (`x-amz-meta-sha256`), a part of it by its MD5.
* Failures come as our errors. What may pass (5xx, a broken connection) was tried four times before, with pauses.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from hoasi.errors import (
    KeyMissing,
    KeyRejected,
    NotFound,
    NotSupported,
    ProviderRefused,
    ProviderUnreachable,
    WrongInput,
)
from hoasi.record import Record
from hoasi.results import Artifact
from hoasi.settings import Settings

if TYPE_CHECKING:
    from aiobotocore.session import AioSession  # type: ignore[import-untyped]  # 2026-11-27, no stubs
    from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # 2026-11-27, no stubs

PART_BYTES = 8 * 1024 * 1024
"""What is larger is sent in parts of this size (S3 wants at least 5 MiB)."""
ATTEMPTS = 4
CONNECT_S = 10.0
READ_S = 60.0
ENDPOINT = "HOASI_S3_ENDPOINT_URL"
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_TARGET = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>.*))?", re.DOTALL)
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_BAD_KEYS = frozenset({
    "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired",
    "RequestTimeTooSkewed", "AuthorizationHeaderMalformed",
})  # fmt: skip


class Place(Record):
    """A bucket, and the folder in it."""

    bucket: str
    prefix: str = ""

    def key(self, path: str) -> str:
        """The name of a workspace-relative file there."""
        return f"{self.prefix}/{path}" if self.prefix else path

    def url(self, path: str) -> str:
        """The same as an address, `s3://bucket/...`."""
        return f"s3://{self.bucket}/{self.key(path)}"


def place_of(written: str) -> Place:
    """The place that somebody means by `s3://bucket/prefix`.

    Raises:
        WrongInput: `s3_target_bad`: no such form, or a name that no bucket can have.
    """
    match = _TARGET.fullmatch(written.strip())
    prefix = ((match["prefix"] if match else None) or "").strip("/")
    parts = prefix.split("/") if prefix else []
    is_fine = match is not None and ".." not in match["bucket"] and not _ADDRESS.fullmatch(match["bucket"])
    if match is None or not is_fine or {"", ".", ".."} & set(parts) or not prefix.isprintable():
        raise WrongInput("s3_target_bad", target=repr(written)[1:-1][:120])
    return Place(bucket=match["bucket"], prefix=prefix)


def endpoint(settings: Settings) -> str:
    """The server's address; "" for AWS.

    Raises:
        NotSupported: it is neither https nor http on loopback.
    """
    return settings.origin("s3", "endpoint", "") if settings.environ.get(ENDPOINT, "").strip() else ""


class Bucket:
    """One bucket, as long as `opened` holds it."""

    def __init__(self, client: Any, place: Place) -> None:
        self._client = client
        self._place = place

    def _at(self, path: str) -> dict[str, str]:
        return {"Bucket": self._place.bucket, "Key": self._place.key(path)}

    async def holds(self, artifact: Artifact) -> bool | None:
        """Whether exactly these bytes lie there; None where the server does not tell (keys that may only write)."""
        from botocore.exceptions import ClientError

        with self._told():
            try:
                seen = await self._client.head_object(**self._at(artifact.path))
            except ClientError as error:  # a HEAD has no words: what is wrong is said when something is sent
                return False if _status(error) == 404 else None
        is_same = seen["Metadata"].get("sha256") == artifact.sha256
        return bool(is_same and seen["ContentLength"] == artifact.size_bytes)

    async def put(self, artifact: Artifact, body: bytes) -> str:
        """Send a whole file; gives its ETag."""
        with self._told():
            reply = await self._client.put_object(
                **self._at(artifact.path), **_facts(artifact), Body=body, ContentMD5=_base64(body)
            )
        return str(reply["ETag"])

    # ------------------------------------------------------------------ in parts

    async def begin(self, artifact: Artifact) -> str:
        """Announce a file that comes in parts; gives the upload's id."""
        with self._told():
            reply = await self._client.create_multipart_upload(**self._at(artifact.path), **_facts(artifact))
        return str(reply["UploadId"])

    async def parts(self, path: str, upload_id: str) -> dict[int, str] | None:
        """MD5 of each part that is there; None: that upload is not known (any more), empty where we may not look.

        The first thousand: more than the largest artifact has.
        """
        from botocore.exceptions import ClientError

        with self._told():
            try:
                seen = await self._client.list_parts(**self._at(path), UploadId=upload_id)
            except ClientError as error:
                if _status(error) == 403:
                    return {}
                if _code(error) == "NoSuchUpload":
                    return None
                raise
        return {part["PartNumber"]: part["ETag"].strip('"') for part in seen.get("Parts", ())}

    async def send_part(self, path: str, upload_id: str, number: int, body: bytes) -> str:
        """Send one part (numbers count from 1); gives its ETag."""
        with self._told():
            reply = await self._client.upload_part(
                **self._at(path), UploadId=upload_id, PartNumber=number, Body=body, ContentMD5=_base64(body)
            )
        return str(reply["ETag"])

    async def finish(self, path: str, upload_id: str, etags: Mapping[int, str]) -> str:
        """Make one file of the parts; gives its ETag. Until then nobody sees it."""
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in sorted(etags.items())]
        with self._told():
            reply = await self._client.complete_multipart_upload(
                **self._at(path), UploadId=upload_id, MultipartUpload={"Parts": parts}
            )
        return str(reply["ETag"])

    async def abandon(self, path: str, upload_id: str) -> None:
        """Throw the parts away."""
        with self._told():
            await self._client.abort_multipart_upload(**self._at(path), UploadId=upload_id)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """The client's failures as ours."""
        from botocore import exceptions as said  # type: ignore[import-untyped]  # 2026-11-27, no stubs
        from botocore.parsers import ResponseParserError  # type: ignore[import-untyped]  # 2026-11-27, no stubs

        where = self._client.meta.endpoint_url
        try:
            yield
        except said.ClientError as error:
            raise _refused(error, self._place.bucket, where) from error
        except ResponseParserError as error:
            raise ProviderRefused("s3_no_server", endpoint=where) from error
        except (said.NoCredentialsError, said.CredentialRetrievalError, said.TokenRetrievalError) as error:
            raise KeyMissing("s3_keys_missing") from error
        except said.BotoCoreError as error:
            raise ProviderUnreachable("s3_unreachable", endpoint=where, detail=type(error).__name__) from error


@asynccontextmanager
async def opened(settings: Settings, place: Place) -> AsyncIterator[Bucket]:
    """A bucket to send to. Nothing is asked of the server yet.

    Raises:
        NotSupported: `s3_extra_missing`, or an endpoint that is neither https nor on loopback.
        KeyMissing: no keys, or no such profile.
    """
    url, keys = endpoint(settings), _keys(settings)
    session, region = await _session(settings, has_keys=bool(keys))
    connection = session.create_client(
        "s3", region_name=region, endpoint_url=url or None, config=_config(has_own_server=bool(url)), **keys
    )
    async with connection as client:
        yield Bucket(client, place)


async def _session(settings: Settings, *, has_keys: bool) -> tuple[AioSession, str]:
    """A session that has keys, and its region."""
    try:
        from aiobotocore.session import AioSession
        from botocore.exceptions import BotoCoreError, ProfileNotFound
    except ModuleNotFoundError as error:
        raise NotSupported("s3_extra_missing") from error
    profile, environ = settings.environ.get("AWS_PROFILE", "").strip(), settings.environ
    session = AioSession(profile=profile or None)
    try:
        chain = session.get_component("credential_provider")
        for network in ("container-role", "iam-role"):  # would ask an address of the local network
            chain.remove(network)
        if not has_keys and await session.get_credentials() is None:
            raise KeyMissing("s3_keys_missing")
        told = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
        return session, told or session.get_config_variable("region") or "us-east-1"
    except ProfileNotFound as error:
        raise KeyMissing("s3_profile_missing", name=profile[:60]) from error
    except BotoCoreError as error:
        raise KeyMissing("s3_keys_missing", detail=type(error).__name__) from error


def _keys(settings: Settings) -> dict[str, str]:
    """Keys that are given by name: all from one place, the process environment first; a profile there beats `.env`."""
    has_profile = bool(settings.environ.get("AWS_PROFILE", "").strip())
    for source in (settings.environ, {} if has_profile else settings.dotenv):
        key, secret = (source.get(name, "").strip() for name in _KEYS)
        if key and secret:
            token = source.get("AWS_SESSION_TOKEN", "").strip()
            extra = {"aws_session_token": token} if token else {}
            return {"aws_access_key_id": key, "aws_secret_access_key": secret, **extra}
    return {}


def _config(*, has_own_server: bool) -> Any:
    from aiobotocore.config import AioConfig  # type: ignore[import-untyped]  # 2026-11-27, no stubs

    return AioConfig(
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        connect_timeout=CONNECT_S,
        read_timeout=READ_S,
        proxies={},
        ignore_configured_endpoint_urls=True,
        request_checksum_calculation="when_required",  # trailing checksums are not understood by every server
        response_checksum_validation="when_required",
        s3={"addressing_style": "path"} if has_own_server else None,
    )


def _facts(artifact: Artifact) -> dict[str, Any]:
    return {"ContentType": artifact.media_type, "Metadata": {"sha256": artifact.sha256}}


def _base64(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))[:60]


def _refused(error: ClientError, bucket: str, where: str) -> Exception:
    """What a server's no means for the caller; its words are the detail."""
    code, words = _code(error), str(error.response.get("Error", {}).get("Message", ""))
    if code.isdigit() and _status(error) < 500:  # only a number: its body was not in the words of S3
        return ProviderRefused("s3_no_server", endpoint=where)
    if code == "NoSuchBucket":
        return NotFound("s3_bucket_missing", bucket=bucket, endpoint=where)
    if code in _BAD_KEYS:
        return KeyRejected("s3_keys_rejected", endpoint=where, code=code, detail=words)
    if _status(error) in {401, 403}:
        return KeyRejected("s3_denied", bucket=bucket, code=code, detail=words)
    return ProviderRefused("s3_refused", endpoint=where, code=code, status=_status(error), detail=words)
