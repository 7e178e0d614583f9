"""`killick move` between two servers, while the site is used."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.move.prober import Prober
from deploy.move.spec import load
from deploy.move.windows import Window, windows
from tests.kit import Ran, wait_for
from tests.lab import docker
from tests.lab.two import ADDRESS, NAME, PASSWORD, Lab, scripted
from tests.lab.two.load import Compared, Load, compare

SPEC = Path(docker.ROOT / "tests/lab/two/shop.toml")
AGREE = 0.25  # seconds


@dataclass(frozen=True)
class Runner:
    """Where a move is run from: a folder for its journals, the lab's ssh."""

    lab: Lab
    folder: Path

    def move(self, *argv: str, given: Sequence[str] = ()) -> Ran:
        """`given` are words that a person would type."""
        said = [word for each in given for word in ("--yes", each)]
        done = subprocess.run(
            [sys.executable, "-m", "killick", "move", *argv, *said],
            env=self.environment(), cwd=self.folder, capture_output=True, text=True, timeout=400,
        )  # fmt: skip
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        assert PASSWORD not in done.stdout + done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    def environment(self) -> dict[str, str]:
        return {
            "HOME": os.environ["HOME"], "XDG_STATE_HOME": str(self.folder), "PYTHONPATH": str(docker.ROOT),
            **self.lab.environment(),
        }  # fmt: skip

    def journals(self) -> str:
        return "".join(path.read_text() for path in self.folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab() as made:
        yield made


@pytest.fixture
def runner(lab: Lab, tmp_path: Path) -> Runner:
    lab.fresh()
    shutil.copy(SPEC, tmp_path)
    return Runner(lab, tmp_path)


def test_a_move_under_load(runner: Runner) -> None:
    """No promised write is lost or doubled, none reaches old after the switch, and the report tells the truth."""
    spec, lab = load(SPEC), runner.lab
    outside = Prober({"public": (ADDRESS["edge"], NAME), "old": (ADDRESS["old"], NAME)}, spec.check)
    assert runner.move("rehearse", "shop.toml", given=["shop"]).code == 0
    with outside, Load() as load_:
        wait_for(lambda: len(load_.ledger.promised) > 50)
        ran = runner.move("run", "shop.toml", given=["shop"])
        assert ran.code == 0, ran.err
        after = len(load_.ledger.promised)
        wait_for(lambda: len(load_.ledger.promised) > after + 50)
    lab.compose("old", "start db")
    wait_for(lambda: lab.sql("old", "SELECT 1") == "1")
    compared = compare(load_.ledger, scripted.canaries(lab, "old"), scripted.canaries(lab, "new"))
    assert compared == Compared([], [], []), load_.ledger.answers
    assert PASSWORD not in runner.journals()
    seen = windows(outside.samples())
    told = json.loads(runner.move("report", "shop.toml", "--json").out)["windows"]
    for name, window in (("write_unavailable", seen.write_unavailable), ("read_unavailable", seen.read_unavailable)):
        assert abs(told[name]["seconds"] - window.seconds) < AGREE, (name, told, window)
    assert seen.mixed == Window()


@pytest.mark.parametrize("argv", [("plan", "shop.toml"), ("run", "shop.toml", "--dry-run")])
def test_what_only_looks_changes_nothing(runner: Runner, argv: Sequence[str]) -> None:
    before = runner.lab.state()
    ran = runner.move(*argv)
    assert ran.code in (0, 5), ran.err
    assert runner.lab.state() == before


def test_a_step_that_fails_is_taken_back(runner: Runner) -> None:
    """A prepared transaction would write behind the fence: the old server serves again, as before."""
    lab = runner.lab
    lab.compose("old", 'exec -T db psql -U shop -c "ALTER SYSTEM SET max_prepared_transactions = 4"')
    lab.compose("old", "restart db")
    wait_for(lambda: lab.status("edge") == 200)
    lab.sql("old", "BEGIN; INSERT INTO canary (id, host) VALUES ('prepared', 'old'); PREPARE TRANSACTION 'late'")
    with Load() as load_:
        wait_for(lambda: len(load_.ledger.promised) > 20)
        ran = runner.move("run", "shop.toml", given=["shop"])
        assert ran.code != 0
        after = len(load_.ledger.promised)
        wait_for(lambda: len(load_.ledger.promised) > after + 50)
    assert lab.ask("edge") == lab.ask("old") == (200, "old")
    lab.sql("old", "ROLLBACK PREPARED 'late'")
    on_old = scripted.canaries(lab, "old")
    assert set(load_.ledger.promised) <= set(on_old)
