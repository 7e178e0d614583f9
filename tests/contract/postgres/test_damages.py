"""Damages done to a restored copy: each must be seen, and named."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from killick.compare import compare
from killick.engines.postgres import roles
from killick.watch import unwatched
from tests.contract.postgres.conftest import Backup, Pair, backup, engine, hard, script
from tests.damages.postgres import DATA, EXTENSIONS, QUIET, SCHEMA, together
from tests.lab import postgres
from tests.lab.postgres import Postgres

CLONED = {"settings", "role settings", "subscriptions"}  # these a clone of the copy lacks; they are tested below
_numbers = itertools.count()

BATCHES = [*together(DATA), *together(SCHEMA)]
CONTRIB = [{title: damage} for title, damage in EXTENSIONS.items()]
FIRST = postgres.majors()[0]  # all of them there (Debian's, with contrib), a sixth on each of the others


@pytest.fixture(scope="module")
def saved(
    pair: Pair, tmp_path_factory: pytest.TempPathFactory, programs_path: str
) -> Iterator[tuple[Postgres, Backup]]:
    """A backup of the hard database with both checksums, and the server where "copy" holds it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROGRAMS", programs_path)
        name = f"damaged{next(_numbers)}"
        hard(pair.source, name)
        one = backup(engine(pair.source, name), tmp_path_factory.mktemp("dump"))
        engine(pair.other, "copy", owners=True).load(one.folder, 2, one.contents, unwatched)
    yield pair.other, one
    script(pair.other, "copy", "ALTER SUBSCRIPTION afar SET (slot_name = NONE); DROP SUBSCRIPTION afar")
    pair.other.execute("DROP DATABASE copy")


def test_damages_are_seen(pair: Pair, saved: tuple[Postgres, Backup]) -> None:
    server, one = saved
    missed = {}
    for damages in [*BATCHES, *CONTRIB] if pair.major == FIRST else BATCHES[::6]:
        server.execute("DROP DATABASE IF EXISTS harmed")
        server.execute("CREATE DATABASE harmed TEMPLATE copy")
        script(server, "harmed", "; ".join([QUIET, *(damage.statement for damage in damages.values())]))
        got = engine(server, "harmed", owners=True).contents(one.contents)
        found = compare(one.contents, got, groups=one.contents.groups.keys() - CLONED)
        for title, damage in damages.items():
            if not any(m.what == damage.what and damage.name in m.table for m in found):
                missed[title] = [str(m) for m in found if m.what == damage.what]
    assert missed == {}


def test_a_clone_without_damage_is_the_same(saved: tuple[Postgres, Backup]) -> None:
    server, one = saved
    server.execute("DROP DATABASE IF EXISTS harmed")
    server.execute("CREATE DATABASE harmed TEMPLATE copy")
    got = engine(server, "harmed", owners=True).contents(one.contents)
    assert compare(one.contents, got, groups=one.contents.groups.keys() - CLONED) == []


def test_settings_and_subscriptions(saved: tuple[Postgres, Backup]) -> None:
    server, one = saved
    copy = engine(server, "copy", owners=True)
    assert compare(one.contents, copy.contents(one.contents)) == []
    for statement, what, name in (
        ("ALTER DATABASE copy RESET search_path", "settings", "search_path"),
        ("ALTER ROLE reader IN DATABASE copy SET work_mem = '8MB'", "role settings", "reader work_mem"),
        ("ALTER SUBSCRIPTION afar SET PUBLICATION q WITH (refresh = false)", "subscriptions", "SUBSCRIPTION afar"),
    ):
        script(server, "copy", statement)
        found = compare(one.contents, copy.contents(one.contents))
        assert [(m.what, m.table) for m in found] == [(what, name)]
        script(server, "copy", "ALTER SUBSCRIPTION afar SET PUBLICATION p WITH (refresh = false)")
        for group in ("settings", "role settings"):
            for key, value in one.contents.groups[group].items():
                server.execute(roles.replay("copy", key, value))


def test_a_generated_column_with_another_value_is_seen(pair: Pair, tmp_path: Path) -> None:
    """Dumps leave generated columns out, so that only the server can tell: here its function gives another result."""
    name = f"generated{next(_numbers)}"
    pair.source.create(name)
    function = "CREATE OR REPLACE FUNCTION twice(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 * {}'"
    script(
        pair.source,
        name,
        f"{function.format(2)}; CREATE TABLE t (i int, g int GENERATED ALWAYS AS (twice(i)) STORED);"
        f" INSERT INTO t SELECT generate_series(1, 5); {function.format(3)}",
    )
    expected = backup(engine(pair.source, name), tmp_path).contents
    copy = engine(pair.other, name)
    copy.load(tmp_path, 1, expected, unwatched)
    assert [(m.what, m.table) for m in compare(expected, copy.contents(expected))] == [("generated", "public.t")]


def test_the_servers_own_checksum_sees_what_the_lines_do(saved: tuple[Postgres, Backup], pair: Pair) -> None:
    server, _ = saved
    copy = engine(server, "copy", evidence="server")
    before = copy.contents()
    assert before.tables["public.everything"].server
    server.execute("DROP DATABASE IF EXISTS harmed")
    server.execute("CREATE DATABASE harmed TEMPLATE copy")
    seen = 0
    script(
        server,
        "harmed",
        "; ".join([QUIET, *(damage.statement for damage in DATA.values() if damage.what == "checksum")]),
    )
    after = engine(server, "harmed", evidence="server").contents(before)
    for key, table in before.tables.items():
        changed = after.tables[key]
        assert (table.server == changed.server) == (table.checksum == changed.checksum), key
        seen += table.server != changed.server
    assert seen >= 4
