"""Who is told of verifications, and how often: the command line and the loop, a listener instead of Slack."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.backups import Backups
from tests.kit import Project, basics, wait_for
from tests.web import Listener, listener


@pytest.fixture
def web() -> Iterator[Listener]:
    with listener() as kept:
        yield kept


@pytest.fixture
def project(tmp_path: Path, web: Listener) -> Project:
    """Of one folder, without a backup yet."""
    (tmp_path / "uploads").mkdir()
    (tmp_path / "uploads/picture").write_bytes(b"\0" * 1000)
    given = {"FILES_UPLOADS": str(tmp_path / "uploads"), "VERIFY_IN": "process", "SCHEDULE": "off"}
    return Project({**basics(tmp_path, ""), **given})


def told(web: Listener) -> list[tuple[str, str]]:
    """What people got: the title, and the message."""
    return [(one["title"], one["message"]) for one in (json.loads(asked.body) for asked in web.asked)]


def url(web: Listener) -> str:
    return f"json://127.0.0.1:{web.port}/hook"


def test_nights_that_fail_and_then_do_not(project: Project, web: Listener, tmp_path: Path) -> None:
    backups = Backups(tmp_path / "store")

    def night(expect: int) -> str:
        """A backup, damaged where its verification is to fail."""
        id = project.back_up()
        if expect:
            backups.remake(id, lambda dump: next(dump.rglob("picture")).write_bytes(b"\1" * 1000))
        project.run("verify", expect=expect, NOTIFY_URLS=url(web))
        return id

    night(0)
    assert told(web) == []
    failed = night(1)
    ((title, message),) = told(web)
    assert title == "shop/uploads: a backup cannot be restored"
    first, hint = message.splitlines()
    assert re.fullmatch(rf"shop/{failed} failed at level 4 \(compare\): picture: checksum is \w+, not \w+", first)
    assert hint == "restore the backup before it: killick list"
    night(1)
    project.run("verify", failed, expect=1, NOTIFY_URLS=url(web))
    assert len(told(web)) == 1, "neither another night nor the same backup again"
    recovered = night(0)
    assert told(web)[1:] == [("shop/uploads: backups can be restored again", recovered)]
    night(0)
    assert len(told(web)) == 2


def test_nothing_verified_for_too_long(project: Project, web: Listener) -> None:
    id = project.back_up()
    more = {"NOTIFY_URLS": url(web), "VERIFY_MAX_AGE": "1s"}
    time.sleep(1.1)
    project.run("overdue", "--source", "uploads", **more)
    ((title, message),) = told(web)
    assert title == "shop/uploads: nothing was verified for too long"
    assert "uploads: no backup was proven restorable for 0 min" in message
    assert "killick verify latest --source uploads" in message
    project.run("overdue", "--source", "uploads", **more)
    assert len(told(web)) == 1, "the record beside the backup remembers it"
    assert project.run("list", "--json").json[0]["verified"] is None, "and is no verification"
    assert project.run("show", id, "--json").json["evidence"][-1]["kind"] == "overdue"
    project.run("verify", **more)
    assert told(web)[1:] == [("shop/uploads: backups can be restored again", id)]
    time.sleep(1.1)
    project.run("overdue", "--source", "uploads", **more)
    assert f"the newest that was is {id}" in told(web)[2][1]
    project.run("overdue", "--source", "uploads", VERIFY_MAX_AGE="1h", NOTIFY_URLS=url(web))
    assert len(told(web)) == 3


def test_the_loop_tells_it_and_verifies_an_older_one_too(project: Project, web: Listener, tmp_path: Path) -> None:
    """A verifier that was just started, and an age that nothing keeps to."""
    ids = [project.back_up(), project.back_up()]
    given = {"FILES_UPLOADS": None, "METRICS_PORT": "off", "VERIFY_MAX_AGE": "1s", "NOTIFY_URLS": url(web)}
    with project.running("run", **given):
        wait_for(lambda: len(told(web)) > 0, 90)
    assert told(web)[0][0] == "shop/uploads: nothing was verified for too long"
    kinds = [path.name.split("-")[1:3] for id in ids for path in (tmp_path / f"store/shop/{id}.evidence").iterdir()]
    assert kinds.count(["verify", "passed"]) == 2, "the newest, and the older one"
    assert kinds.count(["overdue", "failed"]) == 1
