"""Level 5 of real backups, by the command line: the project's checks, rows that were lost, damage."""

import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.blocks import blocks
from tests.kit import Project, basics
from tests.lab import mongosh
from tests.lab.mongod import Mongod
from tests.lab.postgres import Postgres

CANARY = "a row that nobody may read"
SCHEMA = f"""
    CREATE TABLE orders (id int PRIMARY KEY, total numeric, created timestamptz, said text);
    INSERT INTO orders SELECT g, g, now() - interval '1 hour' * g, '{CANARY}' FROM generate_series(1, 1000) g;
    CREATE TABLE sessions (id int);
    INSERT INTO sessions SELECT generate_series(1, 20);
    CREATE TABLE audit (day date, what text) PARTITION BY RANGE (day);
    CREATE TABLE audit_1 PARTITION OF audit FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
    CREATE TABLE audit_2 PARTITION OF audit FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
    INSERT INTO audit SELECT '2026-01-05', 'x' FROM generate_series(1, 50);
    INSERT INTO audit SELECT '2026-02-05', 'x' FROM generate_series(1, 500);
"""
PAGE = blocks("docs/verify.md")
A_DAY, A_MINUTE = "max: 86400", "max: 60"


@dataclass
class Shop:
    """A project with one source `db`, and a folder for its checks."""

    project: Project
    server: Postgres
    database: str
    checks: Path

    def check(self, name: str, text: str) -> None:
        path = self.checks / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def verify(self, expect: int, *argv: str, **more: str) -> Any:
        ran = self.project.run("verify", "--level", "5", "--json", *argv, expect=expect, **more)
        assert CANARY not in ran.out + ran.err
        assert self.project.at_rest()
        return ran.json

    def record(self) -> dict[str, Any]:
        """The newest evidence of the newest backup."""
        found: dict[str, Any] = self.project.run("show", "latest", "--json").json["evidence"][-1]
        assert CANARY not in str(found)
        return found

    def execute(self, statement: str) -> None:
        self.server.execute(statement, self.database)

    def back_up(self) -> str:
        return self.project.back_up()


@pytest.fixture(scope="module")
def postgres15() -> Iterator[Postgres]:
    """Debian's, whose server has amcheck."""
    with Postgres(15) as server:
        yield server


@pytest.fixture
def shop_on(tmp_path: Path, programs_path: str) -> Iterator[Callable[[Postgres], Shop]]:
    made: list[Shop] = []

    def on(server: Postgres) -> Shop:
        tmp_path.chmod(0o755)
        name = f"sense_{len(made)}_{tmp_path.name.lower().replace('-', '_')[-30:]}"
        url = server.create(name)
        checks = tmp_path / "checks.d"
        checks.mkdir()
        environment = {**basics(tmp_path, programs_path), "DATABASE_URL": url, "VERIFY_CHECKS": str(checks)}
        made.append(Shop(Project({**environment, "VERIFY_IN": "process"}), server, name, checks))
        server.execute(SCHEMA, name)
        return made[-1]

    yield on
    for shop in made:
        shop.server.execute(f'DROP DATABASE "{shop.database}" WITH (FORCE)')


@pytest.fixture
def shop(shop_on: Callable[[Postgres], Shop], postgres16: Postgres) -> Shop:
    """On a server that has no amcheck."""
    return shop_on(postgres16)


def test_what_makes_sense(shop_on: Callable[[Postgres], Shop], postgres15: Postgres) -> None:
    shop = shop_on(postgres15)
    shop.check("newest.sql", PAGE["newest-order"])
    shop.check("totals.sql", "SELECT bool_and(total > 0) FROM orders")
    shop.check("db/own.sql", "-- min: 1000\nSELECT count(*) FROM orders")
    shop.check("other/not-ours.sql", "SELECT false")
    shop.execute(f'ALTER DATABASE "{shop.database}" SET default_transaction_read_only = on')
    shop.check("for-another-engine.js", "false")
    shop.back_up()
    document = shop.verify(0)
    assert (document["result"], document["level"], document["failed_level"]) == ("passed", 5, None)
    assert list(document) == ["id", "result", "level", "failed_level", "error", "seconds", "tables", "mismatches"]
    assert list(document["seconds"])[-4:] == ["compare", "amcheck", "history", "checks"]
    record = shop.record()
    assert record["wanted"] == 5
    assert "checks that hold: 3 of 3" in record["examined"]
    assert "amcheck found no damage in 4 tables and 1 index" in record["examined"]
    assert record["warnings"] == []
    text = shop.project.run("verify", "--level", "5").out
    assert "level 5, the data makes sense" in text
    assert "checks that hold: 3 of 3" in text
    assert shop.verify(0, "--level", "4")["level"] == 4, "the last --level counts"
    shop.check("db/misplaced.js", "true")
    assert shop.verify(0)["level"] == 5
    assert shop.record()["warnings"] == ["the check db/misplaced.js was not asked: it is not for postgres"]


