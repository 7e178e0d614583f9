"""Single tables, and the schema alone, out of a dump."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from killick import engines
from killick.compare import OWNERSHIP, compare
from killick.contents import Contents
from killick.engines import Notes
from killick.errors import NotFound, RestoreError
from killick.watch import unwatched
from tests.contract.postgres.conftest import Backup, Pair, backup, engine, script
from tests.lab.postgres import Postgres

BOAT = "harbour.boat"
ITEMS = '"Old Harbour"."Order Items"'


@dataclass(frozen=True)
class Harbour:
    """A backup of parts.sql, and the server that parts of it are loaded into."""

    saved: Backup
    server: Postgres

    def part(self, name: str, typed: Iterable[str], **how: Any) -> tuple[Contents, Notes]:
        only = engines.pick("postgres", self.saved.contents, typed)
        copy = engine(self.server, name, **how)
        notes = copy.load(self.saved.folder, 2, self.saved.contents, unwatched, only)
        got = copy.contents(self.saved.contents)
        assert got.groups["schema"].items() <= self.saved.contents.groups["schema"].items()
        return got, notes


@pytest.fixture(scope="module")
def harbour(pair: Pair, tmp_path_factory: pytest.TempPathFactory, programs_path: str) -> Harbour:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROGRAMS", programs_path)
        pair.source.create("harbour")
        script(pair.source, "harbour", Path(__file__).with_name("parts.sql").read_text())
        return Harbour(backup(engine(pair.source, "harbour"), tmp_path_factory.mktemp("harbour")), pair.other)


def test_a_table_comes_with_what_it_needs_and_what_needs_only_it(harbour: Harbour) -> None:
    expected = harbour.saved.contents
    got, notes = harbour.part("boat", ["boat"])
    assert got.tables == {BOAT: expected.tables[BOAT]}
    assert set(got.groups["schema"]) == {
        "SCHEMA harbour", "COMMENT SCHEMA harbour", "TYPE harbour.rig", "COMMENT harbour.TYPE rig",
        "DOMAIN harbour.draft", "FUNCTION harbour.label(text)", "FUNCTION harbour.stamp()",
        "FUNCTION harbour.title(harbour.boat)", "SEQUENCE harbour.berths", "TABLE harbour.boat",
        "COMMENT harbour.TABLE boat", "COMMENT harbour.COLUMN boat.rig", "SEQUENCE harbour.boat_id_seq",
        "SEQUENCE OWNED BY harbour.boat_id_seq", "DEFAULT harbour.boat id", "CONSTRAINT harbour.boat boat_pkey",
        "CONSTRAINT harbour.boat boat_name_key", "INDEX harbour.boat_label", "STATISTICS harbour.boat_stats",
        "TRIGGER harbour.boat stamped", "ROW SECURITY harbour.boat", "POLICY harbour.boat deep",
        "VIEW harbour.ketches", "VIEW harbour.named_ketches", "MATERIALIZED VIEW harbour.rigs",
        "INDEX harbour.rigs_once",
    }  # fmt: skip
    assert {key: got.sequences[key].value for key in got.sequences} == {
        "harbour.boat_id_seq": 50,
        "harbour.berths": 149,
    }
    assert got.groups["materialized views"] == {"harbour.rigs": "populated"}
    assert got.groups["large objects"]["all"].startswith("0 ")
    left = next(note for note in notes if note.startswith("left out"))
    assert {"view harbour owned", "policy harbour boat known", "fk constraint harbour boat boat_owner_fkey"} == set(
        left.partition(": ")[2].split(", ")
    )
    assert any("1 large objects" in note for note in notes)
    harbour.server.execute("INSERT INTO harbour.boat (name) VALUES ('new')", "boat")
    (row,) = harbour.server.execute("SELECT id, rig::text, berth, mark FROM harbour.boat WHERE name = 'new'", "boat")
    assert row == (51, "sloop", 150, "stamped")


def test_foreign_keys_and_views_come_where_all_their_tables_are(harbour: Harbour) -> None:
    got, notes = harbour.part("three", ["harbour.boat", "owner", "Order Items"])
    assert set(got.tables) == {BOAT, "harbour.owner", ITEMS}
    assert {
        "FK CONSTRAINT harbour.boat boat_owner_fkey",
        "FK CONSTRAINT Old Harbour.Order Items Order Items_for_fkey",
        "VIEW harbour.owned",
        "POLICY harbour.boat known",
    } <= got.groups["schema"].keys()
    assert not [note for note in notes if note.startswith(("left out", "made without"))]
    assert all(got.sequences[key] == harbour.saved.contents.sequences[key] for key in got.sequences)
    assert harbour.server.execute(f"INSERT INTO {ITEMS} DEFAULT VALUES RETURNING id", "three") == [(17,)]


def test_a_table_whose_name_begins_like_anothers(harbour: Harbour) -> None:
    """In the listing the line of "boat" with its owner begins as that of "boat harbour_master"."""
    got, _ = harbour.part("odd", ["boat harbour_master"])
    assert set(got.tables) == {'harbour."boat harbour_master"'}


def test_a_partitioned_table_means_its_partitions(harbour: Harbour) -> None:
    expected = harbour.saved.contents
    got, notes = harbour.part("trips", ["trip", "log"])
    assert set(got.tables) == {"public.trip_2025", "public.trip_rest_0", "public.log"}
    assert all(got.tables[key] == expected.tables[key] for key in got.tables)
    assert {"FK CONSTRAINT public.log log_at_id_fkey", "VIEW public.trips", "INDEX public.trip_boat"} <= got.groups[
        "schema"
    ].keys()
    assert not [note for note in notes if note.startswith(("left out", "made without"))]
    assert harbour.server.execute("SELECT * FROM trips", "trips") == [(40,)]


def test_one_partition_comes_in_its_parent_and_nothing_counts_on_the_others(harbour: Harbour) -> None:
    got, notes = harbour.part("one", ["trip_rest", "log"])
    assert set(got.tables) == {"public.trip_rest_0", "public.log"}
    assert not {"FK CONSTRAINT public.log log_at_id_fkey", "VIEW public.trips"} & got.groups["schema"].keys()
    assert next(note for note in notes if note.startswith("made without their rows")).endswith(": public trip")
    (count,) = harbour.server.execute("SELECT count(*) FROM trip WHERE at >= '2026-01-01'", "one")
    assert count == (got.tables["public.trip_rest_0"].rows,)


def test_one_of_an_enums_hash_partitions(pair: Pair, tmp_path: Path) -> None:
    """Its rows come back through the table above it, by the labels' new oids: alone it cannot be had."""
    pair.source.create("rigs")
    script(
        pair.source,
        "rigs",
        "CREATE TYPE rig AS ENUM ('sloop', 'ketch', 'yawl', 'cutter', 'schooner', 'brig', 'barque', 'lugger');"
        "CREATE TABLE sail (rig rig) PARTITION BY HASH (rig);"
        + "".join(
            f"CREATE TABLE sail_{n} PARTITION OF sail FOR VALUES WITH (MODULUS 4, REMAINDER {n});" for n in range(4)
        )
        + "INSERT INTO sail SELECT unnest(enum_range(NULL::rig)) FROM generate_series(1, 10)",
    )
    harbour = Harbour(backup(engine(pair.source, "rigs"), tmp_path), pair.other)
    largest = max(harbour.saved.contents.tables.items(), key=lambda item: item[1].rows)[0]
    with pytest.raises(RestoreError) as told:
        for n in range(5):  # by chance its labels may all belong to it again
            harbour.part(f"sail_{n}", [largest])
    assert told.value.reason == "check-constraint"
    assert "name that table" in told.value.hint
    got, _ = harbour.part("sail", ["sail"])
    assert got.rows == 80


