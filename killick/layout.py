"""The keys of a store: what stands where, and what a key alone tells. Pure.

    <project>/<stamp>-<source>.tar.lrz[.age]                                      the archive
    <project>/<stamp>-<source>.json                                               the manifest, written last
    <project>/<stamp>-<source>.evidence/<stamp>-<kind>-<result>-<level>.json      one for each verification
    <project>/<stamp>-<source>.failed-<class>.json                                an attempt that failed
    <project>/<source>.lock.<n>                                                   who is at work
    <project>/digest-<stamp>.json                                                 the newest digest that went out

A stamp is the start of the run in UTC, 20261123T030000Z; an id is <stamp>-<source>.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

STAMP = "%Y%m%dT%H%M%SZ"
_ID = r"(?P<stamp>\d{8}T\d{6}Z)-(?P<source>[a-z0-9][a-z0-9_]*)"
_KEY = re.compile(
    rf"{_ID}\.(?:(?P<archive>tar(?:\.[a-z0-9]+)?(?:\.age)?)|(?P<manifest>json)"
    r"|failed-(?P<failed>[a-z0-9-]+)\.json"
    r"|evidence/(?P<when>\d{8}T\d{6}Z)-(?P<kind>[a-z]+)-(?P<result>[a-z]+)-(?P<level>\d)\.json)"
)
_LOCK = re.compile(r"(?P<source>[a-z0-9][a-z0-9_]*)\.lock\.(?P<generation>\d+)")


@dataclass(frozen=True, slots=True)
class Key:
    """What a key below `<project>/` tells. `part`: archive, manifest, failed, evidence."""

    id: str
    source: str
    time: datetime
    part: str
    failed: str = ""
    when: datetime | None = None
    kind: str = ""
    result: str = ""
    level: int = 0


def stamp(time: datetime) -> str:
    return time.astimezone(UTC).strftime(STAMP)


def moment(text: str) -> datetime:
    """The reverse of `stamp`. Raises ValueError."""
    if len(text) != len("20261123T030000Z") or not text.endswith("Z"):
        raise ValueError(text)
    return datetime.fromisoformat(text)  # a fleet has a million of them: strptime takes eight times as long


def rfc3339(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def backup_id(time: datetime, source: str) -> str:
    return f"{stamp(time)}-{source}"


def archive(project: str, id: str, suffix: str) -> str:
    """`suffix` as the codec and the encryption give it: ".lrz", ".lrz.age", ""."""
    return f"{project}/{id}.tar{suffix}"


def manifest(project: str, id: str) -> str:
    return f"{project}/{id}.json"


def failed(project: str, id: str, kind: str) -> str:
    return f"{project}/{id}.failed-{kind}.json"


def evidence(project: str, id: str, when: datetime, kind: str, result: str, level: int) -> str:
    """`kind`: backup, verify, refresh, overdue. `result`: passed, failed, unverifiable."""
    return f"{project}/{id}.evidence/{stamp(when)}-{kind}-{result}-{level}.json"


def lock(project: str, source: str, generation: int) -> str:
    return f"{project}/{source}.lock.{generation}"


DIGEST = "{}/digest-"
"""What the keys of a project's digests begin with."""


def digest(project: str, planned: datetime) -> str:
    return f"{DIGEST.format(project)}{stamp(planned)}.json"


def parse(project: str, key: str) -> Key | None:
    """None for a key that killick did not write: it is never touched."""
    match = _KEY.fullmatch(key.removeprefix(f"{project}/")) if key.startswith(f"{project}/") else None
    if match is None:
        return None
    try:
        time = moment(match["stamp"])
        when = moment(match["when"]) if match["when"] else None
    except ValueError:  # 20261399T…: looks like ours, is not
        return None
    part = "evidence" if when else next(p for p in ("archive", "manifest", "failed") if match[p])
    return Key(
        id=f"{match['stamp']}-{match['source']}",
        source=match["source"],
        time=time,
        part=part,
        failed=match["failed"] or "",
        when=when,
        kind=match["kind"] or "",
        result=match["result"] or "",
        level=int(match["level"] or 0),
    )


def parse_lock(project: str, key: str) -> tuple[str, int] | None:
    """(source, generation) of a lock's key, else None."""
    match = _LOCK.fullmatch(key.removeprefix(f"{project}/")) if key.startswith(f"{project}/") else None
    return (match["source"], int(match["generation"])) if match else None