def test_a_check_that_does_not_hold(shop: Shop) -> None:
    shop.check("newest.sql", PAGE["newest-order"].replace(A_DAY, A_MINUTE))
    shop.check("totals.sql", "SELECT bool_and(total > 500) FROM orders")
    shop.check("well.sql", "SELECT true")
    shop.back_up()
    document = shop.verify(1)
    assert (document["result"], document["level"], document["failed_level"]) == ("failed", 4, 5)
    assert "more than a day old" in document["error"]
    age, totals = document["mismatches"]
    assert 3500 < float(age.pop("got")) < 4000, "of the data's moment, not of now"
    assert age == {"table": "newest.sql", "what": "check", "expected": "at most 60"}
    assert totals == {"table": "totals.sql", "what": "check", "expected": "true", "got": "false"}
    assert shop.record()["reason"] == "checks"
    text = shop.project.run("verify", expect=1).out
    assert "FAILED at level 5: it does not hold that the data makes sense" in text
    assert "checks that hold: 1 of 3" in text
    assert "every checksum is equal" in text


def test_what_is_no_check(shop: Shop) -> None:
    """It says nothing about the backup. No row is quoted: see `verify`."""
    shop.back_up()
    for text, sentence in (
        ("SELEC true", 'Postgres refuses it: syntax error at or near "SELEC"'),
        ("SELECT said::int > 0 FROM orders", "Postgres cannot answer it: InvalidTextRepresentation, SQLSTATE 22P02"),
        ("SELECT 5", "it gives a number, and has no bounds"),
    ):
        shop.check("odd.sql", text)
        document = shop.verify(6)
        assert (document["result"], document["level"], document["failed_level"]) == ("unverifiable", 4, None)
        assert document["error"] == f"odd.sql: {sentence}"
        record = shop.record()
        assert record["reason"] == "checks"
        assert record["hint"]


def test_what_is_known_to_fail_outweighs_what_could_not_be_asked(shop: Shop) -> None:
    shop.check("a.sql", "SELEC true")
    shop.check("b.sql", "SELECT false")
    shop.back_up()
    assert [m["table"] for m in shop.verify(1)["mismatches"]] == ["b.sql"]


def test_a_check_that_is_too_slow(shop: Shop) -> None:
    shop.check("slow.sql", "-- timeout: 1s\nSELECT pg_sleep(300) IS NULL")
    shop.back_up()
    document = shop.verify(6)
    assert document["error"] == "slow.sql took longer than 1 s and was stopped"
    assert shop.record()["reason"] == "timeout"


def test_settings_that_are_wrong(shop: Shop) -> None:
    """Before anything is restored, and all at once."""
    shop.back_up()
    shop.check("a.sql", "-- max: soon\nSELECT 1")
    shop.check("db/b.py", "")
    ran = shop.project.run("verify", expect=2)
    assert "its max is no number: 'soon'" in ran.err
    assert "b.py: it is no check (.sql, .js)" in ran.err
    assert shop.project.run("doctor", expect=1).out.count("✗") == 2
    assert shop.verify(0, "--level", "4")["level"] == 4


def test_without_amcheck_the_report_says_so(shop: Shop) -> None:
    shop.back_up()
    assert shop.verify(0)["level"] == 5
    assert any("amcheck is not in the throwaway's server" in warning for warning in shop.record()["warnings"])


def test_rows_that_were_lost(shop: Shop) -> None:
    """Against the newest that was verified, a table of a handful too; a partition's own are nothing to tell."""
    first = shop.back_up()
    shop.verify(0)
    shop.execute("DELETE FROM orders WHERE id > 600; DELETE FROM sessions; DROP TABLE audit_1")
    shop.back_up()
    assert shop.verify(0)["level"] == 5
    lost = [warning for warning in shop.record()["warnings"] if "rows" in warning]
    assert lost == [
        f"public.orders has 600 rows, 40% less than the 1,000 of {first}",
        f"public.sessions has 0 rows, 100% less than the 20 of {first}",
    ]
    assert any(first in sentence for sentence in shop.record()["examined"])


def test_a_table_that_vanished(shop: Shop) -> None:
    first = shop.back_up()
    shop.verify(0)
    shop.execute("DROP TABLE sessions; DROP TABLE audit_1, audit_2")
    shop.back_up()
    document = shop.verify(1)
    assert (document["level"], document["failed_level"]) == (4, 5)
    assert document["error"] == f"1 table of {first} gone since: public.sessions"
    assert document["mismatches"] == [
        {"table": "public.sessions", "what": "table", "expected": "present, as in the backup before", "got": "absent"}
    ]
    assert shop.record()["reason"] == "vanished"
    assert shop.record()["hint"] == "if that was meant: VERIFY_MAY_VANISH=public.sessions"
    assert shop.verify(0, VERIFY_MAY_VANISH="other.*,sess*")["level"] == 5


