"""Where a move in the lab is run from, and what has to hold at its end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from deploy.frozen import mark
from tests.kit import Ran, wait_for
from tests.lab import docker
from tests.lab.two import ADDRESS, PASSWORD, SITE, Lab, scripted
from tests.lab.two.load import Compared, Ledger, compare

SPEC = docker.ROOT / "tests/lab/two/shop.toml"


@dataclass(frozen=True)
class Runner:
    """A folder for its spec and journals, the lab's ssh and names, and more variables."""

    lab: Lab
    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    def given(self, **variables: str) -> Self:
        return replace(self, variables=variables)

    def move(self, *argv: str) -> Ran:
        done = subprocess.run(self._argv(*argv), **self._how(), timeout=400)
        return self._seemly(Ran(done.returncode, done.stdout, done.stderr))

    def run(self, *argv: str) -> Ran:
        return self.move("run", "shop.toml", "--yes", "shop", *argv)

    def dies(self, named: Path, *argv: str) -> Ran:
        """A verb whose process dies after the first event that `named` does not name yet (tests/…/dies.py)."""
        words = self.lab.words(sys.executable, "-m", "tests.end_to_end.moves.dies", named, "move", *argv)
        done = subprocess.run(words, **self._how(), timeout=400)
        return self._seemly(Ran(done.returncode, done.stdout, done.stderr))

    def killed(self, when: Callable[[str], bool]) -> bool:
        """Whether a move was killed, once that holds of its journal's text; False where it ended before."""
        with self._running() as process:
            killed = self._seen(process, when)
            if killed:
                process.kill()
        return killed

    def interrupted_in(self, step: str) -> Ran:
        """Ctrl-C once that step was begun."""
        return self.meanwhile(f'"event":"begun","step":"{step}"', None)

    def meanwhile(self, when: str, do: Callable[[], object] | None) -> Ran:
        """A move, and something that is done once its journal holds `when`; Ctrl-C where that is None."""
        with self._running() as process:
            assert self._seen(process, lambda journal: when in journal), process.communicate()
            if do is None:
                process.send_signal(signal.SIGINT)
            else:
                do()
            out, err = process.communicate(timeout=400)
        return self._seemly(Ran(process.returncode, out, err))

    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = self.move("report", "shop", "--json").json
        return found

    def kept(self) -> str:
        """All that a runner left on its machine."""
        return "".join(path.read_text() for path in self.folder.rglob("*") if path.is_file())

    @contextmanager
    def _running(self) -> Any:
        with subprocess.Popen(self._argv("run", "shop.toml", "--yes", "shop"), **self._how()) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.kill()

    def _seen(self, process: "subprocess.Popen[str]", true: Callable[[str], bool]) -> bool:
        """Waits for something to stand in the journal; False where the move ended before."""
        while process.poll() is None:
            if true("".join(path.read_text() for path in self.folder.rglob("journal.jsonl"))):
                return True
            time.sleep(0.01)
        return False

    def _argv(self, *argv: str) -> list[str | Path]:
        return self.lab.words(sys.executable, "-m", "killick", "move", *argv)

    def _how(self) -> Any:
        bare = {"HOME": os.environ["HOME"], "XDG_STATE_HOME": str(self.folder), "PYTHONPATH": str(docker.ROOT)}
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        environment = {**bare, **self.lab.environment(), **self.variables}
        return {"env": environment, "cwd": self.folder, "start_new_session": True, **pipes}

    def _seemly(self, ran: Ran) -> Ran:
        assert "Traceback" not in ran.out + ran.err, ran.err
        assert "nobody foresaw" not in ran.err, ran.err
        assert PASSWORD not in ran.out + ran.err
        return ran


def moved(runner: Runner, ledger: Ledger) -> None:
    """The end of a move: nothing lost, doubled or late, no secret in the open, and old stays down."""
    lab = runner.lab
    assert lab.ask("edge") == lab.ask("old") == (200, "new")
    assert lab.on("old", "docker ps --quiet") == ""
    assert lab.on("old", "ls -A /root/.killick") == lab.on("new", "ls -A /root/.killick") == ""
    assert lab.on("old", f"cat /root/{mark('shop')}").splitlines()[1] == f"{ADDRESS['new']}, {SITE}"
    lab.compose("old", "start db")
    wait_for(lambda: "accepting" in lab.compose("old", "exec -T db pg_isready -h 127.0.0.1", check=False))
    compared = compare(ledger, scripted.canaries(lab, "old"), scripted.canaries(lab, "new"))
    assert compared == Compared([], [], []), ledger.answers
    assert lab.sql("new", "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'move%'") == "0"
    assert lab.compose("new", "exec -T app cat /uploads/first.txt") == "made by the app's first start\n"
    assert PASSWORD not in runner.kept()


def on_old(runner: Runner, ledger: Ledger) -> None:
    """The end of a rollback: old serves, takes writes, and has all that it promised."""
    lab = runner.lab
    assert lab.ask("edge") == lab.ask("old") == (200, "old")
    assert lab.status("edge", method="POST", path="/canary?id=after") == 201
    assert lab.status("old", method="POST", path="/canary?id=after-too") == 201
    assert set(ledger.promised) <= set(scripted.canaries(lab, "old"))
    assert lab.sql("old", "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'move%'") == "0"
