"""The environment → one frozen `Settings`, with every problem told at once.

Only what is given is checked: `list` needs a project and a store, and no source. A verb says what it needs:
`settings.load(os.environ, "project", "sources")`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

from killick import engines, stores
from killick.codecs import Choice
from killick.engines import Source
from killick.errors import NotFound, SettingsError
from killick.limits import limits
from killick.masking import Mask
from killick.retention import Policy
from killick.schedule import OFF, Schedule, parse
from killick.settings.environ import Reader
from killick.settings.sources import Sources, database, folder, target
from killick.stores import Access

__all__ = ["Settings", "load", "target"]

_UTC = ZoneInfo("UTC")
COMMAND_OF = "db"
"""The source that VERIFY_COMMAND belongs to, as DATABASE_URL does."""


@dataclass(frozen=True)
class Verify:
    """`timeout`, `max_age`, `rto` (0: none) in seconds, `memory` in bytes. `where`: auto, container, process, off.

    `checks` is the folder of the project's own, `may_vanish` are patterns of tables' names.
    `cpus` is 0 for all that there are. `images` are the project's own by the official ones that they stand for.
    `commands` are by source, and run in `app_image`, "" for beside killick: then `where` is never auto.
    """

    schedule: Schedule = OFF
    where: str = "auto"
    level: int = 5
    checks: Path = Path("/etc/killick/checks.d")
    may_vanish: tuple[str, ...] = ()
    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    app_image: str = ""
    timeout: float = 7200.0
    memory: int = 512 << 20
    cpus: float = 0.0
    images: Mapping[str, str] = field(default_factory=dict)
    max_age: float = 259200.0
    rto: float = 0.0
    evidence_key: str = field(default="", repr=False)
    evidence_public_keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Telling:
    """Whom killick tells what; all but the log are off when empty."""

    log_format: str = "logfmt"
    log_level: str = "info"
    metrics_port: int = 9187
    page: bool = True
    page_password: str = field(default="", repr=False)
    sentry_dsn: str = field(default="", repr=False)
    notify_urls: tuple[str, ...] = field(default=(), repr=False)
    digest: Schedule = field(default_factory=lambda: parse("every monday at 08:00"))
    ping_url: str = field(default="", repr=False)


@dataclass(frozen=True)
class Settings:
    """`project` is "" and `sources` empty where they were not given.

    `recipients` and `identity` are age's; `cache_age` is in seconds, `cache_size` in bytes; `restore_to` is RESTORE_URL
    as a source, `restore_each` are those of single sources, `hooks` is the folder of their scripts; `mask` holds
    MASK_KEY too.
    """

    project: str = ""
    sources: tuple[Source, ...] = ()
    store: str = "file:///backups"
    access: Access = field(default_factory=Access)
    schedule: Schedule = OFF
    zone: ZoneInfo = _UTC
    keep: Policy = field(default_factory=Policy)
    prune: bool = True
    codec: Choice = field(default_factory=lambda: Choice.of("lrzip"))
    read_back: bool = True
    evidence: str = "dump"
    recipients: tuple[str, ...] = ()
    identity: str = field(default="", repr=False)
    jobs: int = 1
    scratch: Path = Path("/tmp/killick")  # noqa: S108  # each run makes its own folder in it, mode 0700
    cache: Path = Path("/tmp/killick-cache")  # noqa: S108  # `load` always sets it
    cache_age: float = 604800.0
    cache_size: int = 20 << 30
    restore_to: Source | None = None
    restore_each: tuple[Source, ...] = ()
    hooks: Path = Path("/etc/killick/restore.d")
    mask: Mask | None = None
    mask_key: str = field(default="", repr=False)
    seed: str = ""
    verify: Verify = Verify()
    telling: Telling = Telling()

    def source(self, name: str) -> Source:
        """Raises NotFound, naming the sources there are."""
        for source in self.sources:
            if source.name == name:
                return source
        known = ", ".join(s.name for s in self.sources) or "none"
        raise NotFound(f"there is no source {name!r}", f"the settings name {known}")

    @property
    def verifies_nothing(self) -> bool:
        """Verification is off here, or could not decrypt what is written."""
        verify = self.verify
        return verify.schedule.off or verify.where == "off" or bool(self.recipients and not self.identity)

    def require(self, *names: str) -> None:
        """Raises SettingsError for each of `names` that was not given: project, sources, restore_to, identity."""
        problems = self.missing(names)
        if problems:
            raise SettingsError(problems, HINT)

    def missing(self, names: tuple[str, ...]) -> list[str]:
        return [_CURES.get(name, f"{name.upper()} is not set") for name in names if not getattr(self, name)]

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret that was given, to be blotted out of what others say."""
        lines = [self.access.key_id, self.access.secret, self.access.token, self.identity, self.mask_key]
        lines += [s.password for s in (*self.sources, *self.restore_each, self.restore_to) if s]
        lines += [self.verify.evidence_key, self.telling.page_password, self.telling.sentry_dsn]
        lines += [self.telling.ping_url, *self.telling.notify_urls]
        return tuple(line for line in lines if line)


