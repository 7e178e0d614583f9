"""Which backup somebody means: `latest`, an id, a day. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta, tzinfo

from killick import layout
from killick.catalog import Backup, Catalog
from killick.errors import Corrupt, NotFound, SettingsError


def until(text: str, zone: tzinfo) -> datetime:
    """The moment that `--at` means, exclusive: a day means its end in `zone`, a time itself.

    Raises SettingsError for what is neither.
    """
    try:
        local = datetime.fromisoformat(text)
        if len(text) <= len("2026-11-22"):
            return datetime.combine(local.date() + timedelta(days=1), time(), zone).astimezone(UTC)
        whole = local if local.tzinfo else local.replace(tzinfo=zone)
        return whole.astimezone(UTC) + timedelta(microseconds=1)
    except (ValueError, OverflowError):  # OverflowError: 9999-12-31 has no end
        raise SettingsError(
            f"--at {text!r} is neither a day nor a time", "as in --at 2026-11-22 or --at 2026-11-22T15:30"
        ) from None


def find(catalog: Catalog, wanted: str = "latest", source: str = "", before: datetime | None = None) -> Backup:
    """The backup that somebody means: an id, a run's stamp, or `latest` (before a moment); killick's own first.

    Raises NotFound (with what comes near), Corrupt for an upload of ours that did not finish, SettingsError when
    several sources could be meant.
    """
    if wanted != "latest":
        return _by_name(catalog, wanted, source)
    for origin in (False, True):  # killick's own, then older ones
        fitting = [
            b
            for b in catalog.backups
            if b.older is origin and source in ("", b.source) and (before is None or b.time < before)
        ]
        if fitting:
            _one_source({b.source for b in fitting})
            return fitting[0]
    raise NotFound(*_nothing(catalog, source, before))


def run_of(catalog: Catalog, wanted: str, sources: Sequence[str]) -> list[Backup]:
    """The backups that one run made: of its stamp, or `latest`, the newest run that has all of `sources` (else the
    newest). An id means that one backup. In the order of `sources`, and of these alone where any are named.

    Raises NotFound, and Corrupt for an upload of ours that did not finish.
    """
    own = [b for b in catalog.backups if b.manifest and (not sources or b.source in sources)]
    runs: dict[str, list[Backup]] = {}
    for backup in own:
        runs.setdefault(backup.id.partition("-")[0], []).append(backup)
    if wanted not in runs:
        if wanted != "latest" or not runs:
            return [find(catalog, wanted)]
        wanted = next(
            (stamp for stamp, made in runs.items() if {b.source for b in made} >= set(sources)), next(iter(runs))
        )
    order = list(sources)
    return sorted(runs[wanted], key=lambda b: order.index(b.source) if order else 0)


def _by_name(catalog: Catalog, wanted: str, source: str) -> Backup:
    wanted = wanted.removeprefix(f"{catalog.project}/")
    named = [b for b in catalog.backups if (b.id in (wanted, f"{wanted}-{b.source}")) and source in ("", b.source)]
    if named:
        _one_source({b.source for b in named})
        return named[0]
    if any(b.id == wanted for b in catalog.partial):
        raise Corrupt(f"{wanted} has no manifest: its upload did not finish", "killick list shows those that did")
    if any(b.id == wanted for b in catalog.remains):
        raise NotFound(f"{wanted} was pruned: only the evidence of it is left", "killick list shows what there is")
    if any(f.id == wanted for f in catalog.failures):
        raise NotFound(f"{wanted} is an attempt that failed", "killick list shows what there is")
    near = difflib.get_close_matches(wanted, [b.id for b in catalog.backups if source in ("", b.source)], n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "killick list shows what there is"
    raise NotFound(f"there is no backup {wanted} of {source or catalog.project}", hint)


def _one_source(names: set[str]) -> None:
    if len(names) > 1:
        raise SettingsError(f"several sources have such a backup: {', '.join(sorted(names))}", "name one with --source")


def _nothing(catalog: Catalog, source: str, before: datetime | None) -> tuple[str, str]:
    names = sorted({b.source for b in catalog.backups})
    if source and source not in names:
        near = difflib.get_close_matches(source, names, n=1)
        known = (
            f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}" if names else "run killick backup"
        )
        return f"{catalog.project} has no backup of a source {source}", known
    if before is not None and names:
        oldest = min(b.time for b in catalog.backups if source in ("", b.source))
        return f"there is no backup that old: the oldest is of {layout.rfc3339(oldest)}", "killick list shows them"
    return f"{catalog.project} has no backups in this store", "run killick backup, or look at PROJECT and STORE"
