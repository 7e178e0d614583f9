"""S3 and what speaks like it: s3://bucket/prefix.

The URL may say more: ?sse=AES256, ?sse=aws:kms&kms_key_id=…, &storage_class=STANDARD_IA, &addressing=virtual (path
style is taken where AWS_ENDPOINT_URL is set). Endpoint, region, profile and roles are as boto3 reads them.

Nothing waits for ever: a request is tried six times (AWS_MAX_ATTEMPTS) with growing pauses, about half a minute
in all; an answer may take a minute to begin. A put carries a token of its own in the object's metadata: when the
answer to it is lost and boto3 asks again, "in use" by that very token is success.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from killick.errors import KillickError, NotFound, SettingsError, StoreError
from killick.stores import Access, Stored
from killick.stores._download import download
from killick.stores._multipart import PART, Part, send_all
from killick.stores._s3_errors import code, explained, status
from killick.stores._threads import THREADS
from killick.watch import Watch, unwatched

SCHEMES = ("s3",)
TRIAL = "s3://{bucket}/trial"

ATTEMPTS = 6
_TOKEN = "killick-put"  # noqa: S105  # the name of a field
_OPTIONS = {"sse": "ServerSideEncryption", "kms_key_id": "SSEKMSKeyId", "storage_class": "StorageClass"}
_ADDRESSING = ("auto", "path", "virtual")


def connect(url: str, access: Access) -> S3:
    """Raises SettingsError for a URL without a bucket or with an option that there is not."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    addressing = options.pop("addressing", "path" if _own_endpoint() else "auto")
    problems = [f"STORE: {url!r} names no bucket: s3://bucket/prefix"] if not parts.netloc else []
    problems += [
        f"STORE: there is no option {name!r} (there are {', '.join(sorted([*_OPTIONS, 'addressing']))})"
        for name in options.keys() - _OPTIONS.keys()
    ]
    if addressing not in _ADDRESSING:
        problems.append(f"STORE: addressing={addressing!r} has to be one of {', '.join(_ADDRESSING)}")
    attempts = os.environ.get("AWS_MAX_ATTEMPTS") or str(ATTEMPTS)
    if not attempts.isdigit() or attempts == "0":
        problems.append(f"AWS_MAX_ATTEMPTS={attempts!r} has to be a number from 1")
    if problems:
        raise SettingsError(problems)
    extras = {_OPTIONS[name]: value for name, value in options.items() if value}
    return S3(parts.netloc, unquote(parts.path).strip("/"), access, extras, addressing, int(attempts))


