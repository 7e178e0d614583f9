"""Prometheus' view of a State: what the contract names, and nothing that a restart could reset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from killick import __version__
from killick.state import SourceState, State

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_RESULTS = ("passed", "failed", "unverifiable")
_LABELS = ("project", "source", "engine")


def exposition(*states: State) -> bytes:
    """In Prometheus' text format, each project's. Without a state: killick's version alone."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Sources(states))
    return generate_latest(registry)


class _Sources(Collector):
    def __init__(self, states: Sequence[State]) -> None:
        self._states = states
        self._project = ""
        self._families: dict[str, GaugeMetricFamily] = {}

    def collect(self) -> Iterator[GaugeMetricFamily]:
        self._families = {}
        version = GaugeMetricFamily("killick_info", "The version of killick that answers.", labels=("version",))
        version.add_metric((__version__,), 1)
        yield version
        for state in self._states:
            self._project = state.project
            for source in state.sources:
                self._backup(source)
                self._verify(source)
                self._store(source)
        yield from self._families.values()

    def _backup(self, s: SourceState) -> None:
        self._add(
            s, "source_info", "The source and its server.", 1, database=s.database, server_version=s.server_version
        )
        self._add(s, "backup_last_attempt_timestamp_seconds", "When the newest attempt began.", s.last_attempt)
        self._add(s, "backup_last_success_timestamp_seconds", "When the newest backup began.", s.last_success)
        for phase, seconds in s.seconds.items():
            self._add(
                s,
                "backup_last_duration_seconds",
                "How long each phase of the newest backup took.",
                seconds,
                phase=phase,
            )
        if s.last_success is not None and s.archive_bytes:
            for stage, size in (("raw", s.raw_bytes), ("archive", s.archive_bytes)):
                self._add(
                    s, "backup_last_size_bytes", "The newest backup before and after its codec.", size, stage=stage
                )
        self._add(
            s, "backup_consecutive_failures", "Attempts that failed since the newest backup.", s.consecutive_failures
        )
        self._add(s, "backup_interval_seconds", "The time between two runs of the schedule.", s.interval or None)

    def _verify(self, s: SourceState) -> None:
        v = s.verification
        if s.last_success is not None:
            self._add(s, "verify_max_age_seconds", "How old the newest proof may be.", v.max_age or None)
        self._add(s, "verify_last_proof_timestamp_seconds", "When the newest one that proves its backup ended.",
                  v.proven)  # fmt: skip
        self._add(s, "verify_last_attempt_timestamp_seconds", "When the newest verification ended.", v.last_attempt)
        self._add(s, "verify_last_success_timestamp_seconds", "When the newest one that passed ended.", v.last_success)
        if v.last_attempt is None:
            return
        for result in _RESULTS:
            self._add(
                s,
                "verify_last_result",
                "1 for the newest verification's result.",
                float(v.result == result),
                result=result,
            )
        self._add(s, "verify_level", "The highest level that the newest verification reached.", v.level)
        self._add(
            s, "verify_restore_seconds", "How long the newest verification's restore took.", v.restore_seconds or None
        )
        self._add(s, "restore_target_seconds", "How long it was allowed to take.", v.restore_target or None)
        self._add(s, "verify_tables_checked", "Tables that the newest verification compared.", v.tables_checked)
        self._add(s, "verify_tables_mismatched", "Tables that it found to differ.", v.tables_mismatched)
        self._add(s, "verified_snapshot_timestamp_seconds", "The data's time in the newest backup proven restorable.",
                  v.verified_snapshot)  # fmt: skip

    def _store(self, s: SourceState) -> None:
        for state, count in s.backups.items():
            self._add(s, "store_backups", "Backups in the store.", count, state=state)
        self._add(s, "store_bytes", "Bytes of all archives in the store.", s.bytes)

    def _add(self, s: SourceState, name: str, help: str, value: float | None, **labels: str) -> None:
        """Nothing for None: what never happened has no sample."""
        if value is None:
            return
        family = self._families.get(name)
        if family is None:
            family = self._families[name] = GaugeMetricFamily(f"killick_{name}", help, labels=(*_LABELS, *labels))
        family.add_metric((self._project, s.source, s.engine, *labels.values()), value)
