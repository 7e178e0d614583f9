"""Where a restore goes to: --into, RESTORE_URL, or the source's own database or folder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from killick import engines
from killick.engines import Engine, Facts, Identified, Source, connect
from killick.errors import DatabaseMissing, NotFound, SettingsError
from killick.settings import Settings, target


@dataclass(frozen=True)
class Target:
    """`facts` is what it is now, None where it is not there yet. `server` is its cluster's identity, "" if unknown.

    `own`: the settings name it; else it was named by --into alone, and nothing backs it up.
    """

    source: Source
    engine: Engine
    facts: Facts | None
    server: str = ""
    own: bool = True

    @classmethod
    def of(cls, settings: Settings, source: str, into: str = "", kind: str = "", *, owners: bool = False) -> Target:
        """Looks at it, changes nothing. `kind` is the backup's engine, "" where it is not known yet.

        Raises SettingsError, Unreachable, AccessDenied, Unsupported.
        """
        place = replace(named(settings, source, into, kind), owners=owners)
        engine = connect(place)
        own = not into or place.url in {source.url for source in settings.sources}
        try:
            facts = engine.facts()
        except (DatabaseMissing, NotFound):
            return cls(place, engine, None, engine.server() if isinstance(engine, Identified) else "", own)
        return cls(place, engine, facts, facts.identity, own)

    @property
    def url(self) -> str:
        """Holds no password."""
        return self.source.url

    @property
    def name(self) -> str:
        """The database's name, or the folder's path: what has to be typed."""
        return self.facts.database if self.facts else urlsplit(self.url).path.removeprefix("/")

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or "localhost"

    @property
    def kind(self) -> str:
        return engines.name(self.url)


def named(settings: Settings, source: str, into: str, kind: str) -> Source:
    """A password is never shown: the URL holds none from here on."""
    own = next((each for each in settings.sources if each.name == source), None)
    if into:
        given = target(into)
        if not given.password:
            beside = [s for s in (*_urls(settings), own) if s and s.password and _place(s.url) == _place(given.url)]
            given = replace(given, password=beside[0].password if beside else "")
        return given
    found = _restore_url(settings, source, kind or (engines.name(own.url) if own else "")) or own
    if found is None:
        raise SettingsError("nothing says where to restore to", "name it with --into, or set RESTORE_URL")
    return found


def _restore_url(settings: Settings, source: str, kind: str) -> Source | None:
    """RESTORE_URL_<NAME>; else RESTORE_URL, which is of the source `db`, or of the only one of its engine."""
    for each in settings.restore_each:
        if each.name == source:
            return each
    general = settings.restore_to
    if general is None:
        return None
    alike = {each.name for each in settings.sources if engines.name(each.url) == engines.name(general.url)}
    if kind and engines.name(general.url) != kind and alike:
        return None
    return general if source in ("", "db") or not alike - {source} else None


def _urls(settings: Settings) -> list[Source]:
    return [*settings.restore_each, *([settings.restore_to] if settings.restore_to else [])]


def _place(url: str) -> tuple[str | None, str | None, int | None]:
    parts = urlsplit(url)
    return parts.username, parts.hostname, parts.port