def _own_endpoint() -> bool:
    return bool(os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"))


@dataclass
class S3:
    """`extras` go with every put: encryption and storage class."""

    bucket: str
    prefix: str
    access: Access = field(default_factory=Access)
    extras: dict[str, str] = field(default_factory=dict)
    addressing: str = "auto"
    attempts: int = ATTEMPTS

    def put(
        self, key: str, path: Path, *, if_absent: bool = False, sha256: str = "", watch: Watch = unwatched
    ) -> Stored:
        size = path.stat().st_size
        send = self._put_one if size <= PART else self._put_parts
        with self._explained(key):
            etag, checksums = send(key, path, if_absent, sha256, watch)
            try:
                head = self._head(key)
            except BaseException:
                if if_absent:  # nobody else can have put it
                    with suppress(Exception):
                        self._client.delete_object(Bucket=self.bucket, Key=self._key(key))
                raise
            return self._compared(key, size, etag, checksums, head)

    def get(self, key: str, path: Path, *, watch: Watch = unwatched) -> None:
        name = {"Bucket": self.bucket, "Key": self._key(key)}
        with self._explained(key):
            download(self._client, name, key, path, self.attempts, watch)

    def list(self, prefix: str) -> Iterator[Stored]:
        skip = len(self._key(""))
        with self._explained(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self._key(prefix), PaginationConfig={"PageSize": 1000}
            )
            for page in pages:
                for entry in page.get("Contents", ()):
                    if not entry["Key"].endswith("/"):  # what consoles make to show a folder
                        yield Stored(entry["Key"][skip:], entry["Size"], _utc(entry["LastModified"]), entry["ETag"])

    def delete(self, key: str) -> None:
        with self._explained(key), suppress(NotFound):
            self._client.delete_object(Bucket=self.bucket, Key=self._key(key))

    def sweep(self, key: str) -> int:
        """Aborts every multipart upload of `key`: what it has sent so far is billed until then."""
        name = self._key(key)
        with self._explained(key):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket, Prefix=name)
            uploads = [u["UploadId"] for page in pages for u in page.get("Uploads", ()) if u["Key"] == name]
            for upload in uploads:
                self._client.abort_multipart_upload(Bucket=self.bucket, Key=name, UploadId=upload)
        return len(uploads)

    @cached_property
    def _client(self) -> Any:
        """boto3 takes a third of a second and 30 MB: the sidecar's loop never comes here."""
        from boto3.session import Session
        from botocore.config import Config

        session: Any = Session(
            aws_access_key_id=self.access.key_id or None,
            aws_secret_access_key=self.access.secret or None,
            aws_session_token=self.access.token or None,
        )
        # A signed payload is compared by every server, also by one that knows no x-amz-checksum.
        s3: Any = {"addressing_style": self.addressing, "payload_signing_enabled": True}
        with self._explained(""):
            return session.client(
                "s3",
                region_name=os.environ.get("AWS_REGION") or session.region_name or "us-east-1",
                config=Config(
                    retries={"mode": "standard", "total_max_attempts": self.attempts},
                    connect_timeout=10,
                    read_timeout=60,
                    max_pool_connections=THREADS + 2,
                    # Ours is SHA-256 on every put; what boto3 would add, servers of others may not know.
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                    s3=s3,
                ),
            )

    def _key(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key

    def _explained(self, key: str) -> AbstractContextManager[None]:
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
        return explained(self.bucket, key, region)

    def _put_one(self, key: str, path: Path, if_absent: bool, sha256: str, watch: Watch) -> tuple[str, set[str]]:
        data = path.read_bytes()
        digest = hashlib.sha256(data)
        _same(key, digest.hexdigest(), sha256)
        checksum = base64.b64encode(digest.digest()).decode()
        token = secrets.token_hex(16)
        about = {"ChecksumSHA256": checksum, "Metadata": {_TOKEN: token}, **self.extras}
        etag = ""
        with self._absent(key, token, if_absent) as condition:
            answer = self._client.put_object(Bucket=self.bucket, Key=self._key(key), Body=data, **about, **condition)
            etag = str(answer["ETag"])
        watch(len(data), len(data))
        return etag, {checksum}

    def _put_parts(self, key: str, path: Path, if_absent: bool, sha256: str, watch: Watch) -> tuple[str, set[str]]:
        token = secrets.token_hex(16)
        client, name = self._client, {"Bucket": self.bucket, "Key": self._key(key)}
        made = client.create_multipart_upload(
            **name, ChecksumAlgorithm="SHA256", Metadata={_TOKEN: token}, **self.extras
        )
        upload = {**name, "UploadId": made["UploadId"]}

        def send(part: Part) -> str:
            about = {"PartNumber": part.number, "ContentLength": len(part.body), "ChecksumSHA256": part.checksum}
            return str(client.upload_part(**upload, **about, Body=part.body)["ETag"])

        etag = ""
        try:
            parts = send_all(path, send, watch)
            _same(key, parts.sha256, sha256)
            with self._absent(key, token, if_absent) as condition:
                done = client.complete_multipart_upload(
                    **upload, MultipartUpload={"Parts": parts.completed()}, **condition
                )
                etag = str(done["ETag"])
        except BaseException:
            with suppress(Exception):  # the first error is the one to tell; a lock's sweep gets another chance
                client.abort_multipart_upload(**upload)
            raise
        return etag, {parts.composite, base64.b64encode(bytes.fromhex(parts.sha256)).decode()}

    @contextmanager
    def _absent(self, key: str, token: str, if_absent: bool) -> Iterator[dict[str, str]]:
        """Says what to send along; a refusal because of our own earlier try is success."""
        from botocore.exceptions import ClientError

        try:
            yield {"IfNoneMatch": "*"} if if_absent else {}
        except ClientError as error:
            taken = status(error) == 412 or code(error) in {"ConditionalRequestConflict", "NoSuchUpload"}
            if not taken or self._token(key) != token:
                raise

    def _token(self, key: str) -> str:
        with suppress(KillickError), self._explained(key):
            return str(self._head(key).get("Metadata", {}).get(_TOKEN, ""))
        return ""

    def _head(self, key: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._client.head_object(
            Bucket=self.bucket, Key=self._key(key), ChecksumMode="ENABLED"
        )
        return answer

    def _compared(self, key: str, size: int, etag: str, checksums: set[str], head: dict[str, Any]) -> Stored:
        """What the store says that it has. What differs, and is still ours, is deleted."""
        said, has = head.get("ChecksumSHA256", ""), head["ContentLength"]
        if has == size and (not said or said in checksums):
            digest = base64.b64decode(said).hex() if said and "-" not in said else ""
            return Stored(key, size, _utc(head["LastModified"]), head["ETag"], digest)
        if not etag or etag == head["ETag"]:
            with suppress(KillickError):
                self.delete(key)
        what = f"{has} bytes" if has != size else "another SHA-256"
        raise StoreError(
            f"{key}: {size} bytes were sent, and the store has {what}; the object is not used",
            "try again; if it stays, the store or a proxy before it alters data",
        )


def _same(key: str, digest: str, wanted: str) -> None:
    if wanted and digest != wanted:
        raise StoreError(f"{key}: the file changed on its way: its SHA-256 is not the one it should have")


def _utc(time: datetime) -> datetime:
    return time.astimezone(UTC)
