"""Five states of the page: what the pictures of docs/ show, and what the browser looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from killick.state import SourceState, State, Verification

NOW = datetime(2026, 11, 23, 10, 12, tzinfo=UTC).timestamp()
HOUR, DAY = 3600.0, 86400.0
NIGHT = NOW - 7.2 * HOUR


def source(name: str = "db", engine: str = "postgres", megabytes: float = 49.1, **more: Any) -> SourceState:
    """Backed up and verified this night, and all nights before."""
    size = int(megabytes * 1e6)
    well = SourceState(
        name,
        engine=engine,
        database={"postgres": "shop", "mongodb": "events"}.get(engine, ""),
        server_version={"postgres": "16.14", "mongodb": "8.0.4"}.get(engine, ""),
        interval=DAY,
        last_id=f"20261123T030000Z-{name}",
        last_attempt=NIGHT,
        last_success=NIGHT,
        seconds={"dump": 41.5, "compress": 12.0},
        raw_bytes=size * 6,
        archive_bytes=size,
        backups={"proven": 23, "unverified": 3, "failed": 0, "partial": 0},
        bytes=size * 26,
        verification=Verification(NIGHT + 2 * HOUR, NIGHT + 2 * HOUR, "passed", 5, 372.0, 48, 0, NIGHT),
        nights="5" * 30,
        sizes=tuple(
            (NIGHT - DAY * back, int(size * (1 - back * 0.006 + 0.02 * (back % 3)))) for back in range(25, -1, -1)
        ),
    )
    return replace(well, **more)


def project(*sources: SourceState, name: str = "my-shop") -> State:
    return State(
        name, NOW - 140, sources, today="2026-11-23", max_age=3 * DAY, rto=1800.0, next_backup=NIGHT + DAY,
        next_verify=NIGHT + DAY + 2 * HOUR, scratch_free=181 * 10**9, scratch_bytes=250 * 10**9,
    )  # fmt: skip


UNREACHABLE = {
    "kind": "unreachable",
    "phase": "connect",
    "message": "events: nobody answers at mongo:27017",
    "hint": "is the service up, healthy, and on this network?",
}
_UPLOADS = source("uploads", "files", 812.0, verification=Verification(NIGHT + 2 * HOUR, NIGHT + 2 * HOUR, "passed", 4,
                  95.0, 18_204, 0, NIGHT), nights="4" * 30)  # fmt: skip
_EVENTS = source("events", "mongodb", 210.0)
_FAILED = replace(
    _EVENTS,
    last_attempt=NIGHT,
    last_success=NIGHT - 3 * DAY,
    consecutive_failures=3,
    error=UNREACHABLE,
    nights="55555.55555005!555555555555xxx",
    verification=replace(_EVENTS.verification, restore_seconds=2460.0, verified_snapshot=NIGHT - 3 * DAY),
)
_NEVER = source(
    verification=Verification(),
    nights=" " * 22 + "00000000",
    backups={"proven": 0, "unverified": 8, "failed": 0, "partial": 0},
    bytes=8 * 49_100_000,
    sizes=source().sizes[-8:],
)


def _fleet() -> tuple[State, ...]:
    names = [
        "atlas",
        "harbour",
        "lagoon",
        "quay",
        "tidepool",
        "kelp",
        "reef",
        "cove",
        "delta",
        "fjord",
        "gulf",
        "inlet",
        "jetty",
        "lock",
        "marina",
        "narrows",
    ]
    names += [f"{name}-{place}" for place in ("north", "south") for name in names[:12]]
    states = [project(source(megabytes=5 + 37 * (at % 11)), name=name) for at, name in enumerate(sorted(names))]
    states[4] = project(replace(_FAILED, source="db", engine="postgres"), name=states[4].project)
    states[17] = project(_NEVER, name=states[17].project)
    states[29] = project(SourceState("", backups={"proven": 0}), name=states[29].project)
    return tuple(states)


STATES: Mapping[str, tuple[State, ...]] = {
    "well": (project(source(), _EVENTS, _UPLOADS),),
    "failed": (project(source(), _FAILED, _UPLOADS),),
    "never-verified": (project(_NEVER),),
    "fleet": _fleet(),
    "empty": (project(),),
}
