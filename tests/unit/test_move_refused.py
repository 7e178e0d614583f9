"""What `killick move` refuses before it asks a server: words that name no move, journals that it may not go on with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy.move import journal as journals
from deploy.move.cli import move
from killick.cli import told
from tests.unit.test_move_spec import EXAMPLE


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (tmp_path / "shop.toml").write_text(EXAMPLE)
    return tmp_path


def run(*argv: str) -> tuple[int, str]:
    """Its exit code and what it printed; what it said of an error is on our stderr."""
    ran = CliRunner().invoke(move, argv)
    code = ran.exit_code if ran.exception is None or isinstance(ran.exception, SystemExit) else told(ran.exception)
    return code, ran.stdout


def opened(*events: tuple[str, str]) -> journals.Journal:
    journal = journals.create("shop.example", "20251128T230000Z", {"spec.toml": EXAMPLE.encode()}, digest="d")
    for event, step in events:
        told = {"error": "the disk is full", "hint": ""} if event == "failed" else {}
        journal.write(event, step, **told, **({"outcome": "done"} if event == "closed" else {}))
    return journal


def test_what_is_not_there_is_not_begun(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A word that is no site's, or a file that is not there, leaves nothing: no folder of that name, no lock."""
    for verb in ("status", "resume", "rollback", "report"):
        for word in ("nothing", str(state / "none.toml"), "20251128T230000Z", "a/b", "", "x" * 300, "a\0b", str(state)):
            assert run(verb, word)[0] == 3, (verb, word)
            assert "no move of" in capsys.readouterr().err
    assert sorted(each.name for each in state.iterdir()) == ["shop.toml"]


@pytest.mark.parametrize("verb", ["resume", "rollback"])
def test_one_that_is_over_is_over(state: Path, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    journal = opened(("closed", ""))
    assert journal.path is not None
    before = journal.path.read_bytes()
    assert run(verb, "shop.example")[0] == 5
    assert "the move 20251128T230000Z of shop.example is over: done" in capsys.readouterr().err
    assert journal.path.read_bytes() == before


def test_no_way_back_after_the_point_of_no_return(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What stopped it is told still: nobody went on with it."""
    journal = opened(("begun", "switch"), ("no-return", "switch"), ("failed", "switch"))
    assert journal.path is not None
    before = journal.path.read_bytes()
    assert run("rollback", "shop.example")[0] == 5
    said = capsys.readouterr().err
    assert "the new server may have taken writes of shop.example" in said
    assert "killick move resume" in said and "another move, with old and new exchanged" in said
    assert journal.path.read_bytes() == before
    assert "It stopped: the disk is full" in run("status", "shop.example")[1]


@pytest.mark.parametrize(
    "argv", [("resume", "shop.example"), ("rollback", "shop.example"), ("run", "shop.toml"), ("rehearse", "shop.toml")]
)
def test_two_at_once(state: Path, argv: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    opened(("begun", "freeze"))
    word = str(state / argv[1]) if argv[1].endswith("toml") else argv[1]
    with journals.alone("shop.example"):
        assert run(argv[0], word)[0] == 7
        assert "another killick works on the move of shop.example" in capsys.readouterr().err
        assert run("status", "shop.example")[0] == 0


@pytest.mark.parametrize("verb", ["run", "rehearse"])
def test_an_open_one_comes_first(state: Path, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    opened(("begun", "freeze"))
    assert run(verb, str(state / "shop.toml"))[0] == 5
    said = capsys.readouterr().err
    assert "a move of shop.example is open" in said and "killick move resume shop.example" in said


@pytest.mark.parametrize("verb", ["resume", "rollback"])
@pytest.mark.parametrize(
    ("spoil", "code", "says"),
    [
        (lambda text: text.replace('"machine":"', '"machine":"x'), 5, "was begun on"),
        (lambda text: text.replace('"format":1', '"format":9'), 5, "of a later killick"),
        (lambda text: text.replace('"at":', '"when":'), 4, "line 1 is no event"),
        (lambda text: text[:20], 3, "no move of shop.example"),  # cut off in its first event: nothing was begun
        (lambda text: "", 3, "no move of shop.example"),
    ],
)  # fmt: skip
def test_a_journal_that_is_not_ours(
    state: Path, spoil: Callable[[str], str], code: int, says: str, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = opened(("begun", "freeze"))
    assert journal.path is not None
    text = spoil(journal.path.read_text())
    journal.path.write_text(text)
    assert run(verb, "shop.example")[0] == code
    assert says in capsys.readouterr().err
    assert journal.path.read_text() == text


def test_a_copy_of_the_spec_that_is_gone(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = opened(("begun", "freeze"))
    assert journal.folder is not None
    (journal.folder / "spec.toml").unlink()
    assert run("resume", "shop.example")[0] == 2
    assert "spec.toml: No such file" in capsys.readouterr().err