def test_a_parent_means_its_children_and_a_child_needs_its_parent(harbour: Harbour) -> None:
    got, _ = harbour.part("family", ["vehicle"])
    assert {key: table.rows for key, table in got.tables.items()} == {"public.vehicle": 1, "public.ferry": 1}
    got, notes = harbour.part("ferry", ["ferry"])
    assert {key: table.rows for key, table in got.tables.items()} == {"public.vehicle": 0, "public.ferry": 1}
    assert any(note.endswith("need them: public vehicle") for note in notes)


def test_grants_come_to_who_restores_with_owners(harbour: Harbour) -> None:
    harbour.part("granted", ["boat"], owners=True)
    assert harbour.server.execute(
        "SELECT has_table_privilege('harbour_master', 'harbour.boat', 'SELECT')", "granted"
    ) == [(True,)]


def test_a_table_that_the_dump_has_not_is_told_before_anything_is_made(harbour: Harbour) -> None:
    copy = engine(harbour.server, "never")
    with pytest.raises(NotFound, match=r"no table harbour\.boa "):
        copy.load(harbour.saved.folder, 1, harbour.saved.contents, unwatched, {"harbour.boa", BOAT})
    assert not harbour.server.execute("SELECT 1 FROM pg_database WHERE datname = 'never'")


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_names_in_other_encodings(pair: Pair, tmp_path: Path, encoding: str) -> None:
    name = f"named_{encoding.lower()}"
    pair.source.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'")
    script(pair.source, name, f'SET client_encoding = {encoding}; CREATE TABLE "b\xe2teau" (i int)'.encode("latin1"))
    script(pair.source, name, "CREATE TABLE other (i int)")
    saved = backup(engine(pair.source, name), tmp_path)
    copy = engine(pair.other, name)
    copy.load(tmp_path, 1, saved.contents, unwatched, engines.pick("postgres", saved.contents, ["b\xe2teau"]))
    assert set(copy.contents(saved.contents).tables) == {'public."b\xe2teau"'}


