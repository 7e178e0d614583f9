"""Level 5, it makes sense: the server finds no damage, no table is gone, and the project's own checks hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from killick.bring import Opened
from killick.catalog import Backup
from killick.checks import Check
from killick.compare import Mismatch
from killick.engines import Askable, Engine, Examinable
from killick.errors import SourceError, Unreachable, Unverifiable
from killick.stores import Store
from killick.watch import Phases
from verify import history
from verify.found import Found
from verify.options import Options
from verify.outcome import Outcome
from verify.report import FAILED, counted

_SHOWN = 3  # of each kind in a sentence; the differences are listed all


@dataclass(frozen=True)
class Senseless:
    """One kind of what does not hold: a slug, a sentence, its cure."""

    reason: str
    said: str
    cure: str


def sense(
    store: Store, backup: Backup, opened: Opened, engine: Engine, options: Options, found: Found, phases: Phases
) -> None:
    """Of a copy that equals its source. All of it is looked at, whatever the first part finds.

    Raises Unverifiable where a check could not be asked, and nothing else was found.
    """
    told: list[Senseless] = []
    if isinstance(engine, Examinable):
        told += _examined(engine, found, phases)
    with phases.phase("history"):
        told += _gone(store, backup, opened, options, found)
    unasked: Unverifiable | None = None
    every = options.checks.get(backup.source, ())
    known = engine.SCRIPTS if isinstance(engine, Askable) else ()
    found.warnings += (
        f"the check {check.name} was not asked: it is not for {opened.manifest.engine}"
        for check in every
        if check.own and check.suffix not in known
    )
    checks = [check for check in every if check.suffix in known]
    if isinstance(engine, Askable) and checks:
        with phases.phase("checks"):
            failing, unasked = _asked(engine, checks, opened.manifest.snapshot, found)
            told += failing
    if told:
        found.told = Outcome(FAILED, told[0].reason, "; ".join(one.said for one in told), told[0].cure)
    elif unasked:
        raise unasked
    else:
        found.reached = 5


def _examined(engine: Examinable, found: Found, phases: Phases) -> list[Senseless]:
    by = engine.EXAMINER
    try:
        with phases.phase(by) as watch:
            seen = engine.examine(watch)
    except Unreachable:
        raise
    except SourceError as error:
        raise Unverifiable(f"{by} could not be asked: {error.message}", error.hint) from None
    found.warnings += seen.notes
    if not seen.damages:
        if seen.looked:
            found.examined.append(f"{by} found no damage in {seen.looked}")
        return []
    found.mismatches += (Mismatch(d.part, by, "sound", d.said, 5) for d in seen.damages)
    parts = list(dict.fromkeys(damage.part for damage in seen.damages))
    return [
        Senseless(
            "damaged",
            f"{by} found damage in {_listed(parts)}",
            "an operator or a collation that does not order as it did when the index was built, or a fault of the"
            " server or its disk: look for the same at the source",
        )
    ]


def _gone(store: Store, backup: Backup, opened: Opened, options: Options, found: Found) -> list[Senseless]:
    earlier = history.before(options.known, backup) if options.known else None
    if earlier is None:
        return []
    manifest, why_not = history.manifest_of(store, earlier, opened.manifest.engine)
    if manifest is None or manifest.contents is None:
        found.warnings.append(why_not)
        return []
    had, has = manifest.contents, opened.contents
    found.warnings += history.shrunk(had, has, earlier.id)
    gone = history.vanished(had, has, options.may_vanish)
    found.examined.append(f"rows were compared with those of {earlier.id}, the verified backup before")
    if not gone:
        return []
    found.mismatches += gone
    names = [mismatch.table for mismatch in gone]
    return [
        Senseless(
            "vanished",
            f"{counted(len(names), 'table')} of {earlier.id} gone since: {_listed(names)}",
            f"if that was meant: VERIFY_MAY_VANISH={','.join(names[:_SHOWN])}",
        )
    ]


def _asked(
    engine: Askable, checks: Sequence[Check], snapshot: str, found: Found
) -> tuple[list[Senseless], Unverifiable | None]:
    """Those that do not hold, and why the first could not be asked that could not."""
    failing: list[str] = []
    unasked: Unverifiable | None = None
    for check in checks:
        try:
            answer = engine.ask(check.text, snapshot, check.seconds)
            holds = check.holds(answer)
        except Unreachable:
            raise
        except SourceError as error:
            unasked = unasked or Unverifiable(f"{check.name}: {error.message}", error.hint, reason="checks")
        except TimeoutError:
            unasked = unasked or Unverifiable(
                f"{check.name} took longer than {check.seconds:g} s and was stopped",
                "give it more in its first lines, as in timeout: 10m, or make it quicker",
                reason="timeout",
            )
        else:
            if not holds:
                failing.append(f"{check.name} ({check.says})" if check.says else check.name)
                got = str(answer).lower() if isinstance(answer, bool) else str(answer)
                found.mismatches.append(Mismatch(check.name, "check", check.expected, got, 5))
    if not unasked:
        found.examined.append(f"checks that hold: {len(checks) - len(failing)} of {len(checks)}")
    if not failing:
        return [], unasked
    do = "does" if len(failing) == 1 else "do"
    return [
        Senseless("checks", f"{_listed(failing)} {do} not hold", "look for the same at the source, or mend the check")
    ], unasked


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
