"""Every variable that killick reads. docs/settings.md is made from this table (python -m killick.settings)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from killick import schedule, signing
from killick.codecs import Choice
from killick.masking import rules
from killick.settings import values


@dataclass(frozen=True)
class Variable:
    """`default` is written as a user would write it; "" means none. A secret's value is never shown.

    A name that ends in <NAME> stands for many: the source's name in capitals takes its place.
    """

    name: str
    meaning: str
    default: str = ""
    parse: Callable[[str], Any] = values.text
    secret: bool = False
    example: str = ""
    file_form: bool = True

    @property
    def family(self) -> str:
        """What the names of a family begin with; "" for a variable that stands alone."""
        return self.name.removesuffix("<NAME>") if self.name.endswith("<NAME>") else ""


V = Variable
PASSWORD: dict[str, Any] = {"parse": values.exact, "secret": True}
GROUPS: dict[str, tuple[Variable, ...]] = {
    "What is backed up": (
        V("PROJECT", "the project's slug, a folder in the store (required)", parse=values.project, example="my-shop"),
        V("DATABASE_URL", "the source `db`: `postgres://user@host:5432/name`, `postgis://…`, `mongodb://…`",
          secret=True),
        V("DATABASE_URL_<NAME>", "more sources, named in lower case", secret=True),
        V("DATABASE_PASSWORD", "the password of `DATABASE_URL`, taken as it is, where the URL has none", **PASSWORD),
        V("DATABASE_PASSWORD_<NAME>", "the password of `DATABASE_URL_<NAME>`", **PASSWORD),
        V("POSTGRES_HOST", "with the four below: the source `db` when there is no `DATABASE_URL`", example="db"),
        V("POSTGRES_PORT", "its port", "5432", values.whole(1, 65535)),
        V("POSTGRES_USER", "the role that dumps", "postgres"),
        V("POSTGRES_DB", "the database; default: the user's name, as in the official image"),
        V("POSTGRES_PASSWORD", "the role's password", **PASSWORD),
        V("FILES_<NAME>", "a folder to archive (uploads, media)", parse=values.folder, example="/srv/uploads"),
        V("EXCLUDE_<NAME>", "globs of files to leave out, separated by commas",
          parse=values.globs, example="cache/*,*.tmp"),
    ),
    "Where it is stored": (
        V("STORE", "`s3://bucket/prefix` or `file:///backups`; S3 takes"
          " `?sse=aws:kms&kms_key_id=…&storage_class=STANDARD_IA`", "file:///backups"),
        V("AWS_ACCESS_KEY_ID", "the key's id; other `AWS_*` are read as boto3 reads them", secret=True),
        V("AWS_SECRET_ACCESS_KEY", "its secret", secret=True),
        V("AWS_SESSION_TOKEN", "for temporary keys", secret=True),
        V("AWS_ENDPOINT_URL", "an S3 server that is not Amazon's", example="https://s3.example.org", file_form=False),
    ),
    "When": (
        V("SCHEDULE", "words, `@daily`, cron, or `off`", "@daily", schedule.parse, example="every day at 03:00"),
        V("TZ", "the time zone of schedules and of retention's days", "UTC", values.zone, example="Europe/Brussels"),
    ),
    "How long it is kept": (
        V("KEEP_LAST", "the newest backups", "3", values.whole(0)),
        V("KEEP_DAILY", "the newest of each local day, for so many days", "7", values.whole(0)),
        V("KEEP_WEEKLY", "of each week", "4", values.whole(0)),
        V("KEEP_MONTHLY", "of each month", "12", values.whole(0)),
        V("KEEP_YEARLY", "of each year", "0", values.whole(0)),
        V("PRUNE", "`off` for credentials without the right to delete", "on", values.switch),
    ),
    "How it is made": (
        V("CODEC", "`lrzip`, `zstd`, `gzip`, `none`; `lrzip:9` sets a level", "lrzip", Choice.of),
        V("READ_BACK", "decode and compare each archive before its manifest is written; `off`: the verifier does", "on",
          values.switch),
        V("EVIDENCE", "`dump`: checksums of the dumped rows; `server`: by the server too, in a second scan", "dump",
          values.choice("dump", "server")),
        V("AGE_RECIPIENTS", "encrypt to these public keys (age); the sidecar cannot read what it wrote",
          parse=values.recipients, example="age1…"),
        V("AGE_IDENTITY", "the secret key, where backups are restored or verified", parse=values.identity, secret=True),
        V("JOBS", "parallel workers of a dump or restore; default: the processors of the container",
          parse=values.whole(1, 256)),
        V("SCRATCH_DIR", "room for raw data, largest table and archive; default: `/tmp/killick`",
          parse=values.folder, example="/scratch"),
        V("CACHE_DIR", "fetched archives, for the next restore; default: `~/.cache/killick`",
          parse=values.folder, example="/var/cache/killick"),
        V("CACHE_MAX_AGE", "what was not used for so long leaves it", "7d", values.duration),
        V("CACHE_MAX_SIZE", "what it may hold; the least recently used leave first", "20g", values.size),
        V("PROGRAMS", "more folders with databases' own programs, separated by colons", file_form=False),
    ),
    "Restoring": (
        V("RESTORE_URL", "the database (with a role that may) or folder that `restore` writes to; default: the source",
          secret=True),
        V("RESTORE_URL_<NAME>", "the same for the source of that name", secret=True),
        V("RESTORE_HOOKS", "a folder of scripts (`*.sql`, `*.js`, `*.sh`) that change a copy before it is in use",
          "/etc/killick/restore.d", values.folder),
        V("MASK", "rules that hide personal data in copies, separated by commas, semicolons or new lines",
          parse=rules.parse, example="users.email: email"),
        V("MASK_KEY", "makes masked values the same in every copy; without it each copy has its own", **PASSWORD),
        V("SEED", "`latest` or an id: fill an empty database from it before the app starts", "off", values.seed),
    ),
    "Verifying": (
        V("VERIFY_SCHEDULE", "as `SCHEDULE`", "every day at 05:00", schedule.parse),
        V("VERIFY_IN", "`process`, `container`, `off`; `auto`: a process where servers are installed, else a container",
          "auto", values.choice("auto", "container", "process", "off")),
        V("VERIFY_LEVEL", "how far: 0 stored … 4 same data, 5 makes sense, 6 works (files: at most 4); with a"
          " `VERIFY_COMMAND` the default is 6", "5",
          values.whole(0, 6)),
        V("VERIFY_CHECKS", "level 5: a folder of checks (`*.sql`, `*.js`) that each ask the copy for one value",
          "/etc/killick/checks.d", values.folder),
        V("VERIFY_MAY_VANISH", "level 5: tables that may be gone since the verified backup before",
          parse=values.globs, example="public.tmp_*,sessions"),
        V("VERIFY_COMMAND", "level 6 of the source `db`: must exit 0 against the copy; run without a shell",
          parse=values.command, example="./manage.py migrate --check"),
        V("VERIFY_COMMAND_<NAME>", "the same for the source of that name", parse=values.command),
        V("VERIFY_APP_IMAGE", "the image that it runs in; without one it runs beside killick", parse=values.image,
          example="registry.example/shop:1.4"),
        V("VERIFY_TIMEOUT", "longer counts as could-not-verify", "2h", values.duration),
        V("VERIFY_MEMORY", "what a throwaway may use; in a container its data too", "512m", values.memory),
        V("VERIFY_CPUS", "processors that a throwaway may use; default: all, when nobody else wants them",
          parse=values.processors, example="1.5"),
        V("VERIFY_IMAGES", "your own images for the official ones, or for all of a repository",
          parse=values.images, example="postgres:16=registry.example/pg:16,mongo=registry.example/mongo"),
        V("VERIFY_MAX_AGE", "alarm when nothing was verified for so long", "3d", values.duration),
        V("RTO", "how long a restore may take; longer is a warning", parse=values.duration, example="30m"),
        V("EVIDENCE_KEY", "an ed25519 private key that signs the evidence", parse=signing.private_key, secret=True),
        V("EVIDENCE_PUBLIC_KEY", "public keys whose signatures `show` believes, besides that of `EVIDENCE_KEY`",
          parse=signing.public_keys),
    ),
    "Telling": (
        V("METRICS_PORT", "`/metrics`, `/healthz` and the evidence page `/`; `off`", "9187", values.port),
        V("PAGE", "`off`: metrics and health alone, neither page nor badge", "on", values.switch),
        V("PAGE_PASSWORD", "asked for by the evidence page (any user name)", **PASSWORD),
        V("LOG_FORMAT", "`logfmt` or `json`", "logfmt", values.choice("logfmt", "json")),
        V("LOG_LEVEL", "`debug` shows tracebacks", "info", values.choice("debug", "info", "warning")),
        V("SENTRY_DSN", "errors and cron check-ins", parse=values.dsn, secret=True),
        V("NOTIFY_URLS", "Slack and a hundred others, as apprise writes them", parse=values.notify_urls, secret=True),
        V("DIGEST", "when `NOTIFY_URLS` are told of the last seven nights; as `SCHEDULE`", "every monday at 08:00",
          schedule.parse),
        V("PING_URL", "a dead-man's ping: asked after each success, `/fail` after a failure",
          parse=values.web, secret=True),
    ),
}  # fmt: skip

VARIABLES: tuple[Variable, ...] = tuple(v for group in GROUPS.values() for v in group)
BY_NAME = {v.name: v for v in VARIABLES}
FAMILIES = tuple(v.family for v in VARIABLES if v.family)

FOREIGN = frozenset(
    {
        # the official images of Postgres and MongoDB
        *("POSTGRES_HOST_AUTH_METHOD", "POSTGRES_INITDB_ARGS", "POSTGRES_INITDB_WALDIR"),
        *("MONGO_INITDB_ROOT_USERNAME", "MONGO_INITDB_ROOT_PASSWORD", "MONGO_INITDB_DATABASE"),
        # boto3
        *("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CA_BUNDLE", "AWS_CONFIG_FILE"),
        *("AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME"),
        *("AWS_SECURITY_TOKEN", "AWS_CREDENTIAL_EXPIRATION", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_STS"),
        # sentry-sdk, and what a shell or an image sets
        *("SENTRY_ENVIRONMENT", "SENTRY_RELEASE", "TZDIR", "TMPDIR", "HOSTNAME"),
    }
)
"""Names of others that lie near ours: never taken for a misspelling."""
