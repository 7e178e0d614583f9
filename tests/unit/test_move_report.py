"""What a journal tells afterwards, what a rehearsal foretells, and what is drawn meanwhile. Pure parts only."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from deploy.move import journal as journals
from deploy.move import plan, report, screen
from deploy.move.cli import move
from deploy.move.journal import Journal
from deploy.move.plan import Plan, Prediction
from deploy.move.spec import load
from deploy.move.state import read
from killick.cli import told
from killick.errors import Refused
from tests.unit.test_move_spec import EXAMPLE

AT = 1_764_370_800.0  # 2025-11-28T23:00:00Z


def event(seconds: float, event: str, step: str = "", **more: Any) -> dict[str, Any]:
    return {"at": AT + seconds, "event": event, **({"step": step} if step else {}), **more}


OPENED = event(0, "opened", id="20251128T230000Z", site="shop.example", digest="d", plan={"downtime": 10.0})
MOVED = [
    OPENED,
    event(1, "begun", "read-only"),
    event(1.5, "kept", "read-only", key="map", value="shop 0"),
    event(2, "acted", "read-only"),
    event(2.25, "verified", "read-only", says="POST is refused | everywhere"),
    event(3, "kept", "land", key="db.before", value={"rows": 50002, "checksum": "ab12"}),
    event(3, "kept", "land", key="db.after", value={"rows": 50002, "checksum": "ab12"}),
    event(4, "begun", "switch"),
    event(5, "no-return", "switch"),
    event(6, "acted", "switch"),
    event(12, "verified", "switch", says="the new one answers"),
    event(13, "noted", "names", what="AAAA was not there"),
]
WINDOWS = {
    "write_unavailable": {"seconds": 10.9, "spans": [[AT + 1.1, AT + 12.0]]},
    "read_unavailable": {"seconds": 4.0, "spans": [[AT + 5, AT + 9]]},
    "mixed": {"seconds": 0.0, "spans": []},
    "unknown": 2,
}
DONE = [*MOVED, event(14, "windows", windows=WINDOWS), event(15, "closed", outcome="done")]


def test_a_move_that_is_done() -> None:
    told = report.to_json(read(DONE))
    assert (told["outcome"], told["clock"], told["predicted"], told["next"]) == ("done", 11.0, 10.0, None)
    assert told["windows"]["write_unavailable"]["seconds"] == 10.9
    assert told["data"] == [
        {"what": "db", "before": {"rows": 50002, "checksum": "ab12"}, "after": {"rows": 50002, "checksum": "ab12"}}
    ]
    assert told["prior"] == [{"step": "read-only", "key": "map", "value": "shop 0"}]
    step = next(step for step in told["steps"] if step["name"] == "read-only")
    assert (step["began"], step["seconds"], step["status"]) == ("2025-11-28T23:00:01Z", 1.25, "verified")
    text = report.markdown(read(DONE))
    for words in (
        "Done: shop.example is served by the new server.",
        "| writes unavailable | 10.90 s | 10.00 s | 1 |",
        "| reads unavailable | 4.00 s | - | 1 |",
        "| the clock, read-only to switch | 11.00 s | 10.00 s | - |",
        "Writes that got no answer, done or not: 2.",
        "| db | rows 50,002, checksum ab12 | rows 50,002, checksum ab12 |",
        "| read-only | map | shop 0 |",
        "POST is refused \\| everywhere",
        "- names: AAAA was not there",
    ):
        assert words in text, words


def test_one_that_stopped_says_which_side_has_the_data_and_what_is_next() -> None:
    after = read([*MOVED, event(14, "failed", "names", error="the API says 403", hint="x")])
    assert report.headline(after) == [
        "It stopped: the API says 403; writes may have reached the new server: it goes forward only.",
        "Next: killick move resume shop.example",
    ]
    killed = read(MOVED[:4])
    assert "the old one holds all data" in report.headline(killed)[0]
    assert report.to_json(killed)["clock"] == 1.0  # it runs on, until the last that is known


def test_one_that_was_rolled_back() -> None:
    events = [
        *MOVED[:5],
        event(5, "failed", "fence", error="a prepared transaction is open", hint=""),
        event(6, "back"),
        event(7, "undoing", "read-only"),
        event(8, "undone", "read-only"),
        event(9, "closed", outcome="rolled back"),
    ]
    state = read(events)
    assert report.headline(state) == [
        "Rolled back after: a prepared transaction is open; shop.example is served by the old server, as before."
    ]
    assert report.to_json(state)["clock"] == 7.0
    left = read([*events[:-2], event(8, "left", "read-only", error="the socket is gone", hint="open it by hand")])
    assert report.to_json(left)["by_hand"] == ["read-only could not be undone: the socket is gone (open it by hand)"]
    assert report.next_command(left) == "killick move rollback shop.example"


def test_a_report_of_every_moment_can_be_written() -> None:
    for end in range(1, len(DONE) + 1):
        state = read(DONE[:end])
        json.dumps(report.to_json(state))
        assert report.markdown(state).startswith("# Move 20251128T230000Z of shop.example")


def test_the_screen_has_the_clock_and_what_works() -> None:
    def drawn(events: list[Any], now: float) -> str:
        console = Console(width=120, record=True, file=io.StringIO())
        console.print(screen.table(read(events), ["read-only", "switch"], AT + now))
        return console.export_text()

    assert "writes are open" in drawn(DONE[:1], 1)
    assert "WRITES ARE REFUSED for 3.5 s of about 10 s" in drawn(MOVED[:8], 4.5)
    assert "works" in drawn(MOVED[:8], 4.5)
    assert "writes were refused for 11.0 s" in drawn(DONE, 99)


def test_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    journal = Journal(None, list(MOVED))
    shown = screen.made(journal, ["read-only"])
    shown.told("verified", "read-only")
    assert "  read-only done: POST is refused" in capsys.readouterr().err


# What a rehearsal foretells


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (tmp_path / "shop.toml").write_text(EXAMPLE)
    return tmp_path


def rehearsed(digest: str, dump: float, outcome: str = "rehearsed", id: str = "1") -> None:
    journal = journals.create("shop.example", id, digest=digest, rehearsal=True)
    seconds = {"dump": dump, "copy": 1.0, "restore": 2.0, "compare": 0.5, "start": 4.0}
    journal.keep("rehearse", "seconds", seconds)
    if outcome:
        journal.write("closed", outcome=outcome)


def test_production_wants_a_green_rehearsal_of_the_same_file(state: Path) -> None:
    spec = load(state / "shop.toml")
    for id, digest, outcome in (
        ("1", "another", "rehearsed"),
        ("2", spec.digest, "rolled back"),
        ("3", spec.digest, ""),
    ):
        rehearsed(digest, 1.0, outcome, id)
        with pytest.raises(Refused, match="no rehearsal of this very spec"):
            plan.may_run(spec)
    rehearsed(spec.digest, 1.0, id="4")
    plan.may_run(spec)


def test_only_production_does(state: Path) -> None:
    (state / "shop.toml").write_text(EXAMPLE.replace('"prod"', '"stage"', 1))
    plan.may_run(load(state / "shop.toml"))


def test_the_newest_one_foretells(state: Path) -> None:
    spec = load(state / "shop.toml")
    assert plan.predicted(spec) is None
    rehearsed(spec.digest, 100.0, id="1")
    rehearsed(spec.digest, 3.0, id="2")
    found = plan.predicted(spec)
    assert found and found.rehearsal == "2"
    assert (found.seconds["final"], found.seconds["land"], found.seconds["start"]) == (3.0, 3.5, 4.0)
    trips = sum(found.seconds[name] for name in ("read-only", "fence", "cut", "switch"))
    assert found.downtime == pytest.approx(3.0 + 3.5 + 4.0 + trips)
    assert "names" in found.seconds  # which is after the clock


def test_the_plan_as_it_is_read() -> None:
    made = Plan(
        "shop", (("freeze", "nobody deploys"), ("read-only", "503")), Prediction("r", {"freeze": 1.0}), ("x (y)",)
    )
    assert made.lines()[0] == " 1  freeze        1.0 s  nobody deploys"
    assert made.lines()[1] == " 2  read-only         -  503"
    assert made.lines()[-1] == "in the way: x (y)"
    assert made.to_json()["steps"][1] == {"name": "read-only", "says": "503", "seconds": None}
    assert "rehearse measures it" in Plan("s", (("a", "b"),), None, ()).lines()[-1]


# The command line, as far as it asks no server


def run(*argv: str) -> tuple[int, str]:
    ran = CliRunner().invoke(move, argv)
    code = ran.exit_code if ran.exception is None or isinstance(ran.exception, SystemExit) else told(ran.exception)
    return code, ran.stdout


def test_status_and_report(state: Path) -> None:
    assert run("status", "shop.example")[0] == 3
    journal = journals.create("shop.example", "20251128T230000Z", digest="d", plan={"downtime": 10.0})
    for each in MOVED[1:]:
        journal.write(
            each["event"], each["step"], **{k: v for k, v in each.items() if k not in ("at", "event", "step")}
        )
    for word in ("shop.example", str(state / "shop.toml")):
        code, said = run("status", word)
        assert code == 0 and "20251128T230000Z of shop.example: open" in said
        assert "Next: killick move resume shop.example" in said
    assert json.loads(run("status", "shop.example", "--json")[1])["no_return"] is True
    assert run("report", "shop.example")[1].startswith("# Move 20251128T230000Z of shop.example")
    assert json.loads(run("report", "shop.example", "--json")[1])["clock"] is not None


def test_a_bad_file_is_usage(state: Path) -> None:
    (state / "bad.toml").write_text("site = 1")
    assert run("plan", str(state / "bad.toml"))[0] == 2
    assert run("plan", str(state / "none.toml"))[0] == 2


def test_help_has_examples() -> None:
    code, said = run("--help")
    assert code == 0 and "killick move rollback shop.example" in said
    for verb in ("plan", "rehearse", "run", "status", "resume", "rollback", "report"):
        assert run(verb, "--help")[0] == 0


def test_the_fields_of_the_documents_are_told() -> None:
    page = (Path(__file__).parents[2] / "docs/move.md").read_text()
    rows = {
        verb: set(re.findall(r'"(\w+)"', cell))
        for verb, cell in re.findall(r"^\| `(plan|report)` \| (.*) \|$", page, re.M)
    }
    assert rows["plan"] == keys(Plan("s", (("a", "b"),), None, ()).to_json())
    assert rows["report"] == keys(report.to_json(read(DONE))) - {"rows", "checksum"}


def keys(document: Any) -> set[str]:
    if isinstance(document, dict):
        return set(document) | {key for value in document.values() for key in keys(value)}
    return {key for value in document for key in keys(value)} if isinstance(document, list) else set()
