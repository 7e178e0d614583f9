"""HAProxy before both servers: which of them serves, and whether writes are refused.

Facts (HAProxy 2.6 and 3.0): commands of one line, joined by ";", run one after the other. The order counts: with the
new server made ready first no request fails; with the old one stopped first there are moments without any. A line is
not all or nothing: where its first half fails, the second half runs all the same. So the names are read before, and the
states after. Errors are text, as answers are; a `set` that went well answers with a blank line. What was set so is lost
with every reload, and a renewed certificate reloads: the map's file and the configuration are written too, and first. A
reload in between then does what is meant, never the opposite. A reload hands the socket on as it is open: where its
file was removed, it makes none, and only a restart does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from deploy.move.ask import until
from deploy.move.files import SBIN, as_bytes, content, replace, writable
from deploy.move.hosts import Host
from deploy.move.spec import Proxy
from killick.errors import CommandFailed, KillickError, NotFound
from killick.process import last_said

_RELOADING = 20.0  # seconds until the new process answers
_OUT = (
    0x01 | 0x02 | 0x08 | 0x10 | 0x20
)  # srv_admin_state: stopped or drained by anybody; 0x04 only remembers `disabled`
_SECTION = re.compile(r"^(global|defaults|frontend|backend|listen|peers|userlist|resolvers|program|cache|ring)\b")
_LAY = """umask 077; trap 'rm -f -- "$1"' EXIT; cat >"$1"; """
_ASK = r"""
if command -v python3 >/dev/null; then
    exec python3 -c '
import socket, sys
with socket.socket(socket.AF_UNIX) as ours:
    ours.settimeout(10)
    try:
        ours.connect(sys.argv[1])
    except OSError as error:
        sys.exit(f"{sys.argv[1]}: {error.strerror}")
    ours.sendall(sys.stdin.buffer.read())
    while data := ours.recv(65536):
        sys.stdout.buffer.write(data)
