"""Damages of Postgres' backups, through the whole verification: each is caught, at its level, and named.

In script/test all of them on one major and ten on each other one. Damages of different objects are done to one clone:
each must still be named by itself, so that each alone would have failed. Marked slow: each alone, on every major.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.contract.postgres.conftest import hard, has_extension
from tests.damages import test_postgis
from tests.damages import test_postgres_archives as archives
from tests.damages.archives import STORED
from tests.damages.postgres import DATA, EXTENSIONS, SCHEMA, SUBSCRIPTIONS, Damage, together
from tests.damages.table import caught, damages
from tests.damages.truth import Truth, subscribes, truth, verified
from tests.lab import postgres
from tests.lab.postgres import Postgres
from verify.options import Options

MAJORS = postgres.all_majors()
FIRST = MAJORS[0]  # Debian's, with contrib
ALL = {**DATA, **SCHEMA}
TEN = dict(list(ALL.items())[:: len(ALL) // 10 + 1])


def _parts(damages: Mapping[str, Damage]) -> list[dict[str, Damage]]:
    levels = sorted({damage.level for damage in damages.values()})
    return [part for level in levels for part in together({t: d for t, d in damages.items() if d.level == level})]


SOME = {**EXTENSIONS, **SUBSCRIPTIONS}  # not every major's server can have these
QUICK = [(major, part) for major in MAJORS for part in _parts(ALL if major == FIRST else TEN)]
QUICK += [(FIRST, {title: damage}) for title, damage in SOME.items()]
ALONE = [(major, {title: damage}) for major in MAJORS for title, damage in {**ALL, **EXTENSIONS}.items()]


def test_the_page_has_these_and_no_others() -> None:
    postgis = {title for part in test_postgis.DAMAGES for title in part}
    of_archives = {*STORED, *archives.INSIDE, *archives.BROKEN, *archives.SINGLE}
    assert damages("Postgres") == {*ALL, *SOME, *of_archives, *postgis}


@pytest.fixture(scope="module")
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Truth]:
    """The hard database on a server of that major, and its backup."""
    with Postgres(request.param) as server:
        hard(server, "truth")
        yield truth(server, tmp_path_factory.mktemp("truth") / "store")


@pytest.mark.parametrize("made", MAJORS, indirect=True)
def test_without_damage_it_passes(made: Truth, tmp_path: Path, options: Options) -> None:
    """A clone's dump under the manifest: what the others do, and no damage."""
    report = verified(made.damaged(tmp_path / "store"), made.id, options)
    assert (report.result, report.level, report.mismatches) == ("passed", 4, ()), report.text()
    assert report.warnings == ("DATABASE: not carried is absent, not commented 'not a copy'",)


@pytest.mark.parametrize(
    ("made", "part"), QUICK, indirect=["made"], ids=lambda each: str(each) if isinstance(each, int) else f"{len(each)}"
)
def test_damages(made: Truth, part: dict[str, Damage], tmp_path: Path, options: Options) -> None:
    seen(made, part, tmp_path, options)


@pytest.mark.slow
@pytest.mark.parametrize(("made", "part"), ALONE, indirect=["made"])
def test_each_alone(made: Truth, part: dict[str, Damage], tmp_path: Path, options: Options) -> None:
    seen(made, part, tmp_path, options)


def seen(made: Truth, part: dict[str, Damage], folder: Path, options: Options) -> None:
    """Each of them is told of, at the level of all of them."""
    if not has_extension(made.server, "hstore") and part.keys() <= EXTENSIONS.keys():
        pytest.skip("this server has no contrib")
    if not subscribes(made.major) and part.keys() <= SUBSCRIPTIONS.keys():
        pytest.skip("this server cannot subscribe")
    backups = made.damaged(folder / "store", *(damage.statement for damage in part.values()))
    report = verified(backups, made.id, options)
    (level,) = {damage.level for damage in part.values()}
    assert (report.result, report.level, report.failed_level) == ("failed", level - 1, level), report.text()
    found = {
        title: [m for m in report.mismatches if m.what == damage.what and damage.name in m.table]
        for title, damage in part.items()
    }
    assert [title for title, told in found.items() if not told] == [], report.text()
    for title, (first, *_) in found.items():
        caught("Postgres", title, level, f"{first.table}: {first.what}")
