"""Records at Cloudflare that lead to the old server, changed one by one to lead to the new one."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deploy.move.dns import is_ip, same, where
from deploy.move.dns.cloudflare import Cloudflare, Record
from killick.errors import KillickError, Refused

if TYPE_CHECKING:
    from deploy.move.spec import Spec
    from deploy.move.step import Move

_STEP = "names"
_EDIT, _PURGE = "#dns_records:edit", "#cache_purge:edit"  # as a zone names them
_FAMILY = {"A": "IPv4", "AAAA": "IPv6"}
_ADDRESSES = tuple(_FAMILY)
_LEADS = (*_ADDRESSES, "CNAME")


@dataclass(frozen=True)
class Records:
    api: Cloudflare
    spec: Spec

    @classmethod
    def of(cls, spec: Spec) -> Records:
        return cls(Cloudflare.of(spec.dns), spec)

    def lead_to_new(self, move: Move) -> bool:
        """Behind a proxy the names lead to it, and stay: that is well too, as is a CNAME to a name of ours."""
        records = self._all()
        return not self._stale(records) and not self._elsewhere(records)

    def change(self, move: Move) -> None:
        """Each record's prior value is in the journal before it is changed."""
        zone = self._zone()
        records = self.api.records(zone)
        if wrong := self._wrong(records):
            raise Refused("; ".join(wrong), "nothing was changed; then killick move resume")
        for record in self._stale(records):
            move.journal.keep(_STEP, record.id, {"content": record.content, "name": record.name, "type": record.type})
            self.api.change(zone, record, self._new)

    def put_back(self, move: Move) -> None:
        """Those that this move changed, and that nobody changed since."""
        zone = self._zone()
        for record in self.api.records(zone):
            before = move.journal.kept(_STEP, record.id)
            if isinstance(before, dict) and same(record.content, self._new):
                self.api.change(zone, record, str(before["content"]))

    def proven(self, move: Move) -> str:
        records = self._all()
        if left := self._stale(records):
            raise KillickError(
                f"{', '.join(sorted({r.name for r in left}))} still leads to the old server", "killick move resume"
            )
        if wrong := self._elsewhere(records):
            raise KillickError("; ".join(wrong), "then killick move resume")
        new = self._ours(records, to=self._new)
        if not new:
            return "no record leads to the old server: the names lead to the proxy, and stay"
        return "; ".join(f"{r.name} {r.type} {r.content}{', proxied' if r.proxied else ''}" for r in new)

    def in_the_way(self, move: Move) -> Iterator[str]:
        if not self.api.active():
            yield "the token is not active at Cloudflare (make a new one: Zone.DNS Edit)"
        wanted = [_EDIT, *([_PURGE] if self.spec.purge != "off" else [])]
        yield from (f"the token lacks {each} (give it that)" for each in self.api.lacks(self.spec.dns.zone, wanted))
        records = self._all()
        yield from self._wrong(records)
        for name in self.spec.names:
            if not _leading(records, name) and not _wildcards(records, name):
                yield f"{name} has no record in {self.spec.dns.zone} (make it, or take it out of `names`)"

    @property
    def _old(self) -> str:
        return where(self.spec.old.address)

    @property
    def _new(self) -> str:
        return where(self.spec.new.address)

    def _zone(self) -> str:
        return self.api.zone(self.spec.dns.zone)

    def _all(self) -> list[Record]:
        return self.api.records(self._zone())

    def _ours(self, records: Sequence[Record], to: str) -> list[Record]:
        """Records of the names that lead to `to`. CNAMEs are followed by nobody: what they lead to is a name of its
        own, and has to be one of `names`."""
        names = {name.lower() for name in self.spec.names}
        return [r for r in records if r.name in names and r.type in _ADDRESSES and same(r.content, to)]

    def _stale(self, records: Sequence[Record]) -> list[Record]:
        """None where both servers are one host, by two ports: the names stay."""
        return [] if same(self._old, self._new) else self._ours(records, to=self._old)

    def _wrong(self, records: Sequence[Record]) -> list[str]:
        """Why some users would not come to the new server, a sentence each with its cure."""
        return [*self._shadowed(records), *self._elsewhere(records), *self._unfit(records)]

    def _elsewhere(self, records: Sequence[Record]) -> list[str]:
        """A name that leads to neither server leads to a proxy, or users would be left where it leads."""
        old, new = self._old, self._new
        if not is_ip(old):
            return [
                f"old.address, {old}, is no IP address: which records lead there is not sure (give the address as an "
                'IP: "10.0.0.11")'
            ]
        if self.spec.proxy:
            return []
        found = []
        for name in self.spec.names:
            addresses = [r for r in _leading(records, name) if r.type in _ADDRESSES]
            if addresses and not any(same(r.content, to) for r in addresses for to in (old, new)):
                values = ", ".join(f"{r.type} {r.content}" for r in addresses)
                found.append(
                    f"{name} is {values}, and leads neither to {old} nor to {new} (correct the record, or `address`; a "
                    'proxy belongs into [proxy], and with one that is no HAProxy write dns.provider = "hand")'
                )
        return found

    def _unfit(self, records: Sequence[Record]) -> list[str]:
        """Records that cannot hold the new address."""
        stale, new = self._stale(records), self._new
        if stale and not is_ip(new):
            return [f'new.address, {new}, is no IP address (give the address as an IP: "10.0.0.12")']
        return [
            f"{record.name} is {record.type} {record.content}, and cannot become {new} (give new.address as an "
            f'{_FAMILY[record.type]} address, or change the records by hand: dns.provider = "hand")'
            for record in stale
            if record.type != _type(new)
        ]

    def _shadowed(self, records: Sequence[Record]) -> list[str]:
        """What would send some users elsewhere, a sentence each with its cure."""
        found = []
        for name in map(str.lower, self.spec.names):
            leading = _leading(records, name)
            for type in _ADDRESSES:
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


def _type(address: str) -> str:
    """Of the record that holds it."""
    return "A" if ipaddress.ip_address(address).version == 4 else "AAAA"
