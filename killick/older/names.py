"""What the keys of older archives tell. Pure. (What is inside: by content, elsewhere.)

    <project>/202611/app.20261106-020000.sql.lrz        also flat, and in folders of a day
    <project>/2026/11/06/app.sql.lrz
    <project>/202611/app-dump.20261102-040000.tar.lrz
    <project>/20160504.tar.lrz                          a date alone
    <project>/by-hand.sql.gz                            none: the object's own time
    <project>/logs/…                                    no backups

Stamps are local time without a zone. The id of such a backup is its key below <project>/; its evidence lies in
`<key>.evidence/`, as for killick's own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from killick import layout

SOURCE = "db"
"""The source that older archives are listed under: the scripts knew one database for each project."""

_PACKED = r"lrz|zstd?|gz|bz2|xz|lzma|z"
_NAME = re.compile(
    r"[^/.][^/]*\.(?:"
    r"(?:sql|psql|pgsql|dump|pgdump|pg_dump|backup|archive|mongodump|tar)(?:[-._]\d[-_\dT]*Z?)?"
    rf"(?:\.(?:sql|tar|{_PACKED}))*"
    r"|tgz|tbz2?|txz|tzst)",
    re.IGNORECASE,
)
_LOG = re.compile(r"\.log\b", re.IGNORECASE)
_PACKED_NAME = re.compile(rf"(?i:\.(?:{_PACKED}))+$")
_EVIDENCE = re.compile(
    r"(?P<id>.+)\.evidence/(?P<when>\d{8}T\d{6}Z)-(?P<kind>[a-z]+)-(?P<result>[a-z]+)-(?P<level>\d)\.json"
)
_STAMP = re.compile(
    r"(?<!\d)(?P<day>(?:19|20)\d\d(?P<dash>[-_.]?)\d\d(?P=dash)\d\d)"
    r"(?:[-_T. ]?(?P<time>\d\d(?P<colon>[-_:.]?)\d\d(?:(?P=colon)\d\d)?)(?P<zone>Z|[+-]\d\d:\d\d|\+\d{4})?)?(?!\d)"
)


@dataclass(frozen=True, slots=True)
class Older:
    """`time` is None where the name tells none. `evidence`: the key is a record about the archive `id`."""

    id: str
    time: datetime | None
    evidence: layout.Key | None = None


def parse(project: str, key: str, zone: tzinfo) -> Older | None:
    """None for what no script of ours wrote as a backup. Ask `layout.parse` first: its keys look alike."""
    if not key.startswith(f"{project}/"):
        return None
    below = key.removeprefix(f"{project}/")
    if match := _EVIDENCE.fullmatch(below):
        try:
            when = layout.moment(match["when"])
        except ValueError:
            return None
        about = parse(project, f"{project}/{match['id']}", zone)
        if about is None or about.evidence:
            return None
        record = layout.Key(
            id=about.id,
            source=SOURCE,
            time=about.time or when,
            part="evidence",
            when=when,
            kind=match["kind"],
            result=match["result"],
            level=int(match["level"]),
        )
        return Older(about.id, about.time, record)
    *folders, name = below.split("/")
    if "logs" in folders or _LOG.search(name) or not _NAME.fullmatch(name):
        return None
    times = (moment(part, zone) for part in (name, *reversed(folders), "-".join(folders[-3:])))
    return Older(below, next(filter(None, times), None))


def moment(name: str, zone: tzinfo) -> datetime | None:
    """The stamp in a file's name, read in `zone` unless it ends in its own (Z, +01:00, +0100); in UTC.

    A date alone is its midnight.
    """
    for match in _STAMP.finditer(name):
        day, time = (re.sub(r"\D", "", match[part] or "") for part in ("day", "time"))
        try:
            local = datetime.strptime(day + time.ljust(6, "0"), "%Y%m%d%H%M%S")
            own = datetime.strptime(match["zone"], "%z").tzinfo if match["zone"] else None
        except ValueError:  # digits that are no date, or no offset
            continue
        return local.replace(tzinfo=own or zone).astimezone(UTC)
    return None


def unpacked(id: str) -> str:
    """The name of what is in an archive: 202611/app.20261106-020000.sql.lrz → app.20261106-020000.sql."""
    name = id.rpartition("/")[2]
    return _PACKED_NAME.sub("", name) or name
