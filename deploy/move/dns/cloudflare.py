"""Five calls of Cloudflare's API: a token, a zone, its records, one record, a purge.

Facts: an answer may be 200 and say `success: false`; lists come in pages; PATCH changes what it is given, so that what
was read is sent along and a record that changed in between is not half of each. 429 says in Retry-After when to ask
again. The token is sent in a header, and stands in no message.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.move.dns import same
from deploy.move.spec import Names
from killick.errors import AccessDenied, KillickError, NotFound, SettingsError, Unreachable

BASE = "https://api.cloudflare.com/client/v4"
_SECONDS = 20.0
_TRIES = 5
_LONGEST = 30.0  # seconds that we wait between two tries, whatever Retry-After says
_PER_PAGE = 50  # zones come in no larger pages
_PAGES = 200
_ECHOED = ("type", "name", "content", "ttl", "proxied")
_AGAIN = (429, 500, 502, 503, 504)
_MOST = 30  # hosts of one purge


@dataclass(frozen=True)
class Record:
    """`raw` is the record as it was read."""

    id: str
    type: str
    name: str
    content: str
    proxied: bool
    ttl: int
    raw: dict[str, Any] = field(repr=False, compare=False)

    @classmethod
    def of(cls, raw: dict[str, Any]) -> Record:
        """Raises KillickError for an answer that lacks what every record has."""
        try:
            return cls(
                str(raw["id"]), str(raw["type"]), str(raw["name"]).lower(), str(raw["content"]),
                bool(raw.get("proxied", False)), int(raw["ttl"]), raw,
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise KillickError(f"Cloudflare gave a record without {error}", "try again; look at it there") from None


@dataclass(frozen=True)
class Cloudflare:
    """`sleep` waits between tries."""

    token: str = field(repr=False)
    base: str = BASE
    sleep: Callable[[float], None] = time.sleep

    @classmethod
    def of(cls, names: Names) -> Cloudflare:
        """Raises SettingsError where the token is not to be had."""
        return cls(token(names), base())

    def active(self) -> bool:
        """Whether a user's token is; a token of an account is not known there, and its zone tells."""
        try:
            result = self._call("GET", "/user/tokens/verify")
        except AccessDenied:
            return True
        return isinstance(result, dict) and result.get("status") == "active"

    def zone(self, name: str) -> str:
        """Its id. Raises NotFound."""
        return str(self._zone(name)["id"])

    def lacks(self, name: str, wanted: Sequence[str]) -> list[str]:
        """What the token may not do there, as far as the zone says what it may."""
        may = self._zone(name).get("permissions") or wanted
        return [each for each in wanted if each not in may]

    def _zone(self, name: str) -> dict[str, Any]:
        for found in self._all("/zones", {"name": name}):
            if found.get("name") == name:
                return found
        raise NotFound(f"the token sees no zone {name} at Cloudflare", "let it read and edit that zone: Zone.DNS Edit")

    def records(self, zone: str) -> list[Record]:
        """All of the zone: what shadows a name bears another name."""
        return [Record.of(raw) for raw in self._all(f"/zones/{zone}/dns_records", {})]

    def record(self, zone: str, id: str) -> Record:
        return Record.of(self._one(f"/zones/{zone}/dns_records/{id}", "GET", None))

    def change(self, zone: str, record: Record, content: str) -> Record:
        """The record as it is read afterwards. Raises KillickError where that is not what was wanted."""
        body = {key: record.raw[key] for key in _ECHOED if key in record.raw} | {"content": content}
        self._one(f"/zones/{zone}/dns_records/{record.id}", "PATCH", body)
        found = self.record(zone, record.id)
        if not same(found.content, content) or (found.proxied, found.type) != (record.proxied, record.type):
            raise KillickError(
                f"{record.name} {record.type} is {found.content} after it was changed to {content}",
                "somebody else changes it as well: find out who",
            )
        return found

    def purge(self, zone: str, hosts: Sequence[str] | None) -> None:
        """`hosts`, or everything of the zone with None."""
        if hosts is None:
            self._call("POST", f"/zones/{zone}/purge_cache", body={"purge_everything": True})
            return
        for begin in range(0, len(hosts), _MOST):
            self._call("POST", f"/zones/{zone}/purge_cache", body={"hosts": [*hosts[begin : begin + _MOST]]})

    def _one(self, path: str, method: str, body: dict[str, Any] | None) -> dict[str, Any]:
        result = self._call(method, path, body=body)
        if not isinstance(result, dict):
            raise KillickError(f"Cloudflare answered {method} {path} without a result", "try again")
        return result

    def _all(self, path: str, query: dict[str, str]) -> Iterator[dict[str, Any]]:
        """As many pages as the answer says, since they may be shorter than was asked for; where it does not say, until
        one is empty, as the official SDK does."""
        for page in range(1, _PAGES + 1):
            document = self._answer("GET", path, query={**query, "page": str(page), "per_page": str(_PER_PAGE)})
            result = document.get("result")
            if not isinstance(result, list):
                raise KillickError(f"Cloudflare answered GET {path} without a list", "try again")
            yield from result
            last = (document.get("result_info") or {}).get("total_pages")
            if (page >= last) if isinstance(last, int) else not result:
                return
        raise KillickError(f"Cloudflare's list {path} does not end", "a move of that zone has to be done by hand")

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """The answer's result."""
        return self._answer(method, path, body=body).get("result")

    def _answer(
        self, method: str, path: str, query: dict[str, str] | None = None, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """The whole of it. Asking again is safe for all of these calls."""
        import httpx

        headers = {"Authorization": f"Bearer {self.token}"}
        with httpx.Client(timeout=_SECONDS, headers=headers, follow_redirects=False) as client:
            for left in range(_TRIES - 1, -1, -1):
                try:
                    answer = client.request(method, self.base + path, params=query, json=body)
                except httpx.HTTPError as error:
                    if left:
                        self.sleep(2.0 ** (_TRIES - 1 - left))
                        continue
                    raise Unreachable(
                        f"Cloudflare's API gives no answer: {type(error).__name__}", "does this machine reach it?"
                    ) from None
                if answer.status_code in _AGAIN and left:
                    self.sleep(_pause(answer.headers.get("Retry-After", ""), _TRIES - 1 - left))
                    continue
                return self._document(method, path, answer.status_code, answer.content)
        raise AssertionError

    def _document(self, method: str, path: str, status: int, content: bytes) -> dict[str, Any]:
        import json

        try:
            document = json.loads(content)
        except ValueError:
            document = {}
        if not isinstance(document, dict):
            document = {}
        if status == 200 and document.get("success") is True:
            return document
        errors = document.get("errors") or []
        said = "; ".join(f"{e.get('code', '')} {e.get('message', '')}".strip() for e in errors if isinstance(e, dict))
        said = said.replace(self.token, "***") or "it says nothing"
        message = f"Cloudflare refuses {method} {path}: {said} ({status})"
        if status in (401, 403):
            raise AccessDenied(message, "the token needs Zone.DNS Edit for the zone, and Zone.Cache Purge for a purge")
        if status == 404:
            raise NotFound(message, "somebody removed it there")
        raise KillickError(message, "nothing else was changed; try again")


def token(names: Names) -> str:
    """From the file or the variable that the spec names. Raises SettingsError."""
    if names.token_variable:
        found, where = os.environ.get(names.token_variable, ""), f"the variable {names.token_variable}"
    else:
        where = names.token_file
        try:
            found = Path(names.token_file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"{where} cannot be read: {type(error).__name__}", "it holds Cloudflare's token"
            ) from None
    found = found.strip()
    if not found or not found.isascii() or not found.isprintable() or " " in found:
        raise SettingsError(f"{where} holds no token", "one line: an API token, not the global key")
    return found


def base() -> str:
    """CLOUDFLARE_BASE_URL as the official SDK reads it: tests have another."""
    return os.environ.get("CLOUDFLARE_BASE_URL", BASE).rstrip("/")


def _pause(retry_after: str, tried: int) -> float:
    """Seconds: what it asks for, else twice as long each time; never longer than we would wait."""
    return min(float(retry_after) if retry_after.isdigit() else 2.0**tried, _LONGEST)
