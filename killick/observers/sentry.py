"""Sentry: errors, and cron check-ins that tell when a backup did not come. Nothing of the process goes along."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from killick import __version__
from killick.events import BackupFailed, BackupFinished, BackupStarted, Event, VerifyFinished, VerifyOverdue
from killick.settings import Settings

if TYPE_CHECKING:
    from sentry_sdk.types import Event as SentryEvent
    from sentry_sdk.types import MonitorConfig

FLUSH = 5.0  # seconds that the end of a run waits for Sentry
_SLUG = 50  # characters, after which Sentry cuts a monitor's slug off


class Sentry:
    """One monitor for each source, <project>-<source>, with the schedule that the settings name."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._check_ins: dict[str, str] = {}
        start(settings)

    def __call__(self, event: Event) -> None:
        match event:
            case BackupStarted():
                self._check_in(event, "in_progress")
            case BackupFinished():
                self._check_in(event, "ok", event.seconds)
            case BackupFailed():
                self._check_in(event, "error", event.seconds)
                self._tell(event, "error", event.kind, event.message, {"phase": event.phase, "hint": event.hint})
            case VerifyFinished(result="failed" | "unverifiable"):
                level = "error" if event.result == "failed" else "warning"
                self._tell(event, level, f"verify-{event.result}", event.sentence, {"id": event.id, "hint": event.hint})
            case VerifyOverdue():
                self._tell(event, "error", "verify-overdue", event.message, {"hint": event.hint})
            case _:
                return
        flush()

    def _check_in(self, event: Event, status: str, seconds: float | None = None) -> None:
        from sentry_sdk import capture_event

        schedule = self._settings.schedule
        check_in: dict[str, Any] = {
            "type": "check_in",
            "check_in_id": self._check_ins.setdefault(event.source, _id()),
            "monitor_slug": slug(event.project, event.source),
            "status": status,
            "duration": seconds,
        }
        if not schedule.off:
            config: MonitorConfig = {
                "schedule": {"type": "crontab", "value": schedule.cron},
                "timezone": self._settings.zone.key,
                "checkin_margin": 60,  # minutes
                "max_runtime": 720,
            }
            check_in["monitor_config"] = config
        capture_event(check_in)  # type: ignore[arg-type]  # the SDK's own helper cannot name an id of ours
        if status != "in_progress":
            del self._check_ins[event.source]

    def _tell(self, event: Event, level: str, kind: str, message: str, extra: Mapping[str, str]) -> None:
        from sentry_sdk import capture_event

        capture_event(
            {
                "message": message or kind,
                "level": level,  # type: ignore[typeddict-item]
                "fingerprint": ["killick", event.project, event.source, kind],
                "tags": {"project": event.project, "source": event.source, "kind": kind},
                "extra": dict(extra),
                "timestamp": time.time(),  # type: ignore[typeddict-item]
            }
        )


def slug(project: str, source: str) -> str:
    """A monitor's name; a long one ends in a checksum, so that no two become one."""
    whole = f"{project}-{source}"
    return whole if len(whole) <= _SLUG else f"{whole[: _SLUG - 9]}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"


def start(settings: Settings) -> None:
    """Without the SDK's integrations, local variables, source lines, breadcrumbs, host name or list of packages."""
    import sentry_sdk

    def scrub(event: SentryEvent, _hint: Mapping[str, Any]) -> SentryEvent:
        event.pop("modules", None)
        event.pop("server_name", None)
        scrubbed: SentryEvent = blot(event, settings.secrets)
        return scrubbed

    sentry_sdk.init(
        dsn=settings.telling.sentry_dsn,
        release=f"killick@{__version__}",
        default_integrations=False,
        auto_enabling_integrations=False,
        include_local_variables=False,
        include_source_context=False,
        max_breadcrumbs=0,
        server_name="",
        before_send=scrub,
    )


def crashed(settings: Settings, error: BaseException) -> None:
    """Reports an error that nobody foresaw: its kind and stack, without its text, which may quote anything."""
    if not settings.telling.sentry_dsn:
        return
    from sentry_sdk import capture_event, get_client
    from sentry_sdk.utils import event_from_exception

    start(settings)
    event, hint = event_from_exception(error, client_options=get_client().options)
    for value in event.get("exception", {}).get("values", ()):
        value["value"] = "(left out)"
    capture_event(event, hint=hint)
    flush()


def flush() -> None:
    import sentry_sdk

    sentry_sdk.flush(FLUSH)


def blot(value: Any, secrets: tuple[str, ...]) -> Any:
    """A copy in which no text holds one of `secrets`."""
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, "***")
        return value
    if isinstance(value, Mapping):
        return {key: blot(inner, secrets) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [blot(inner, secrets) for inner in value]
    return value


def _id() -> str:
    import uuid

    return uuid.uuid4().hex