def test_the_rows_of_an_encrypted_backup_are_inside(shop: Shop) -> None:
    keys = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout
    recipient = re.search(r"age1\w+", keys)
    assert recipient
    identity = next(line for line in keys.splitlines() if line.startswith("AGE-SECRET"))
    shop.project.environment |= {"AGE_RECIPIENTS": recipient[0], "AGE_IDENTITY": identity}
    first = shop.back_up()
    shop.verify(0)
    shop.execute("DROP TABLE sessions")
    shop.back_up()
    assert shop.verify(0)["level"] == 5
    assert any(first in warning and "encrypted" in warning for warning in shop.record()["warnings"])


UNLIKE = """
    CREATE FUNCTION unlike(int, int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
        BEGIN RETURN CASE current_setting('transaction_read_only') WHEN 'on' THEN -1 ELSE 1 END * ($1 - $2); END $$;
    CREATE OPERATOR CLASS unlike FOR TYPE int USING btree AS
        OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 unlike(int, int);
    CREATE INDEX unlike ON orders (id unlike);
"""
"""An order that is another one when it is looked at: what a collation is that changed its meaning."""


def test_an_index_that_is_damaged(shop_on: Callable[[Postgres], Shop], postgres15: Postgres) -> None:
    shop = shop_on(postgres15)
    shop.execute(UNLIKE)
    shop.back_up()
    document = shop.verify(1)
    assert (document["result"], document["level"], document["failed_level"]) == ("failed", 4, 5)
    (mismatch,) = document["mismatches"]
    assert (mismatch["table"], mismatch["what"], mismatch["expected"]) == ("public.unlike", "amcheck", "sound")
    assert "item order invariant violated" in mismatch["got"]
    assert shop.record()["reason"] == "damaged"


def test_folders_stop_at_four(tmp_path: Path, programs_path: str) -> None:
    (tmp_path / "uploads").mkdir()
    (tmp_path / "uploads/a").write_text("a")
    project = Project({**basics(tmp_path, programs_path), "FILES_UPLOADS": str(tmp_path / "uploads")})
    project.run("backup")
    document = project.run("verify", "--level", "5", "--json").json
    assert (document["result"], document["level"]) == ("passed", 4)
    assert project.run("show", "latest", "--json").json["evidence"][-1]["wanted"] == 4


def test_mongodb(mongod: Mongod, tmp_path: Path, programs_path: str) -> None:
    name = f"sense{tmp_path.name[-5:].replace('-', '')}"
    environment = {
        **basics(tmp_path, f"{programs_path}:{mongosh.programs()}"),
        "DATABASE_URL": mongod.url(name),
        "VERIFY_CHECKS": str(tmp_path / "checks.d"),
        "VERIFY_IN": "process",
    }
    project = Project(environment)
    (tmp_path / "checks.d").mkdir()
    (tmp_path / "checks.d/newest.js").write_text(PAGE["newest-order-js"])
    (tmp_path / "checks.d/count.js").write_text("db.orders.countDocuments() === 1000")
    with mongod.client() as client:
        orders = client[name].orders
        now = datetime.now(UTC) - timedelta(minutes=1)
        orders.insert_many([{"_id": n, "created": now - timedelta(hours=n), "said": CANARY} for n in range(1000)])
        client[name].gone.insert_one({})
        project.back_up()
        document = project.run("verify", "--json").json
        assert (document["result"], document["level"]) == ("passed", 5), document
        assert "validate" in document["seconds"]
        (record,) = (r for r in project.run("show", "latest", "--json").json["evidence"] if r["kind"] == "verify")
        assert record["examined"] == ["validate found no damage in 2 collections", "checks that hold: 2 of 2"]
        assert record["warnings"] == []
        orders.delete_many({"_id": {"$lt": 500}})
        client[name].drop_collection("gone")
        project.back_up()
        document = project.run("verify", "--json", expect=1).json
        client.drop_database(name)
    assert [(m["table"], m["what"], m["expected"]) for m in document["mismatches"]] == [
        (f"{name}.gone", "table", "present, as in the backup before"),
        ("count.js", "check", "true"),
        ("newest.js", "check", "at most 86400"),
    ]
    assert "newest.js (the newest order was more than a day old" in document["error"]
    (tmp_path / "checks.d/newest.js").unlink()
    (tmp_path / "checks.d/count.js").write_text("db.orders.countDocument() === 1000")
    ran = project.run("verify", "--json", expect=6, VERIFY_MAY_VANISH="gone")
    assert ran.json["error"] == "count.js: mongosh cannot answer it: db.orders.countDocument is not a function"
    ran = project.run("verify", "--json", expect=6, VERIFY_MAY_VANISH="gone", PROGRAMS=programs_path)
    assert "a check in JavaScript needs mongosh" in ran.json["error"]
    assert project.at_rest()