def test_roles_are_made_only_where_a_policy_comes_along(pair: Pair, tmp_path: Path) -> None:
    name = f"tenant{pair.major}"
    pair.source.create(name)
    script(
        pair.source,
        name,
        f"CREATE ROLE {name}; CREATE TABLE open (i int); CREATE TABLE closed (i int);"
        f" ALTER TABLE closed ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON closed TO {name} USING (true)",
    )
    saved = backup(engine(pair.source, name), tmp_path)
    for table, made in (("public.open", 0), ("public.closed", 1)):
        notes = engine(pair.other, f"{name}_{made}").load(tmp_path, 1, saved.contents, unwatched, {table})
        assert len(notes) == made
        assert len(pair.other.execute(f"SELECT 1 FROM pg_roles WHERE rolname = '{name}'")) == made


def test_the_extension_of_a_columns_type_comes_along(debian15: Postgres, tmp_path: Path) -> None:
    debian15.create("typed")
    script(
        debian15,
        "typed",
        "CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE TABLE t (h hstore); CREATE TABLE u (c citext);"
        "INSERT INTO t VALUES ('a=>1')",
    )
    saved = backup(engine(debian15, "typed"), tmp_path)
    copy = engine(debian15, "typed_t")
    copy.load(tmp_path, 1, saved.contents, unwatched, {"public.t"})
    got = copy.contents(saved.contents)
    assert got.tables == {"public.t": saved.contents.tables["public.t"]}
    assert "hstore" in got.groups["extensions"] and "citext" not in got.groups["extensions"]


def test_an_extensions_own_table(postgis: Postgres, tmp_path: Path) -> None:
    postgis.create("systems")
    script(
        postgis,
        "systems",
        "CREATE EXTENSION postgis; INSERT INTO spatial_ref_sys (srid, srtext) VALUES (990001, 'ours');"
        "CREATE TABLE t (i int)",
    )
    saved = backup(engine(postgis, "systems"), tmp_path)
    copy = engine(postgis, "systems_only")
    copy.load(tmp_path, 1, saved.contents, unwatched, engines.pick("postgres", saved.contents, ["spatial_ref_sys"]))
    assert set(copy.contents(saved.contents).tables) == {"public.spatial_ref_sys"}
    assert postgis.execute("SELECT srtext FROM spatial_ref_sys WHERE srid = 990001", "systems_only") == [("ours",)]


def test_the_schema_alone(harbour: Harbour) -> None:
    expected = harbour.saved.contents
    copy = engine(harbour.server, "schema", rows=False)
    seen: list[tuple[int, int]] = []
    copy.load(harbour.saved.folder, 2, expected, lambda done, total=0, unit="": seen.append((done, total)))
    got = copy.contents(expected)
    schema = expected.groups.keys() - OWNERSHIP - {"large objects", "materialized views"}
    assert [m for m in compare(expected, got, groups=schema) if m.what not in ("rows", "sequence")] == []
    assert got.rows == 0 and got.tables.keys() == expected.tables.keys()
    assert not any(sequence.called for sequence in got.sequences.values())
    assert got.sequences["harbour.berths"].value == 100
    assert got.groups["materialized views"] == {"harbour.rigs": "empty"}
    assert got.groups["large objects"]["all"].startswith("0 ")
    assert seen[-1] == (0, 0)


def test_the_schema_of_single_tables(harbour: Harbour) -> None:
    got, _ = harbour.part("schema_of_boat", ["boat", "owner"], rows=False)
    assert {key: table.rows for key, table in got.tables.items()} == {BOAT: 0, "harbour.owner": 0}
    assert "FK CONSTRAINT harbour.boat boat_owner_fkey" in got.groups["schema"]
    assert harbour.server.execute("SELECT nextval('harbour.boat_id_seq')", "schema_of_boat") == [(1,)]
