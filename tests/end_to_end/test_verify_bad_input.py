"""What is wrong here and not with the backup: one sentence and its cure, exit 6 (2 for settings), and nothing stays.

Elsewhere: a socket that may not be used, images (test_containers.py), versions, keys, codecs (test_verify.py).
"""

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.end_to_end.backups import Backups
from tests.kit import Project, small_disk


@pytest.fixture
def backups(project: Project) -> Backups:
    return Backups(Path(project.environment["STORE"].removeprefix("file://")))


def cannot(project: Project, says: str, *argv: str, **environment: str) -> None:
    """It says so in a sentence, for programs and for people."""
    ran = project.run("verify", "--json", *argv, expect=6, **environment)
    assert ran.json["result"] == "unverifiable"
    assert ran.json["failed_level"] is None
    assert says in ran.json["error"]
    assert "\n" not in ran.json["error"]
    text = project.run("verify", *argv, expect=6, **environment).out
    assert says in text
    assert "what to do" in text
    assert project.at_rest()


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("unix:///nowhere/docker.sock", "no Docker at unix:///nowhere/docker.sock: No such file or directory"),
        ("tcp://127.0.0.1:9", "no Docker at tcp://127.0.0.1:9: Connection refused"),
        ("ssh://nobody@nowhere", "by TLS or ssh, which throwaways cannot use"),
    ],
)
def test_no_docker(project: Project, host: str, says: str) -> None:
    project.back_up()
    cannot(project, says, "--in", "container", DOCKER_HOST=host)


def test_scratch_that_is_too_small_for_the_archive(project: Project, tmp_path: Path) -> None:
    project.back_up()
    with small_disk(tmp_path / "small", 1) as disk:
        (disk / "taken").write_bytes(bytes(1000 << 10))
        cannot(project, "no space left", SCRATCH_DIR=str(disk))
        assert [path.name for path in disk.iterdir() if path.name.startswith("run-")] == []


def test_scratch_that_is_too_small_for_the_server(project: Project) -> None:
    """The dump fits, and the server that it goes into does not. The folder's name is short enough for its socket."""
    project.back_up()
    with TemporaryDirectory(prefix="killick-") as folder, small_disk(Path(folder, "d"), 20) as disk:
        Path(folder).chmod(0o755)
        disk.chmod(0o755)
        cannot(project, "does not start as a throwaway: no space left on device", SCRATCH_DIR=str(disk))
        assert list(disk.glob("**/run-*")) == []


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda text: text.replace('"killick/1"', '"killick/2"'), "has the format 'killick/2'"),
        (lambda text: text.replace('"rows": 1', '"rows": 2'), "was measured by another recipe"),
    ],
    ids=["format", "recipe"],
)
def test_a_manifest_of_a_later_version(
    project: Project, backups: Backups, edit: Callable[[str], str], says: str
) -> None:
    beside = backups.beside(project.back_up())
    beside.write_text(edit(beside.read_text()))
    cannot(project, says)


def test_evidence_that_cannot_be_written(project: Project, backups: Backups) -> None:
    """What could not be verified stays that, and what was not recorded is said."""
    id = project.back_up()
    place = backups.folder / "shop" / f"{id}.evidence"
    shutil.rmtree(place)
    place.write_text("in the way")
    ran = project.run("verify", "--in", "container", expect=6, DOCKER_HOST="unix:///nowhere")
    assert "not recorded beside the backup" in ran.out


def test_a_store_that_is_full(project: Project, tmp_path: Path) -> None:
    """It takes no evidence; the backup passed all the same, and whoever observes is told."""
    with small_disk(tmp_path / "small", 4) as disk:
        project.environment["STORE"] = f"file://{disk}"
        project.back_up()
        with suppress(OSError), (disk / "taken").open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        ran = project.run("verify", "--level", "1", "--json", LOG_FORMAT="json")
        assert (ran.json["result"], ran.json["level"]) == ("passed", 1)
        assert [event["result"] for event in ran.events("verify-finished")] == ["passed"]
        assert "not recorded beside the backup: no space left" in project.run("verify", "--level", "1").out


@pytest.mark.parametrize(
    ("argv", "environment", "says"),
    [
        (("--level", "high"), {}, "--level"),
        (("--in", "heaven"), {}, "--in"),
        ((), {"VERIFY_IN": "heaven"}, "VERIFY_IN"),
        ((), {"VERIFY_MEMORY": "much"}, "VERIFY_MEMORY"),
        ((), {"VERIFY_MEMORY": "1"}, "VERIFY_MEMORY: '1' is too little for a server"),
        ((), {"VERIFY_CPUS": "0.001"}, "VERIFY_CPUS"),
        ((), {"VERIFY_CPUS": "nan"}, "VERIFY_CPUS"),
        ((), {"VERIFY_TIMEOUT": "0"}, "VERIFY_TIMEOUT"),
        ((), {"VERIFY_TIMEOUT": "99999999999999h"}, "VERIFY_TIMEOUT"),
        ((), {"RTO": "-1h"}, "RTO"),
        ((), {"VERIFY_IMAGES": "postgres:16=a b"}, "VERIFY_IMAGES"),
        ((), {"VERIFY_IMAGES": "mysql=x"}, "is no image that killick asks for"),
        ((), {"VERIFY_COMMAND": "sh -c 'x"}, "VERIFY_COMMAND: is not a command line"),
        ((), {"VERIFY_TIMEOUT": "soon"}, "VERIFY_TIMEOUT"),
        ((), {"VERIFY_IMAGES": "postgres"}, "VERIFY_IMAGES"),
    ],
)
def test_settings_that_are_wrong(
    project: Project, argv: tuple[str, ...], environment: dict[str, str], says: str
) -> None:
    ran = project.run("verify", *argv, expect=2, **environment)
    assert says in ran.err
    assert ran.out == ""
