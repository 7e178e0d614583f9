"""A verifier of its own, as docs/verify.md sets it up: no source, or some by name, and no way to reach them."""

import signal
from pathlib import Path

import pytest

from tests.kit import Project, basics, wait_for


@pytest.mark.parametrize("named", [True, False], ids=["named", "not named"])
def test_it_verifies_what_it_cannot_reach(tmp_path: Path, named: bool) -> None:
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "picture").write_bytes(b"\0" * 1000)
    project = Project({**basics(tmp_path, ""), "FILES_UPLOADS": str(folder)})
    project.back_up()
    (folder / "picture").unlink()
    folder.rmdir()
    apart = {
        "DATABASE_URL": "postgres://shop@nobody.invalid/shop", "SCHEDULE": "off", "VERIFY_IN": "process",
        "METRICS_PORT": "off", "SCRATCH_DIR": str(tmp_path / "own"),
    }  # fmt: skip
    if not named:
        apart |= {"DATABASE_URL": "", "FILES_UPLOADS": ""}
    with project.running("run", **apart) as loop:
        wait_for(lambda: bool(project.run("list", "--json").json[0]["verified"]), 60)
        loop.send_signal(signal.SIGTERM)
        assert loop.wait(10) == 0
    verified = project.run("list", "--json").json[0]["verified"]
    assert (verified["result"], verified["level"]) == ("passed", 4)
    assert project.catalog().failures == ()