' "$1"
elif command -v socat >/dev/null; then exec socat -t 10 - "UNIX-CONNECT:$1"
elif command -v nc >/dev/null; then exec nc -N -U -w 10 "$1"
else echo "none of python3, socat, nc is there to speak to the socket" >&2; exit 1
fi
"""


@dataclass(frozen=True)
class Edge:
    """A part of deploy/move/traffic.py."""

    host: Host
    proxy: Proxy

    @property
    def name(self) -> str:
        return f"HAProxy on {self.host.name}"

    def ask(self, line: str) -> str:
        """What it answers to a line of commands. Raises KillickError where nobody does."""
        try:
            return self.host.shell(_ASK, self.proxy.socket, stdin=f"{line}\n".encode(), timeout=30.0)
        except CommandFailed as error:
            raise KillickError(
                f"{self.name} does not answer at {self.proxy.socket}: {error.stderr}",
                "it needs `stats socket … level admin`, and this user the right to use it; where the socket's file is "
                "gone, restart HAProxy: a reload makes none",
            ) from None

    # Which server serves

    def states(self) -> dict[str, bool]:
        """The backend's servers, and whether each takes requests. Raises KillickError."""
        told = self.ask(f"show servers state {self.proxy.backend}")
        lines = told.splitlines()
        names = next((line[2:].split() for line in lines if line.startswith("# ")), [])
        if not names:
            raise KillickError(
                f"{self.name}: {last_said(told)} (backend {self.proxy.backend})", "correct proxy.backend"
            )
        rows = [
            dict(zip(names, line.split(), strict=False)) for line in lines if line and line[0].isdigit() and " " in line
        ]
        return {row["srv_name"]: not int(row["srv_admin_state"]) & _OUT for row in rows}

    def serves(self) -> str:
        """ "old", "new", "both" or "none", by what runs; "both" too where the configuration says another."""
        states = self._ours()
        running = _which(states[self.proxy.old], states[self.proxy.new])
        written = self._written()
        return running if running == written else "both"

    def switch(self, to: str) -> None:
        """`to` is "old" or "new". Nothing is changed where the servers are not there, or the configuration would not be
        taken. Raises KillickError."""
        self._ours()
        on, off = (self.proxy.new, self.proxy.old) if to == "new" else (self.proxy.old, self.proxy.new)
        before = self._configuration()
        after = enabled(before, self.proxy.backend, on, off)
        if after != before:
            self._try(after)
            replace(self.host, self.proxy.config, after)
        try:
            self._at_once(on, off)
        except BaseException:
            if after != before and not self._begun(on, off):
                replace(self.host, self.proxy.config, before)
            raise
        if after != before:
            self._reload()
            if self.serves() != to:
                raise KillickError(
                    f"{self.name}: after its reload {self.serves()} serves, and not {to}", f"read {self.proxy.config}"
                )

    # Whether it refuses writes

    def is_read_only(self) -> bool:
        """By what runs; the map's file has to say the same. Raises KillickError where the backend is not in it."""
        running, written = self._in_the_map(), self._in_the_file()
        return running == "1" and written == "1"

    def is_open(self) -> bool:
        return self._in_the_map() != "1" and self._in_the_file() != "1"

    def read_only(self, on: bool) -> None:
        """Raises KillickError."""
        self._in_the_map()
        value, key, path = ("1" if on else "0"), self.proxy.backend, self.proxy.map
        text = content(self.host, path)
        after = _with(text, key, value)
        if after != text:
            replace(self.host, path, after)
        self._set(f"set map {path} {key} {value}")
        if self._in_the_map() != value:
            raise KillickError(f"{self.name}: the map {path} does not say {key} {value}", f"see: show map {path}")

    # What stands in the way

    def in_the_way(self) -> Iterator[str]:
        proxy = self.proxy
        for path in (proxy.config, proxy.map):
            if not writable(self.host, path):
                yield f"{self.name}: {path} is not there, or it and its folder cannot be written (let this user)"
                return
        try:
            states = self._ours()
            if _which(states[proxy.old], states[proxy.new]) != "old":
                yield f"{self.name}: not {proxy.old} alone serves {proxy.backend} (write `disabled` after {proxy.new})"
            elif self._written() != "old":
                yield f"{self.name}: {proxy.config} says otherwise than what runs: a reload would change who serves"
            if self._in_the_map() != "0" or self._in_the_file() != "0":
                yield f"{self.name}: it refuses writes already, or another move is at work (write {proxy.backend} 0)"
            self._check(proxy.config)
        except KillickError as error:
            yield str(error)
        if not _uses(self._configuration(), proxy):
            yield (
                f"{self.name}: the backend {proxy.backend} never reads {proxy.map} "
                "(docs/move.md has the line that refuses writes by it)"
            )

    # Parts of these

    def _ours(self) -> dict[str, bool]:
        states = self.states()
        for server in (self.proxy.old, self.proxy.new):
            if server not in states:
                raise KillickError(
                    f"{self.name}: {self.proxy.backend} has no server {server}; there are {', '.join(sorted(states))}",
                    "correct proxy.old and proxy.new; nothing was changed",
                )
        return states

    def _at_once(self, on: str, off: str) -> None:
        backend = self.proxy.backend
        self._set(f"set server {backend}/{on} state ready; set server {backend}/{off} state maint")
        states = self._ours()
        if not states[on] or states[off]:
            raise KillickError(
                f"{self.name} says that {on} is {_said(states[on])} and {off} {_said(states[off])}",
                f"see: show servers state {backend}",
            )

    def _begun(self, on: str, off: str) -> bool:
        """Whether anything of the switch happened: then the configuration has to stay what it is now."""
        try:
            states = self._ours()
        except KillickError:
            return False
        return states[on] or not states[off]

    def _set(self, line: str) -> None:
        told = self.ask(line)
        if told.strip():
            raise KillickError(f"{self.name} refuses: {last_said(told)}", f"it was told: {line}")

    def _in_the_map(self) -> str:
        path, key = self.proxy.map, self.proxy.backend
        told = self.ask(f"show map {path}")
        for line in told.splitlines():
            words = line.split(None, 2)
            if len(words) == 3 and words[1] == key:
                return words[2]
        raise KillickError(
            f"{self.name}: the map {path} does not hold {key}: {last_said(told)}",
            f"write the line `{key} 0` into {path}, use the map in the configuration, and reload",
        )

    def _in_the_file(self) -> str:
        for line in content(self.host, self.proxy.map).splitlines():
            words = line.split(None, 1)
            if len(words) == 2 and words[0] == self.proxy.backend:
                return words[1].strip()
        raise NotFound(f"{self.name}: {self.proxy.map} has no line for {self.proxy.backend}", "write it, and reload")

    def _configuration(self) -> str:
        return content(self.host, self.proxy.config)

    def _written(self) -> str:
        off = disabled(self._configuration(), self.proxy.backend)
        return _which(self.proxy.old not in off, self.proxy.new not in off)

    def _try(self, text: str) -> None:
        """It may hold passwords: nobody else reads the copy, and it goes."""
        self._check(f"{self.proxy.config}.killick", _LAY, as_bytes(text))

    def _check(self, path: str, before: str = "", stdin: bytes = b"") -> None:
        try:
            self.host.shell(f'{before}{SBIN}; {self.proxy.test} "$1"', path, stdin=stdin)
        except CommandFailed as error:
            raise KillickError(f"{self.name} would not start with {path}: {error.stderr}", "mend it first") from None

    def _pid(self) -> str:
        try:
            told = self.ask("show info").splitlines()
        except KillickError:
            return ""  # between the old process and the new one
        return next((line.partition(":")[2].strip() for line in told if line.startswith("Pid:")), "")

    def _reload(self) -> None:
        before = self._pid()
        self.host.shell(f"{SBIN}; {self.proxy.reload}")
        if not until(lambda: self._pid() not in ("", before), _RELOADING):
            raise KillickError(
                f"{self.name} did not reload within {_RELOADING:.0f} s",
                f"see why on {self.host.name}: {self.proxy.reload}",
            )


