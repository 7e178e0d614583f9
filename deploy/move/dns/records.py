"""Records at Cloudflare that lead to the old server, changed one by one to lead to the new one."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deploy.move.dns import where
from deploy.move.dns.cloudflare import Cloudflare, Record
from killick.errors import KillickError, Refused

if TYPE_CHECKING:
    from deploy.move.spec import Spec
    from deploy.move.step import Move

_STEP = "names"
_EDIT, _PURGE = "#dns_records:edit", "#cache_purge:edit"  # as a zone names them
_LEADS = ("A", "AAAA", "CNAME")


@dataclass(frozen=True)
class Records:
    api: Cloudflare
    spec: Spec

    @classmethod
    def of(cls, spec: Spec) -> Records:
        return cls(Cloudflare.of(spec.dns), spec)

    def lead_to_new(self, move: Move) -> bool:
        """Behind a proxy the names lead to it, and stay: that is well too, as is a CNAME to a name of ours."""
        return not self._ours(self._all(), to=where(self.spec.old.address))

    def change(self, move: Move) -> None:
        """Each record's prior value is in the journal before it is changed."""
        zone, new = self._zone(), where(self.spec.new.address)
        if wrong := self._shadowed(self.api.records(zone)):
            raise Refused("; ".join(wrong), "nothing was changed; then killick move resume")
        for record in self._ours(self.api.records(zone), to=where(self.spec.old.address)):
            move.journal.keep(_STEP, record.id, {"content": record.content, "name": record.name, "type": record.type})
            self.api.change(zone, record, new)

    def put_back(self, move: Move) -> None:
        """Those that this move changed, and that nobody changed since."""
        zone, new = self._zone(), where(self.spec.new.address)
        for record in self.api.records(zone):
            before = move.journal.kept(_STEP, record.id)
            if isinstance(before, dict) and record.content == new:
                self.api.change(zone, record, str(before["content"]))

    def proven(self, move: Move) -> str:
        records = self._all()
        left = self._ours(records, to=where(self.spec.old.address))
        if left:
            raise KillickError(
                f"{', '.join(sorted({r.name for r in left}))} still leads to the old server", "killick move resume"
            )
        new = self._ours(records, to=where(self.spec.new.address))
        if not new:
            return "no record leads to the old server: the names lead to the proxy, and stay"
        return "; ".join(f"{r.name} {r.type} {r.content}{', proxied' if r.proxied else ''}" for r in new)

    def in_the_way(self, move: Move) -> Iterator[str]:
        if not self.api.active():
            yield "the token is not active at Cloudflare (make a new one: Zone.DNS Edit)"
        wanted = [_EDIT, *([_PURGE] if self.spec.purge != "off" else [])]
        yield from (f"the token lacks {each} (give it that)" for each in self.api.lacks(self.spec.dns.zone, wanted))
        records = self._all()
        yield from self._shadowed(records)
        for name in self.spec.names:
            if not _leading(records, name) and not _wildcards(records, name):
                yield f"{name} has no record in {self.spec.dns.zone} (make it, or take it out of `names`)"
        if self._ours(records, to=where(self.spec.old.address)) and not _is_ip(where(self.spec.new.address)):
            yield f"{self.spec.new.address} is no IP address, and records need one (correct new.address)"

    def _zone(self) -> str:
        return self.api.zone(self.spec.dns.zone)

    def _all(self) -> list[Record]:
        return self.api.records(self._zone())

    def _ours(self, records: Sequence[Record], to: str) -> list[Record]:
        """Records of the names that lead to `to`. CNAMEs are followed by nobody: what they lead to is a name of its
        own, and has to be one of `names`."""
        names = {name.lower() for name in self.spec.names}
        return [r for r in records if r.name in names and r.type in ("A", "AAAA") and _same(r.content, to)]

    def _shadowed(self, records: Sequence[Record]) -> list[str]:
        """What would send some users elsewhere, a sentence each with its cure."""
        found = []
        for name in map(str.lower, self.spec.names):
            leading = _leading(records, name)
            for type in ("A", "AAAA"):
                several = [r for r in leading if r.type == type]
                if len(several) > 1:
                    values = ", ".join(sorted(r.content for r in several))
                    found.append(f"{name} has {len(several)} records {type}: {values} (leave the one that is meant)")
            v6 = [r for r in leading if r.type == "AAAA"]
            if v6 and any(r.type == "A" for r in leading):
                found.append(
                    f"{name} has an AAAA, {v6[0].content}: whoever has IPv6 would stay there (remove it until the "
                    "move is over)"
                )
            for wild in _wildcards(records, name):
                if not leading:
                    found.append(f"{name} lives by the wildcard {wild.name} alone (make a record of its own)")
            for cname in (r for r in leading if r.type == "CNAME"):
                if cname.content.lower().rstrip(".") not in {n.lower() for n in self.spec.names}:
                    found.append(f"{name} leads to {cname.content}, which is not in `names` (add it, or make it an A)")
        return found


def _leading(records: Sequence[Record], name: str) -> list[Record]:
    return [r for r in records if r.name == name.lower() and r.type in _LEADS]


def _wildcards(records: Sequence[Record], name: str) -> list[Record]:
    above = name.lower().partition(".")[2]
    return [r for r in records if r.type in _LEADS and r.name.startswith("*.") and f".{above}".endswith(r.name[1:])]


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _same(content: str, to: str) -> bool:
    if _is_ip(content) and _is_ip(to):
        return ipaddress.ip_address(content) == ipaddress.ip_address(to)
    return content.lower().rstrip(".") == to.lower().rstrip(".")
