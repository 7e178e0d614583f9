"""Every difference that matters is told, and none that does not."""

import json
from dataclasses import replace

import pytest

from killick.compare import compare, warnings
from killick.contents import Contents, Sequence, Table

SOUND = Contents(
    tables={"public.a": Table(3, "ab", ("id",)), "public.b": Table(0, "00")},
    sequences={"public.s": Sequence(10, True, 1, covers=True), "public.down": Sequence(-5, True, -1)},
    groups={"schema": {"TABLE public.a": "11"}, "large objects": {"all": "2 ff"}},
    loose={"extension versions": {"postgis": "3.4"}},
)


def with_table(**fields: object) -> Contents:
    return replace(SOUND, tables={**SOUND.tables, "public.a": replace(SOUND.tables["public.a"], **fields)})


def with_sequence(name: str, **fields: object) -> Contents:
    return replace(SOUND, sequences={**SOUND.sequences, name: replace(SOUND.sequences[name], **fields)})


def test_the_same_is_the_same() -> None:
    assert compare(SOUND, SOUND) == []


@pytest.mark.parametrize(
    ("got", "table", "what", "level"),
    [
        (with_table(rows=2), "public.a", "rows", 4),
        (with_table(checksum="ac"), "public.a", "checksum", 4),
        (replace(SOUND, tables={"public.b": SOUND.tables["public.b"]}), "public.a", "table", 4),
        (replace(SOUND, tables={**SOUND.tables, "public.c": Table(0)}), "public.c", "table", 4),
        (with_sequence("public.s", value=9), "public.s", "sequence", 3),
        (with_sequence("public.s", called=False), "public.s", "sequence", 3),
        (with_sequence("public.s", covers=False), "public.s", "sequence", 3),
        (with_sequence("public.s", increment=2), "public.s", "sequence", 3),
        (with_sequence("public.down", value=-4), "public.down", "sequence", 3),
        (replace(SOUND, sequences={}), "public.s", "sequence", 3),
        (replace(SOUND, groups={**SOUND.groups, "schema": {}}), "TABLE public.a", "schema", 3),
        (replace(SOUND, groups={**SOUND.groups, "large objects": {"all": "1 ff"}}), "all", "large objects", 4),
    ],
)
def test_a_difference_is_told(got: Contents, table: str, what: str, level: int) -> None:
    assert (table, what, level) in [(m.table, m.what, m.level) for m in compare(SOUND, got)]


def test_a_sequence_may_be_ahead() -> None:
    assert compare(SOUND, with_sequence("public.s", value=99)) == []
    assert compare(SOUND, with_sequence("public.down", value=-99)) == []


def test_a_checksum_that_one_side_did_not_take_is_not_compared() -> None:
    assert compare(SOUND, with_table(server="123")) == []


def test_an_extension_of_another_version_is_a_warning_only() -> None:
    other = replace(SOUND, loose={"extension versions": {"postgis": "3.5"}})
    assert compare(SOUND, other) == []
    assert warnings(SOUND, other) == ["postgis: extension versions is 3.5, not 3.4"]


def test_contents_survive_json() -> None:
    assert Contents.from_json(json.loads(json.dumps(SOUND.to_json()))) == SOUND
