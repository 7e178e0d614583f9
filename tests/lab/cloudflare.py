"""Cloudflare's API as far as a move uses it, on loopback, with a state.

Its answers have every field that the official SDK insists on when it is strict: tests/contract/test_cloudflare.py lets
the SDK read them, so that what is tested here is what is there. What the SDK would let pass is demanded here.
"""

from __future__ import annotations

import ipaddress
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from tests.lab.server import HOST

AT = "2026-01-01T00:00:00.000000Z"
TOKEN = "a-token-that-is-nobodys"
ZONE = "example.com"
_ROOT = "/client/v4"
_RECORD = ("type", "name", "content", "ttl", "proxied")
_FAMILY = {"A": ipaddress.IPv4Address, "AAAA": ipaddress.IPv6Address}


class Cloudflare:
    """One zone, ZONE, with `records` by id. `failures` are (status, headers, document) given before anything else, in
    order; `lying` answers changes with success and changes nothing. A page holds `most` at most, whatever is asked for,
    and only with `counted` it is told how many there are. `asked` holds (method, path, body)."""

    def __init__(self) -> None:
        self.zone: dict[str, Any] = {
            "id": "z" * 32, "name": ZONE, "account": {"id": "a" * 32, "name": "lab"}, "activated_on": AT,
            "created_on": AT, "modified_on": AT, "development_mode": 0, "meta": {},
            "name_servers": ["a.test", "b.test"],
            "original_dnshost": None, "original_name_servers": None, "original_registrar": None,
            "owner": {"id": None, "name": None, "type": "user"}, "plan": {"id": "free", "name": "Free Website"},
            "status": "active", "paused": False, "type": "full",
            "permissions": ["#zone:read", "#dns_records:read", "#dns_records:edit", "#cache_purge:edit"],
        }  # fmt: skip
        self.records: dict[str, dict[str, Any]] = {}
        self.failures: list[tuple[int, dict[str, str], object]] = []
        self.lying = False
        self.most = 50
        self.counted = True
        self.status = "active"
        self.purged: list[object] = []
        self.asked: list[tuple[str, str, object]] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:
                pass

            def any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                given = self.headers.get("Authorization", "")
                status, headers, document = fake.answer(self.command, self.path, body, given)
                data = document if isinstance(document, bytes) else json.dumps(document).encode()
                self.send_response(status)
                for key, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = any

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self.url = f"http://{HOST}:{self._server.server_port}{_ROOT}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def add(self, type: str, name: str, content: str, *, proxied: bool = False) -> str:
        """The id of a new record."""
        id = f"{len(self.records):032x}"
        self.records[id] = {
            "id": id, "type": type, "name": name, "content": content, "ttl": 1 if proxied else 300, "proxied": proxied,
            "proxiable": True, "settings": {}, "meta": {}, "tags": [], "comment": "the shop's", "created_on": AT,
            "modified_on": AT,
        }  # fmt: skip
        return id

    def answer(self, method: str, path: str, body: Any, authorization: str) -> tuple[int, dict[str, str], object]:
        url = urlsplit(path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        place = url.path.removeprefix(_ROOT)
        self.asked.append((method, place, body))
        if self.failures:
            return self.failures.pop(0)
        if authorization != f"Bearer {TOKEN}":
            return failed(403, 10000, "Authentication error")
        if (method, place) == ("GET", "/user/tokens/verify"):
            return passed({"id": "t" * 32, "status": self.status})
        if (method, place) == ("GET", "/zones"):
            return self._listed([self.zone] if query.get("name", self.zone["name"]) == self.zone["name"] else [], query)
        own = f"/zones/{self.zone['id']}"
        if (method, place) == ("GET", f"{own}/dns_records"):
            return self._listed(list(self.records.values()), query)
        if (method, place) == ("POST", f"{own}/purge_cache"):
            self.purged.append(body)
            return passed({"id": self.zone["id"]})
        one = re.fullmatch(rf"{own}/dns_records/(\w+)", place)
        if one and method in ("GET", "PATCH"):
            found = self.records.get(one[1])
            if found is None:
                return failed(404, 81044, "Record does not exist.")
            return passed(found) if method == "GET" else self._patched(found, body)
        return failed(404, 7003, f"Could not route to {place}")

    def _listed(self, found: list[dict[str, Any]], query: dict[str, str]) -> tuple[int, dict[str, str], object]:
        page, size = int(query.get("page", "1")), min(int(query.get("per_page", "100")), self.most)
        part = found[(page - 1) * size : page * size]
        if not self.counted:
            return passed(part)
        info = {
            "page": page, "per_page": size, "count": len(part), "total_count": len(found),
            "total_pages": -(-len(found) // size),
        }  # fmt: skip
        return passed(part, result_info=info)

    def _patched(self, record: dict[str, Any], body: dict[str, Any]) -> tuple[int, dict[str, str], object]:
        """The SDK would let a change pass that leaves these out; then it might be half of somebody else's."""
        if lacking := [key for key in _RECORD if key not in body]:
            return failed(400, 9000, f"DNS record lacks {lacking}")
        if record["type"] in _FAMILY:
            try:
                body = {**body, "content": str(_FAMILY[record["type"]](body["content"]))}
            except ValueError:
                return failed(400, 9005, f"Content for {record['type']} record is invalid.")
        if not self.lying:
            record.update(body)
        return passed({**record, **body})


def passed(result: object, **more: object) -> tuple[int, dict[str, str], object]:
    return 200, {}, {"result": result, "success": True, "errors": [], "messages": [], **more}


def failed(status: int, code: int, message: str) -> tuple[int, dict[str, str], object]:
    errors = [{"code": code, "message": message}]
    return status, {}, {"result": None, "success": False, "errors": errors, "messages": []}
