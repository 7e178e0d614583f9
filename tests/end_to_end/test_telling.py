"""NOTIFY_URLS as a user has them: real verbs, a real HTTP receiver and a real SMTP server."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message

from tests.kit import Project
from tests.lab.server import free_ports
from tests.unit.test_state import back_up
from tests.web import Listener, listener


class Mailbox(Message):
    """`mails` are those that came, oldest first."""

    def __init__(self) -> None:
        super().__init__()
        self.mails: list[EmailMessage] = []

    def handle_message(self, message: Any) -> None:
        self.mails.append(message_from_bytes(message.as_bytes(), policy=policy.default))  # type: ignore[arg-type]


@pytest.fixture
def web() -> Iterator[Listener]:
    with listener() as found:
        yield found


@pytest.fixture
def mailbox() -> Iterator[tuple[int, Mailbox]]:
    (port,) = free_ports(1)
    box = Mailbox()
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    try:
        yield port, box
    finally:
        server.stop()


def titles(web: Listener) -> list[str]:
    return [json.loads(one.body)["title"] for one in web.asked]


def test_by_mail_and_by_http_the_first_failure_the_recovery_and_the_week(
    project: Project, mailbox: tuple[int, Mailbox], web: Listener
) -> None:
    port, box = mailbox
    mail = f"mailto://127.0.0.1:{port}/?from=killick@example.com&to=operator@example.com"
    project.environment |= {"NOTIFY_URLS": f"{mail}\njson://127.0.0.1:{web.port}/hook"}
    gone = project.environment["DATABASE_URL"].rpartition("/")[0] + "/nosuch"

    project.back_up()
    for _ in range(2):
        project.run("backup", "--adopt", expect=1, DATABASE_URL=gone)
    id = project.back_up()
    project.back_up()
    expected = ["the first backup is made", "the backup failed", "backups work again"]
    assert titles(web) == [f"shop/db: {what}" for what in expected], "nothing of the second failure and success"
    assert [mail["Subject"] for mail in box.mails] == titles(web)
    failed, recovered = box.mails[1:]
    assert (failed["To"], "nosuch" in failed.as_string()) == ("operator@example.com", True)
    assert id in recovered.as_string()

    project.run("digest", "--send")
    assert box.mails[-1]["Subject"].startswith("shop: 0 of 1 nights verified; nothing is proven restorable")


def test_a_verification_that_failed_is_told_of_once(project: Project, web: Listener) -> None:
    project.environment |= {"NOTIFY_URLS": f"json://127.0.0.1:{web.port}/hook"}
    id = project.back_up()
    (archive,) = Path(project.environment["STORE"].removeprefix("file://"), "shop").glob(f"{id}.tar*")
    archive.write_bytes(archive.read_bytes()[:-100])
    for _ in range(2):
        project.run("verify", id, "--level", "1", expect=1)
    expected = ["the first backup is made", "a backup cannot be restored"]
    assert titles(web) == [f"shop/db: {what}" for what in expected]


def test_the_digest_that_is_due_is_sent_by_one(project: Project, web: Listener) -> None:
    """Two that ask at the same moment, as of two sidecars, and one after a restart."""
    now = datetime.now(UTC)
    due = now - timedelta(minutes=30)
    project.environment |= {"NOTIFY_URLS": f"json://127.0.0.1:{web.port}/hook"}
    project.environment["DIGEST"] = f"{due.minute} {due.hour} * * *"
    back_up(project.store, now - timedelta(days=2))
    argv = ("digest", "--send", "--due")
    with project.running(*argv) as one, project.running(*argv) as other:
        assert (one.wait(60), other.wait(60)) == (0, 0)
    project.run(*argv)
    assert len(web.asked) == 1
    assert "nothing is proven restorable" in titles(web)[0]
