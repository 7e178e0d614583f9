"""Messages to people, by apprise: a failure, the recovery after it, the first success; of verifications alike;
a deploy."""

from __future__ import annotations

import logging

from killick.events import (
    BackupFailed,
    BackupFinished,
    DeployFailed,
    DeployFinished,
    Event,
    VerifyFinished,
    VerifyOverdue,
)
from killick.figures import size


class Notify:
    """Silent on every ordinary night, and on the second and later failures in a row."""

    def __init__(self, urls: tuple[str, ...]) -> None:
        self._urls = urls

    def __call__(self, event: Event) -> None:
        message = text(event)
        if message is not None:
            send(self._urls, *message)


def text(event: Event) -> tuple[str, str, str] | None:
    """(apprise's kind, title, body), or None for what nobody is woken for."""
    name = f"{event.project}/{event.source}"
    match event:
        case BackupFailed(first=True):
            body = "\n".join(part for part in (event.message, event.hint, f"(while: {event.phase})") if part)
            return "failure", f"{name}: the backup failed", body
        case BackupFinished(recovered=True):
            return "success", f"{name}: backups work again", event.manifest.id
        case BackupFinished(first=True):
            stored = size(event.manifest.archive.bytes) if event.manifest.archive else "no archive"
            return "success", f"{name}: the first backup is made", f"{event.manifest.id}, {stored}"
        case VerifyFinished(result="failed", first=True):
            return "failure", f"{name}: a backup cannot be restored", "\n".join((event.sentence, event.hint))
        case VerifyFinished(result="unverifiable", first=True):
            return "warning", f"{name}: could not verify", "\n".join((event.sentence, event.hint))
        case VerifyFinished(recovered=True):
            return "success", f"{name}: backups can be restored again", event.id
        case VerifyOverdue():
            return "failure", f"{name}: nothing was verified for too long", "\n".join((event.message, event.hint))
        case DeployFailed():
            said = (event.message, event.hint, f"(while: {event.phase})", *event.restore)
            return "failure", f"{name}: the deploy failed", "\n".join(part for part in said if part)
        case DeployFinished():
            return "success", f"{name}: deployed", f"{event.seconds:.0f} s"
    return None


def send(urls: tuple[str, ...], kind: str, title: str, body: str) -> None:
    """Raises OSError when one of them could not be told. apprise's own log is silenced: it may show addresses."""
    import apprise

    logger = logging.getLogger("apprise")
    logger.propagate = False
    logger.handlers = [logging.NullHandler()]
    asset = apprise.AppriseAsset(async_mode=False, app_id="killick", app_desc="killick")
    service = apprise.Apprise(asset=asset)
    known = [service.add(url) for url in urls]
    told = service.notify(body=body.strip(), title=title, notify_type=apprise.NotifyType(kind))
    if not (told and all(known)):
        raise OSError("a notification did not go out")
