"""Rows against those of the verified backup before."""

from datetime import UTC, datetime, timedelta

from killick.catalog import Backup, Catalog, Evidence
from killick.contents import Contents, Table
from verify.history import before, shrunk, vanished

DAY = datetime(2026, 11, 23, 3, tzinfo=UTC)


def backup(day: int, source: str = "db", result: str = "passed", level: int = 4) -> Backup:
    time = DAY + timedelta(days=day)
    evidence = (Evidence(time, "verify", result, level),)
    return Backup("shop", f"{day}-{source}", source, time, manifest=True, evidence=evidence)


def of(**rows: int) -> Contents:
    return Contents({f"public.{name}": Table(count) for name, count in rows.items()})


def test_which_one_is_before() -> None:
    now = backup(9)
    others = [backup(8, result="failed"), backup(7, level=2), backup(6, "other"), backup(5), backup(4), backup(10)]
    known = Catalog("shop", tuple(sorted([now, *others], key=lambda b: b.time, reverse=True)))
    found = before(known, now)
    assert found is not None
    assert found.id == "5-db"
    assert before(Catalog("shop", (now, backup(10))), now) is None


def test_rows_that_were_lost() -> None:
    earlier = of(a=1000, b=1000, c=99, d=3, e=1, f=0, g=10)
    now = of(a=700, b=699, c=0, d=2, e=1, f=0, g=1000)
    assert shrunk(earlier, now, "i") == [
        "public.b has 699 rows, 30% less than the 1,000 of i",
        "public.c has 0 rows, 100% less than the 99 of i",
        "public.d has 2 rows, 33% less than the 3 of i",
    ]
    assert shrunk(of(gone=1000), of(), "i") == [], "that it vanished is told otherwise"
    many = shrunk(of(**{f"t{n:02}": 500 for n in range(25)}), of(**{f"t{n:02}": 1 for n in range(25)}), "i")
    assert len(many) == 21
    assert many[-1] == "5 more tables lost as many rows"


def test_tables_that_vanished() -> None:
    earlier = of(a=5, b=0, tmp_1=3, sessions=4)
    gone = [mismatch.table for mismatch in vanished(earlier, of(a=5, new=1), ())]
    assert gone == ["public.b", "public.sessions", "public.tmp_1"]
    allowed = ("public.tmp_*", "sessions", "?")
    assert vanished(earlier, of(a=5), allowed) == []
    assert [m.table for m in vanished(earlier, of(a=5), ("PUBLIC.B", "tmp", "*.b"))] == [
        "public.sessions",
        "public.tmp_1",
    ]


def test_partitions_come_and_go() -> None:
    def parted(*names: str, rows: int = 500, declared: bool = True) -> Contents:
        tables = {f"logs.{n}": Table(rows, ancestors=("logs.month", 'logs."All of it"')) for n in names}
        return Contents(tables, groups={"schema": {"TABLE logs.All of it": "9f"} if declared else {}})

    earlier = parted("a", "b", "c", "d")
    assert vanished(earlier, parted("d", "e", "f", "g"), ()) == []
    assert shrunk(earlier, parted("d", "e", "f", "g"), "i") == []
    assert shrunk(earlier, parted("d"), "i") == ['logs."All of it" has 500 rows, 75% less than the 2,000 of i']
    assert vanished(earlier, parted(), ()) == []
    assert shrunk(earlier, parted(), "i") == ['logs."All of it" has 0 rows, 100% less than the 2,000 of i']
    (gone,) = vanished(earlier, parted(declared=False), ())
    assert (gone.table, gone.level) == ('logs."All of it"', 5)
