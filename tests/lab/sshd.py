"""A real sshd on loopback, in German, with keys of its own, and an `ssh` for the PATH with a configuration as a user's
is."""

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tests.lab import debian
from tests.lab.server import HOST, Server, free_ports


class Sshd(Server):
    """`environment()` has a PATH whose ssh reads a configuration with the host `there`; its key is known there."""

    name = "sshd"

    def __init__(self) -> None:
        found = debian.programs(sshd="openssh-server", ssh="openssh-client")
        program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin") or (
            found and found.parent / "usr/sbin/sshd"
        )
        self.program = Path(str(program))
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        super().__init__()
        (self.port,) = free_ports(1)
        self.user = pwd.getpwuid(os.geteuid()).pw_name
        for name in ("host", "key", "stranger"):
            keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", self.folder / name]
            subprocess.run(keygen, check=True)
        (self.folder / "authorized").write_bytes((self.folder / "key.pub").read_bytes())
        self.known = self.folder / "known_hosts"
        self.know("host")
        self.configuration = self.folder / "sshd_config"
        self.configuration.write_text(
            f"ListenAddress {HOST}\nPort {self.port}\nHostKey {self.folder}/host\nPidFile none\nUsePAM no\n"
            f"AuthorizedKeysFile {self.folder}/authorized\nStrictModes no\nPasswordAuthentication no\n"
            "PermitRootLogin prohibit-password\nMaxSessions 10\nSetEnv LANG=de_DE.UTF-8 LANGUAGE=de\n"
        )
        bin = self.folder / "bin"
        bin.mkdir()
        self.client = self.folder / "ssh_config"
        self.client.write_text(
            f"Host there\n  HostName {HOST}\n  Port {self.port}\n  User {self.user}\n  IdentityFile {self.folder}/key\n"
            f"  IdentitiesOnly yes\n  IdentityAgent none\n  UserKnownHostsFile {self.known}\n"
            "  GlobalKnownHostsFile none\n"
        )
        wrapper = bin / "ssh"
        wrapper.write_text(
            f'#!/bin/sh\necho "$@" >>{self.folder}/argv\nexec {shutil.which("ssh")} -F {self.client} "$@"\n'
        )
        wrapper.chmod(0o755)

    def know(self, key: str) -> None:
        """What known_hosts says of the server: the key of that name, "" for nothing."""
        line = (self.folder / f"{key}.pub").read_text() if key else ""
        self.known.write_text(f"[{HOST}]:{self.port} {line}" if line else "")

    def argv(self) -> Sequence[str | Path]:
        return [self.program, "-D", "-e", "-f", self.configuration]

    def ready(self) -> None:
        subprocess.run(["ssh-keyscan", "-T", "2", "-p", str(self.port), HOST], check=True, capture_output=True)

    def environment(self) -> dict[str, str]:
        return {"PATH": f"{self.folder}/bin:{os.environ['PATH']}"}

    def sessions(self) -> list[int]:
        """The processes that serve clients, the server itself left out."""
        assert self.process is not None
        return _below(self.process.pid)

    def signal(self, number: signal.Signals) -> None:
        for pid in self.sessions():
            with suppress(ProcessLookupError):  # it ended since it was seen
                os.kill(pid, number)


def _below(pid: int) -> list[int]:
    told = subprocess.run(["ps", "-eo", "pid=,ppid=,comm="], check=True, capture_output=True, text=True).stdout
    rows = [line.split(None, 2) for line in told.splitlines()]
    found = [int(row[0]) for row in rows if int(row[1]) == pid and row[2].startswith("sshd")]
    return [*found, *(each for one in found for each in _below(one))]
