"""What an S3 server or the way to it says, as an error with its cure. No message of theirs that could hold a key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from killick.errors import NoSpace, NotFound, StoreDenied, StoreError, Taken

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError, ClientError

_PERMISSIONS = {
    "PutObject": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "HeadObject": "s3:GetObject (and s3:ListBucket on the bucket, else an absent key looks forbidden)",
    "GetObject": "s3:GetObject",
    "ListObjectsV2": "s3:ListBucket on the bucket",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads on the bucket",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "DeleteObject": "s3:DeleteObject (or PRUNE=off, where these keys are not to delete)",
}
_WRONG_KEYS = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "AuthorizationHeaderMalformed", "InvalidSecurity"}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired"}
_FULL = {"QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "StorageFull", "NoSuchVolume"}
_ELSEWHERE = {"PermanentRedirect", "TemporaryRedirect", "IllegalLocationConstraintException"}


@contextmanager
def explained(bucket: str, key: str, region: str) -> Iterator[None]:
    """Raises this project's errors for boto3's."""
    from botocore.exceptions import BotoCoreError, ClientError  # the idle loop loads no boto3

    try:
        yield
    except ClientError as error:
        raise _answered(error, bucket, key, region) from None
    except BotoCoreError as error:
        raise _on_the_way(error, bucket) from None


def code(error: ClientError) -> str:
    """S3's own code, or the HTTP status where an answer has no body."""
    return str(error.response.get("Error", {}).get("Code") or status(error))


def status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _answered(
    error: ClientError, bucket: str, key: str, region: str
) -> StoreError | NotFound | NoSpace:  # one line per cure
    said, http, action = code(error), status(error), error.operation_name
    what = f"{action} of {key or 'keys'} in s3://{bucket}"
    if said == "NoSuchBucket":
        return StoreError(f"there is no bucket {bucket}", "make it, or mend STORE; killick makes no buckets")
    if said == "NoSuchUpload":
        return StoreError(f"{what} failed: somebody aborted the upload", "try again")
    if said == "InvalidObjectState":
        return StoreError(f"{key} lies in archive storage", "restore the object there first, then try again")
    if http == 404:
        return NotFound(f"there is no {key} in s3://{bucket}", "killick list shows what there is")
    if said in {"RequestTimeTooSkewed", "RequestExpired"}:
        date = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "another time")
        return StoreError(
            f"the store refuses requests because this machine's clock is wrong: the store has {date}",
            "set the clock: timedatectl set-ntp true, on the host",
        )
    if said in _WRONG_KEYS:
        return StoreDenied(
            f"{what} was refused: {said}",
            f"look at AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, and AWS_DEFAULT_REGION (now {region})",
        )
    if said in _EXPIRED:
        return StoreDenied(f"{what} was refused: the session token has expired", "renew AWS_SESSION_TOKEN")
    if said in _FULL or http == 507:
        return NoSpace(f"the store is full: {said}", "free some, or raise the quota")
    if http in (401, 403):
        return StoreDenied(
            f"{what} is not allowed to these keys ({said})", f"allow {_PERMISSIONS.get(action, f's3:{action}')}"
        )
    if http == 412 or said == "ConditionalRequestConflict":
        return Taken(f"{key} is in use")
    if said in _ELSEWHERE or http in (301, 307):
        return StoreError(f"the bucket {bucket} is not in the region {region}", "set AWS_DEFAULT_REGION to its own")
    if http >= 500 or http == 429:
        tries = int(error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0)) + 1
        return StoreError(f"{what} failed {tries} times: the store answers {http} ({said})", "try later")
    return StoreError(f"{what} failed: the store answers {http} ({said})")


def _on_the_way(error: BotoCoreError, bucket: str) -> StoreError:
    name = type(error).__name__
    if name in {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"}:
        return StoreDenied(
            f"there are no keys for s3://{bucket}", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY_FILE"
        )
    if name in {"ParamValidationError", "InvalidBucketNameError"}:
        return StoreError(f"{bucket!r} cannot be a bucket's name", "mend STORE: s3://bucket/prefix")
    if name == "SSLError":
        return StoreError(f"s3://{bucket}: the certificate of the server is not trusted", "set AWS_CA_BUNDLE")
    if name in {"IncompleteReadError", "ResponseStreamingError"}:
        return StoreError(
            f"the download from s3://{bucket} was cut again and again", "try again: it goes on from there"
        )
    return StoreError(
        f"s3://{bucket} cannot be reached ({name})", "look at AWS_ENDPOINT_URL, and whether the network is up"
    )