HINT = "docs/settings.md explains every variable"
_CURES = {
    "project": "PROJECT is not set: give the project's slug, as in PROJECT=my-shop",
    "sources": "no source is set: give DATABASE_URL=postgres://user@host:5432/name, or FILES_UPLOADS=/srv/uploads",
    "restore_to": "RESTORE_URL is not set: give the database to restore into, or name it with --into",
    "identity": "AGE_IDENTITY_FILE is not set: give the secret key's file",
}


_NAMES = {
    "project": ("PROJECT",),
    "sources": ("DATABASE_URL", "FILES_", "POSTGRES_HOST", "POSTGRES_DB", "POSTGRES_USER", "POSTGRES_PASSWORD"),
    "restore_to": ("RESTORE_URL",),
    "identity": ("AGE_IDENTITY",),
}
"""What sets each: where one of these was given and is wrong, that has been told already."""


def load(environ: Mapping[str, str], *needed: str) -> Settings:
    """Raises SettingsError with every problem, those of `needed` (see `require`) among them."""
    read = Reader(environ)
    settings = _settings(read)
    read.unknown()
    missing = settings.missing(tuple(name for name in needed if not read.begins(*_NAMES.get(name, ()))))
    problems = list(dict.fromkeys([*missing, *read.problems]))
    if problems:
        raise SettingsError(problems, HINT)
    return settings