def enabled(configuration: str, backend: str, on: str, off: str) -> str:
    """`off` gets the word `disabled`, `on` loses it; nothing else changes. Raises KillickError for a missing line."""
    lines = configuration.splitlines(keepends=True)
    found = set()
    for number, server in _servers(lines, backend):
        if server in (on, off):
            lines[number] = _line(lines[number], disable=server == off)
            found.add(server)
    for server in (on, off):
        if server not in found:
            raise KillickError(
                f"the configuration has no line `server {server} …` in {backend}", "is it the file that it starts with?"
            )
    return "".join(lines)


def disabled(configuration: str, backend: str) -> set[str]:
    """The servers whose lines say so."""
    lines = configuration.splitlines()
    return {server for number, server in _servers(lines, backend) if "disabled" in _code(lines[number]).split()}


def _servers(lines: list[str], backend: str) -> Iterator[tuple[int, str]]:
    """The numbers of the lines that name a server of the backend, and the servers."""
    inside = False
    for number, line in enumerate(lines):
        words = _code(line).split()
        if _SECTION.match(line.lstrip()):
            inside = words[0] in ("backend", "listen") and words[1:2] == [backend]
        elif inside and words[:1] == ["server"] and len(words) > 2:
            yield number, words[1]


def _code(line: str) -> str:
    """Without its comment; "#" in quotes or behind a backslash begins none."""
    return re.match(r"""(?:\\.|"(?:\\.|[^"\\])*"|'[^']*'|[^#\\])*""", line.rstrip("\n")).group()  # type: ignore[union-attr]


def _line(line: str, *, disable: bool) -> str:
    code = _code(line)
    rest = line[len(code) :]
    bare = re.sub(r"\s+disabled(?=\s|$)", "", code)
    if not disable:
        return bare + rest
    return line if bare != code else f"{code.rstrip()} disabled{' ' if rest.startswith('#') else ''}{rest}"


def _with(text: str, key: str, value: str) -> str:
    """The map's file with this line changed or added."""
    found, count = re.subn(rf"^(\s*{re.escape(key)}\s+)\S.*$", rf"\g<1>{value}", text, flags=re.MULTILINE)
    return found if count else f"{text.rstrip()}\n{key} {value}\n".lstrip()


def _uses(configuration: str, proxy: Proxy) -> bool:
    lines = map(_code, configuration.splitlines())
    return any(re.search(rf"\bmap(_str)?\({re.escape(proxy.map)}[,)]", line) for line in lines)


def _which(old: bool, new: bool) -> str:
    return {(True, False): "old", (False, True): "new", (True, True): "both", (False, False): "none"}[old, new]


def _said(serves: bool) -> str:
    return "ready" if serves else "stopped"
