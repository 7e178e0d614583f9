"""The journal: what is written stays, and whoever reads it sees only what was written whole."""

import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from deploy import frozen
from deploy.move import journal as journals
from deploy.move import outside
from deploy.move.journal import Journal
from deploy.turn import alone
from killick.errors import Busy, Corrupt, KillickError, NotFound, Refused
from tests.kit import small_disk
from tests.lab import moves

SECRET = "postgres://shop:S3CRET@db/shop"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def made() -> Journal:
    return journals.create("shop", "20261128T230000Z", digest="d")


def path(journal: Journal) -> Path:
    assert journal.path is not None
    return journal.path


def test_it_is_where_it_is_said_to_be_and_nobody_elses(state: Path) -> None:
    journal = made()
    assert path(journal) == state / "killick/moves/shop/20261128T230000Z/journal.jsonl"
    assert stat.S_IMODE(path(journal).stat().st_mode) == 0o600
    for folder in [path(journal).parents[i] for i in range(4)]:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
    first = json.loads(path(journal).read_text())
    assert (first["event"], first["machine"], first["site"]) == ("opened", journals.machine(), "shop")


def test_without_xdg_it_is_below_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert journals.home() == tmp_path / ".local/state/killick/moves"


def test_every_event_is_on_the_disk_when_it_was_written(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []

    def fsync(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))

    monkeypatch.setattr(os, "fsync", fsync)
    journal = made()
    assert str(path(journal).parent) in synced and str(path(journal).parent.parent) in synced
    synced.clear()
    journal.write("begun", "fence")
    assert synced == [str(path(journal))]


def test_a_first_value_stays(state: Path) -> None:
    journal = made()
    journal.keep("names", "record", {"content": "10.0.0.1"})
    journal.keep("names", "record", {"content": "10.0.0.2"})
    again = journals.take_up(path(journal))
    assert again.kept("names", "record") == {"content": "10.0.0.1"}
    assert again.kept("names", "other") is None and again.kept("switch", "record") is None


@pytest.mark.parametrize("torn", ['{"at":1,"ev', '{"at":1,"event":"begun","step":"x"}', "\x00\x00"])
def test_a_torn_line_never_happened_and_is_cut_off(state: Path, torn: str) -> None:
    journal = made()
    journal.write("begun", "fence")
    whole = path(journal).read_text()
    with path(journal).open("a") as file:
        file.write(torn)
    assert [e["event"] for e in journals.look(path(journal)).events] == ["opened", "begun"]
    assert path(journal).read_text() == whole + torn
    journals.take_up(path(journal)).write("acted", "fence")
    assert [e["event"] for e in journals.look(path(journal)).events] == ["opened", "begun", "acted"]


@pytest.mark.parametrize("line", ["nonsense", "[]", '{"at":1}'])
def test_a_line_in_the_middle_that_is_no_event_is_refused(state: Path, line: str) -> None:
    journal = made()
    with path(journal).open("a") as file:
        file.write(f'{line}\n{{"at":1,"event":"x"}}\n')
    with pytest.raises(Corrupt, match="line 2 is no event"):
        journals.look(path(journal))


