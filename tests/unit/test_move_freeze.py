"""The mark that freezes a project is there whole or not at all."""

import subprocess
from pathlib import Path

from deploy.move.steps import freeze


def marked(home: Path, id: str, before: str = "") -> subprocess.CompletedProcess[str]:
    script = ["sh", "-euc", before + freeze._MARK, "killick", "marks/shop", id]
    return subprocess.run(script, env={"HOME": str(home), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True)


def test_it_holds_the_move(tmp_path: Path) -> None:
    assert marked(tmp_path, "one").returncode == 0
    assert [(path.name, path.read_text()) for path in (tmp_path / "marks").iterdir()] == [("shop", "one\n")]
    assert marked(tmp_path, "one").returncode != 0, "it is asked for only where there is none"


def test_it_never_takes_anothers_place(tmp_path: Path) -> None:
    marked(tmp_path, "one")
    assert "File exists" in marked(tmp_path, "two").stderr
    assert [(path.name, path.read_text()) for path in (tmp_path / "marks").iterdir()] == [("shop", "one\n")]


def test_nothing_stays_of_one_that_could_not_be_written(tmp_path: Path) -> None:
    """A file of no bytes would say that a move holds the project, and not which."""
    told = marked(tmp_path, "one", "ulimit -f 0; trap '' XFSZ; ")
    assert told.returncode != 0
    assert list((tmp_path / "marks").iterdir()) == []