def _settings(read: Reader) -> Settings:
    schemes = engines.modules().keys()
    return Settings(
        project=read("PROJECT") or "",
        sources=Sources(read, schemes).all(),
        store=_store(read),
        access=_access(read),
        schedule=read("SCHEDULE") or OFF,
        zone=read("TZ") or _UTC,
        keep=Policy(*(read(f"KEEP_{each}") or 0 for each in ("LAST", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"))),
        prune=bool(read("PRUNE")),
        codec=read("CODEC") or Choice.of("lrzip"),
        read_back=bool(read("READ_BACK")),
        evidence=read("EVIDENCE") or "dump",
        recipients=read("AGE_RECIPIENTS") or (),
        identity=read("AGE_IDENTITY") or "",
        jobs=read("JOBS") or limits().cpus,
        scratch=read("SCRATCH_DIR") or Path(tempfile.gettempdir(), "killick"),
        cache=read("CACHE_DIR") or Path("~/.cache/killick").expanduser(),
        restore_to=_restore(read, "RESTORE_URL", "restore", read("RESTORE_URL")),
        restore_each=tuple(
            source
            for suffix, url in read.family("RESTORE_URL_")
            if (source := _restore(read, f"RESTORE_URL_{suffix}", suffix.lower(), url))
        ),
        hooks=read("RESTORE_HOOKS") or Path("/etc/killick/restore.d"),
        cache_age=read("CACHE_MAX_AGE") or 0.0,
        cache_size=read("CACHE_MAX_SIZE") or 0,
        mask=_mask(read),
        mask_key=read("MASK_KEY") or "",
        seed=read("SEED") or "",
        verify=_verify(read),
        telling=_telling(read),
    )


def _restore(read: Reader, variable: str, name: str, url: str | None) -> Source | None:
    if url and (path := folder(url)):
        return Source(name, path)
    target = database(read, variable, url, None, sorted(engines.modules().keys() - {"file"})) if url else None
    return Source(name, target.url, password=target.password) if target else None


def _mask(read: Reader) -> Mask | None:
    rules = read("MASK")
    return Mask(rules, read("MASK_KEY") or "") if rules else None


def _verify(read: Reader) -> Verify:
    commands, app_image, where = _commands(read), read("VERIFY_APP_IMAGE") or "", read("VERIFY_IN") or "auto"
    if app_image and not commands:
        read.problems.append("VERIFY_APP_IMAGE is set without a command to run in it: set VERIFY_COMMAND")
    if app_image and where == "process":
        read.problems.append("VERIFY_APP_IMAGE needs a throwaway in a container: set VERIFY_IN=container, or auto")
    return Verify(
        schedule=read("VERIFY_SCHEDULE") or OFF,
        where="container" if app_image and where == "auto" else where,
        level=read("VERIFY_LEVEL") or 0 if read.given("VERIFY_LEVEL") or not commands else 6,
        checks=read("VERIFY_CHECKS") or Path("/etc/killick/checks.d"),
        may_vanish=read("VERIFY_MAY_VANISH") or (),
        commands=commands,
        app_image=app_image,
        timeout=read("VERIFY_TIMEOUT") or 0.0,
        memory=read("VERIFY_MEMORY") or 0,
        cpus=read("VERIFY_CPUS") or 0.0,
        images=read("VERIFY_IMAGES") or {},
        max_age=read("VERIFY_MAX_AGE") or 0.0,
        rto=read("RTO") or 0.0,
        evidence_key=read("EVIDENCE_KEY") or "",
        evidence_public_keys=read("EVIDENCE_PUBLIC_KEY") or (),
    )


def _commands(read: Reader) -> dict[str, tuple[str, ...]]:
    """By source; as with URLs, the one without a name belongs to `db`."""
    found = {suffix.lower(): command for suffix, command in read.family("VERIFY_COMMAND_")}
    if command := read("VERIFY_COMMAND"):
        if COMMAND_OF in found:
            read.problems.append("VERIFY_COMMAND and VERIFY_COMMAND_DB are both of the source 'db': keep one of them")
        found[COMMAND_OF] = command
    for source in found:
        if read.given(f"FILES_{source.upper()}"):
            read.problems.append(f"VERIFY_COMMAND_{source.upper()}: a copy of a folder has no server: take it out")
    return found


def _telling(read: Reader) -> Telling:
    return Telling(
        log_format=read("LOG_FORMAT") or "logfmt",
        log_level=read("LOG_LEVEL") or "info",
        metrics_port=read("METRICS_PORT") or 0,
        page=bool(read("PAGE")),
        page_password=read("PAGE_PASSWORD") or "",
        sentry_dsn=read("SENTRY_DSN") or "",
        notify_urls=read("NOTIFY_URLS") or (),
        digest=read("DIGEST") or OFF,
        ping_url=read("PING_URL") or "",
    )


def _store(read: Reader) -> str:
    """The URL without a slash at its end; its user part is never shown."""
    url: str = read("STORE") or ""
    scheme, colon, rest = url.partition("://")
    place = rest.partition("/")[0]
    known = sorted(stores.modules())
    problem = ""
    if not colon or scheme not in known:
        problem = f"is not one of {', '.join(s + '://' for s in known)}: write s3://bucket/prefix or file:///backups"
    elif "@" in place:
        problem = "holds credentials: give them as AWS_ACCESS_KEY_ID_FILE and AWS_SECRET_ACCESS_KEY_FILE"
    elif "#" in rest or ("?" in rest and scheme == "file"):
        problem = "holds a ? or #: write it without"
    elif scheme == "file" and not rest.startswith("/"):
        problem = "is not an absolute path: write three slashes, as in file:///backups"
    elif scheme == "s3" and not place:
        problem = "names no bucket: write s3://bucket/prefix"
    if problem and url:
        read.problems.append(f"STORE {problem}")
    elif "?" in rest:
        read.problems += _options(url)
    return url.rstrip("/") if rest.strip("/") else url


def _options(url: str) -> list[str]:
    """What the store has to say of the URL's options; the server is none of them."""
    try:
        stores.connect(url)
    except SettingsError as error:
        return [f"{problem}; the server goes into AWS_ENDPOINT_URL" for problem in error.problems]
    return []


def _access(read: Reader) -> Access:
    access = Access(
        key_id=read("AWS_ACCESS_KEY_ID") or "",
        secret=read("AWS_SECRET_ACCESS_KEY") or "",
        token=read("AWS_SESSION_TOKEN") or "",
    )
    if read.given("AWS_ACCESS_KEY_ID") != read.given("AWS_SECRET_ACCESS_KEY"):
        have, lack = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
        if not read.given(have):
            have, lack = lack, have
        read.problems.append(f"{have} is set without {lack}: set both (or their _FILE forms), or neither")
    return access