def test_half_a_line_of_a_full_disk_does_not_stay(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = made()
    before = path(journal).read_bytes()
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) > 10:
            return write(descriptor, data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", lambda d, data: full(d, data[:11]))
    with pytest.raises(KillickError, match="No space left"):
        journal.write("begun", "fence")
    monkeypatch.undo()
    assert path(journal).read_bytes() == before
    assert [e["event"] for e in journal.events] == ["opened"]


def test_an_event_that_lacks_what_it_tells_is_refused(state: Path) -> None:
    journal = made()
    whole = path(journal).read_bytes()
    lacking = (
        b'{"at":1,"event":"begun"}', b'{"at":1,"event":"failed","step":"fence"}', b'{"at":1,"event":"closed"}',
        b'{"at":"x","event":"back"}', b'{"at":null,"event":"back"}', b'{"event":"back"}', b"[1]", b"\xff", b"",
    )  # fmt: skip
    for line in lacking:
        path(journal).write_bytes(whole + line + b"\n")
        with pytest.raises(Corrupt, match="line 2 is no event"):
            journals.look(path(journal))


def test_one_of_a_later_killick_is_left_to_it(state: Path) -> None:
    """Its steps are others; and so it is not known whether it is over."""
    journal = made()
    path(journal).write_text(path(journal).read_text().replace('"format":1', '"format":2'))
    for asks in (lambda: journals.take_up(path(journal)), lambda: journals.is_open("shop")):
        with pytest.raises(Refused, match="of a later killick"):
            asks()


def test_a_folder_that_cannot_hold_it_is_told(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (state / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(state / "file"))
    with pytest.raises(KillickError, match="File exists") as caught, journals.alone("shop"):
        pass
    assert "XDG_STATE_HOME" in caught.value.hint


def test_one_that_cannot_be_read_is_told(state: Path) -> None:
    journal = made()
    path(journal).unlink()
    path(journal).mkdir()
    with pytest.raises(KillickError, match=r"journal\.jsonl: Is a directory"):
        journals.latest("shop")


def test_one_that_cannot_be_begun_or_gone_on_with_is_told(state: Path) -> None:
    with small_disk(state / "small", 1) as disk, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(disk))
        journal = journals.create("small", "1")
        with pytest.raises(KillickError, match="No space left on device"):
            journals.create("shop", "1", {"spec.toml": bytes(2 << 20)})
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        with pytest.raises(KillickError, match="Read-only file system"):
            journals.take_up(path(journal))
        journals.look(path(journal))  # to read is allowed


def test_no_room_for_what_is_measured_changes_no_ending(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "_ways", lambda move: {})
    move = replace(moves.move(moves.spec()), journal=made())
    assert move.journal.folder is not None
    (move.journal.folder / outside._FILE).mkdir()
    with outside.measured(move) as measured:
        measured.start()
        with pytest.raises(OSError, match="Is a directory"):
            measured.save()


def test_what_is_wrong_with_one_site_is_not_another_ones(state: Path) -> None:
    path(made()).write_text("nonsense\n")
    with pytest.raises(Corrupt):
        journals.latest("shop")
    with pytest.raises(NotFound) as caught:
        journals.latest("other")
    assert "known are shop" in caught.value.hint


@pytest.mark.parametrize("word", ["", ".", "..", "../moves/shop", "a/b", "/etc", "x" * 300, "a\0b"])
def test_what_is_no_sites_name_has_no_move(state: Path, word: str) -> None:
    made()
    with pytest.raises(NotFound):
        journals.latest(word)


def test_on_another_machine_it_is_refused(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = made()
    monkeypatch.setattr(journals, "machine", lambda: "another")
    with pytest.raises(Refused, match=r"was begun on .*, and this is") as caught:
        journals.take_up(path(journal))
    assert "go on there" in caught.value.hint
    journals.look(path(journal))  # to read is allowed


def test_the_machines_own_id_is_not_told() -> None:
    file = Path("/etc/machine-id")
    assert not file.is_file() or file.read_text().strip() != journals.machine()


def test_passwords_do_not_get_in(state: Path) -> None:
    journal = made()
    with pytest.raises(ValueError, match="a password in what fence keeps"):
        journal.keep("fence", "url", {"deep": [SECRET]})
    journal.note("fence", f"it said: {SECRET}")
    journal.write("failed", "fence", error=SECRET, hint="")
    assert "S3CRET" not in path(journal).read_text()
    assert "postgres://shop:***@db/shop" in path(journal).read_text()


def test_one_runner_at_a_time_across_processes(state: Path) -> None:
    other = "from deploy.move.journal import alone\nwith alone('shop'): pass"
    with journals.alone("shop"):
        ran = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True, timeout=60)
        assert "Busy" in ran.stderr
        with pytest.raises(Busy), journals.alone("shop"):
            pass
        with journals.alone("another"):
            pass
    assert subprocess.run([sys.executable, "-c", other], timeout=60).returncode == 0


def test_which_move_is_meant(state: Path) -> None:
    with pytest.raises(NotFound, match="no move of shop"):
        journals.latest("shop")
    first = journals.create("shop", "1")
    first.write("closed", outcome="done")
    rehearsed = journals.create("shop", "2", rehearsal=True)
    assert journals.latest("shop") == rehearsed.path and journals.is_open("shop")
    rehearsed.write("closed", outcome="rehearsed")
    assert journals.latest("shop") == first.path and not journals.is_open("shop")
    (state / "killick/moves/shop/3").mkdir()  # killed before its first event
    (state / "killick/moves/shop/3/journal.jsonl").touch()
    assert journals.latest("shop") == first.path
    with pytest.raises(NotFound) as caught:
        journals.latest("other")
    assert "known are shop" in caught.value.hint


# Deploys


def test_a_project_that_is_moved_is_not_deployed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with alone("shop"):
        pass
    mark = tmp_path / frozen.mark("shop")
    assert str(mark.relative_to(tmp_path)) == ".local/state/killick/frozen/shop"
    mark.parent.mkdir(parents=True)
    mark.write_text("20261128T230000Z\n")
    with pytest.raises(Refused, match=r"shop is being moved .* 20261128T230000Z"), alone("shop"):
        pass
    with alone("other"):
        pass
    mark.write_text("20261128T230000Z\n192.0.2.2, /srv/shop\n")
    with (
        pytest.raises(Refused, match=r"shop was moved to 192\.0\.2\.2, /srv/shop, move 20261128T230000Z"),
        alone("shop"),
    ):
        pass
    mark.unlink()
    with alone("shop"):
        pass
