"""What pg_restore lists, and which of it belongs to single tables."""

from pathlib import Path

from killick.engines.postgres import listing
from killick.engines.postgres.listing import Entry, Listing
from killick.engines.postgres.part import chosen

PRINTED = b"""\
;
; Archive created at 2026-11-24 13:13:38 UTC
;     dbname: hard
;
2789; 0 0 ENCODING - ENCODING\x20
2; 3079 16389 EXTENSION - pg_cron\x20
7; 2615 16388 SCHEMA - DATA postgres
223; 1259 16443 TABLE DATA x postgres
;\tdepends on: 7
224; 1259 16444 TABLE public TABLE DATA x Ops "of" all
2753; 0 16443 TABLE DATA DATA x postgres
;\tdepends on: 223 99
2776; 0 16573 MATERIALIZED VIEW DATA public totals postgres
;\tdepends on: 247 2788
247; 1259 16573 MATERIALIZED VIEW public totals postgres
;\tdepends on: 223 223
255; 1255 16428 FUNCTION public caf\xe9(public.x) postgres
"""


def test_kinds_are_told_apart_whatever_the_names() -> None:
    found = listing.read(PRINTED)
    assert {number: entry.kind for number, entry in found.items()} == {
        2789: "", 2: "EXTENSION", 7: "", 223: "TABLE", 224: "TABLE", 2753: "TABLE DATA",
        2776: "MATERIALIZED VIEW DATA", 247: "MATERIALIZED VIEW", 255: "",
    }  # fmt: skip
    assert found[223] == Entry("TABLE", "DATA x postgres", (7,))
    assert found[2753].needs == (223,), "99 is an extension's own and not listed"
    assert found[2776].needs == (247,)
    assert found[223].name == "DATA x"
    assert found.around([2776]) == {2776, 247, 223, 7}


def test_a_list_for_pg_restore_keeps_the_order() -> None:
    with listing.read(PRINTED).without({2789, 255}).file() as path:
        numbers = [int(line.partition(";")[0]) for line in Path(path).read_text().splitlines()]
    assert numbers == [2, 7, 223, 224, 2753, 2776, 247]
    assert not Path(path).exists()


def shop() -> Listing:
    """a: two partitions and a view; b refers to it; c counts by the sequence of b's column."""
    return Listing(
        {
            1: Entry("TABLE", "public a o"),
            2: Entry("TABLE", "public a1 o", (1,)),
            3: Entry("TABLE", "public a2 o", (1,)),
            4: Entry("TABLE ATTACH", "public a1 o", (2, 1)),
            5: Entry("TABLE ATTACH", "public a2 o", (3, 1)),
            6: Entry("TABLE", "public b o"),
            7: Entry("SEQUENCE", "public b_id_seq o", (6,)),
            8: Entry("TABLE", "public c o"),
            9: Entry("DEFAULT", "public c id o", (8, 7)),
            10: Entry("DEFAULT", "public b id o", (6, 7)),
            11: Entry("TABLE DATA", "public a1 o", (2,)),
            12: Entry("TABLE DATA", "public a2 o", (3,)),
            13: Entry("TABLE DATA", "public b o", (6,)),
            14: Entry("TABLE DATA", "public c o", (8,)),
            15: Entry("FK CONSTRAINT", "public b b_fkey o", (6, 1, 16)),
            16: Entry("CONSTRAINT", "public a a_pkey o", (1,)),
            17: Entry("VIEW", "public v o", (1,)),
            18: Entry("RULE", "public v quiet o", (17,)),
            19: Entry("PUBLICATION TABLE", "public p b o", (6, 20)),
            20: Entry("", "PUBLICATION - p o"),
            21: Entry("SEQUENCE SET", "public b_id_seq o", (7,)),
        }
    )


def test_all_partitions_make_a_table_whole() -> None:
    part = chosen(shop(), {2, 3, 11, 12, 6, 13})
    assert set(part.listing) == {1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 15, 16, 17, 18, 21}
    assert (part.bare, part.left, part.notes) == ((), (), [])


def test_one_partition_brings_its_parent_and_no_more() -> None:
    part = chosen(shop(), {2, 11, 6, 13})
    assert set(part.listing) == {1, 2, 4, 6, 7, 10, 11, 13, 16, 21}
    assert part.bare == ("public a",)
    assert part.left == ("fk constraint public b b_fkey",)


def test_a_default_brings_the_sequence_of_another_table() -> None:
    part = chosen(shop(), {8, 14})
    assert set(part.listing) == {6, 7, 8, 9, 10, 14, 21}
    assert part.bare == ("public b",)
