"""Two servers and an edge, as a move finds them, on one Docker engine.

    with Lab() as lab:
        lab.fresh()                     the site on old, nothing on new, the edge leads to old
        lab.on("old", "docker ps")

    edge  10.77.0.10   HAProxy, sshd
    old   10.77.0.11   nginx, sshd, an engine of its own, /srv/shop with the project `shop`, /srv/store
    new   10.77.0.12   the same, with another database; /srv/store is one volume, shared with old

Tests reach them by these addresses, from the machine of the engine; nothing is published. The inner engines keep their
images between runs, on volumes. Raises Missing where servers cannot be had.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.lab import Missing, cache
from tests.lab.docker import base_images, docker, engine, image

HERE = Path(__file__).parent
ADDRESS = {"edge": "10.77.0.10", "old": "10.77.0.11", "new": "10.77.0.12"}
SERVERS = ("old", "new")
NAME = "shop.test"
SITE = "/srv/shop"
COMPOSE = "docker compose -p shop -f docker-compose.yml -f dc.prod.yml"
PASSWORD = "lab-secret-of-the-shop"
"""No journal, report, log or argv may hold it."""

_PREFIX = "killick-lab"
_INNER = ("postgres:16", "killick:sidecar")
_SYS_RESOURCE = 24


class Lab:
    """`folder` holds the key, known_hosts and ssh's configuration; `environment` is for whoever uses ssh."""

    def __init__(self) -> None:
        self.folder = cache.root() / "two"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self.folder / "lock").open("w")

    def __enter__(self) -> Self:
        fcntl.flock(self._lock, fcntl.LOCK_EX)  # the addresses are fixed: one lab at a time
        try:
            self.up()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.down()
        finally:
            self._lock.close()

    def up(self) -> None:
        """Builds what changed and starts the three machines, without the site."""
        self._build()
        self.down()
        if docker("network", "inspect", f"{_PREFIX}-net", check=False).returncode:
            docker("network", "create", f"{_PREFIX}-net", "--subnet", "10.77.0.0/24")
        for server in SERVERS:
            docker(
                "run", "--detach", f"--name={_PREFIX}-{server}", f"--hostname={server}", *_rights(),
                f"--network={_PREFIX}-net", f"--ip={ADDRESS[server]}", f"--volume={_PREFIX}-{server}:/var/lib/docker",
                f"--volume={_PREFIX}-store:/srv/store", f"{_PREFIX}-host",
            )  # fmt: skip
        self._start_edge()
        with ThreadPoolExecutor(2) as both:
            list(both.map(self._engine, SERVERS))
            list(both.map(_load, SERVERS))
        self._keys()

    def down(self, volumes: bool = False) -> None:
        """With `volumes` the inner images go too, and the network."""
        docker("rm", "--force", "--volumes", *(f"{_PREFIX}-{name}" for name in ADDRESS), check=False)
        if volumes:
            docker("volume", "rm", "--force", *(f"{_PREFIX}-{name}" for name in (*SERVERS, "store")), check=False)
            docker("network", "rm", f"{_PREFIX}-net", check=False)

    def fresh(self) -> None:
        """The state before a move: nothing is left of what went before, and the site answers through the edge."""
        with ThreadPoolExecutor(2) as both:
            list(both.map(self._wipe, SERVERS))
        self.on("old", "find /srv/store -mindepth 1 -delete")
        docker("rm", "--force", f"{_PREFIX}-edge", check=False)
        self._start_edge()
        self._keys()
        self.compose("old", "up --detach --wait")
        _wait(lambda: self.status("edge") == 200, "the site answers through the edge", self._edge_log)

    def on(self, machine: str, script: str, *, check: bool = True, stdin: str | None = None) -> str:
        """What `sh -ec SCRIPT` prints on edge, old or new."""
        done = docker("exec", "-i", f"{_PREFIX}-{machine}", "sh", "-ec", script, check=False, stdin=stdin or "")
        if check and done.returncode:
            raise AssertionError(
                f"{machine}: {script[:200]}: {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
            )
        return done.stdout

    def restart(self, machine: str) -> None:
        docker("restart", "--time=2", f"{_PREFIX}-{machine}")
        _wait(lambda: self.status(machine) != 0, f"{machine} answers", lambda: "")

    def compose(self, server: str, words: str, *, check: bool = True, stdin: str | None = None) -> str:
        return self.on(server, f"cd {SITE} && {COMPOSE} {words}", check=check, stdin=stdin)

    def sql(self, server: str, query: str) -> str:
        """The answer of the server's database to its owner, over its socket (a fence lets that in)."""
        return self.compose(server, f"exec -T db psql -U shop -XAtqv ON_ERROR_STOP=1 -c {shlex.quote(query)}").strip()

    def haproxy(self, command: str) -> str:
        """The runtime API's answer."""
        return self.on("edge", "socat - UNIX-CONNECT:/run/haproxy/admin.sock", stdin=f"{command}\n").strip()

    def status(self, machine: str, *, method: str = "GET", path: str = "/health", host: str = NAME) -> int:
        return self.ask(machine, method=method, path=path, host=host)[0]

    def ask(self, machine: str, *, method: str = "GET", path: str = "/health", host: str = NAME) -> tuple[int, str]:
        """The status and who answered; 0 where nobody does."""
        connection = http.client.HTTPConnection(ADDRESS[machine], timeout=5)
        try:
            connection.request(method, path, headers={"Host": host})
            answer = connection.getresponse()
            answer.read()
            return answer.status, answer.getheader("X-Served-By") or ""
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()

    def environment(self) -> dict[str, str]:
        """A PATH on which `ssh` knows the lab's machines as edge, old and new, and no others."""
        return {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}

    def words(self, *argv: str | Path) -> list[str | Path]:
        """`argv` where the site's names lead to the edge: with /etc/hosts of its own, so that the machine's stays."""
        hosts = self.folder / "hosts"
        hosts.write_text(f"127.0.0.1 localhost\n{ADDRESS['edge']} {NAME} www.{NAME}\n")
        return ["unshare", "--mount", "sh", "-ec", 'mount --bind "$0" /etc/hosts; exec "$@"', hosts, *argv]

    def state(self) -> dict[str, str]:
        """All that a move may change, to be compared: files, containers, volumes, roles, rows, the edge's memory."""
        found = {}
        for server in SERVERS:
            found[f"{server}: files"] = self.on(
                server,
                "find /etc/nginx /etc/ssh /srv /root/.ssh -type f -printf '%p %m %U %T@ ' -exec sha256sum {} ';'; "
                "ls -A /root /tmp /var/tmp | grep -v ^runc-process",  # the engine's own, while it enters a container
            )
            found[f"{server}: docker"] = self.on(
                server,
                "docker ps --all --quiet --no-trunc | sort | xargs -r docker inspect --format "
                "'{{.Name}} {{.Id}} {{.State.Status}} {{.State.StartedAt}} {{json .HostConfig.RestartPolicy}}'; "
                "docker volume ls --quiet; docker network ls --format '{{.Name}}'; docker images --quiet",
            )
        found["old: roles"] = self.sql("old", "SELECT rolname, rolcanlogin, rolconfig FROM pg_roles ORDER BY 1")
        found["old: access"] = self.compose("old", "exec -T db sh -c 'cat $PGDATA/*.conf'")
        found["edge: files"] = self.on("edge", "find /etc/haproxy -type f -printf '%p %m %T@ ' -exec sha256sum {} ';'")
        found["edge: map"] = self.haproxy("show map /etc/haproxy/read_only.map").partition(" ")[2]
        found["edge: servers"] = "\n".join(
            " ".join(words[3:7]) for words in map(str.split, self.haproxy("show servers state shop").splitlines()[2:])
        )
        return found

    def _build(self) -> None:
        engine()
        base_images()
        image("sidecar")
        docker("build", "--quiet", "--tag", f"{_PREFIX}-edge", str(HERE / "edge"))
        with tempfile.TemporaryDirectory() as folder:
            context = Path(folder) / "host"
            shutil.copytree(HERE / "host", context)
            shutil.copy2(_compose_plugin(), context / "docker-compose")
            docker("build", "--quiet", "--tag", f"{_PREFIX}-host", str(context))

    def _start_edge(self) -> None:
        docker(
            "run", "--detach", f"--name={_PREFIX}-edge", "--hostname=edge", f"--network={_PREFIX}-net",
            f"--ip={ADDRESS['edge']}", f"{_PREFIX}-edge",
        )  # fmt: skip
        _wait(lambda: self.status("edge") != 0, "the edge answers", self._edge_log)

    def _edge_log(self) -> str:
        done = docker("logs", f"{_PREFIX}-edge", check=False)
        return (done.stdout + done.stderr)[-3000:]

    def _engine(self, server: str) -> None:
        container = f"{_PREFIX}-{server}"

        def log() -> str:
            said = docker("logs", container, check=False)
            return (
                said.stdout
                + said.stderr
                + docker("exec", container, "tail", "/var/log/dockerd.log", check=False).stdout
            )

        try:
            _wait(lambda: not docker("exec", container, "docker", "info", check=False).returncode, "an engine", log)
        except AssertionError as error:
            raise Missing(f"no engine runs inside a container here: {error}") from None

    def _wipe(self, server: str) -> None:
        self.on(
            server,
            "docker ps --all --quiet | xargs -r docker rm --force --volumes >/dev/null; "
            "docker volume ls --quiet | xargs -r docker volume rm >/dev/null; docker network prune --force >/dev/null; "
            f"find {SITE} -mindepth 1 -delete; rm -rf /root/.killick* /root/.local",
        )
        files = subprocess.run(["tar", "-C", HERE / "site", "-c", "."], check=True, capture_output=True).stdout
        subprocess.run(["docker", "exec", "-i", f"{_PREFIX}-{server}", "tar", "-xC", SITE], input=files, check=True)
        self.on(server, f"umask 077; cat >{SITE}/.env", stdin=f"DB_PASSWORD={PASSWORD}\nSERVED_BY={server}\n")
        for name in ("read_only.conf", "upstream.conf"):
            self.on(server, f"cat >/etc/nginx/killick/{name}", stdin=(HERE / "host" / name).read_text())
        self.on(server, "nginx -t -q && nginx -s reload")

    def _keys(self) -> None:
        """A key that all three take, and their own, read from inside: nothing is taken on trust."""
        key = self.folder / "key"
        if not key.exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", key], check=True)
        known, hosts = [], []
        for machine, address in ADDRESS.items():
            put = "umask 077; mkdir -p /root/.ssh; cat >/root/.ssh/authorized_keys"
            self.on(machine, put, stdin=key.with_suffix(".pub").read_text())
            _wait(lambda m=machine: bool(self._host_key(m)), "sshd has a key", lambda: "")  # type: ignore[misc]
            known.append(f"{machine} {self._host_key(machine)}")
            hosts.append(f"Host {machine}\n  HostName {address}\n  HostKeyAlias {machine}\n")
        (self.folder / "known_hosts").write_text("".join(known))
        (self.folder / "config").write_text(
            "".join(hosts) + f"Host *\n  User root\n  IdentityFile {key}\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {self.folder / 'known_hosts'}\n  GlobalKnownHostsFile /dev/null\n"
        )
        ssh = self.folder / "bin" / "ssh"
        ssh.parent.mkdir(exist_ok=True)
        real = shutil.which("ssh", path="/usr/local/bin:/usr/bin:/bin")
        ssh.write_text(f'#!/bin/sh\nexec {real} -F {self.folder / "config"} "$@"\n')
        ssh.chmod(0o755)

    def _host_key(self, machine: str) -> str:
        return self.on(machine, "cat /etc/ssh/ssh_host_ed25519_key.pub", check=False)


def _rights() -> Sequence[str]:
    """--privileged is refused where we lack a capability ourselves: then all but that one."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapBnd"))
    if int(line.split()[1], 16) >> _SYS_RESOURCE & 1:
        return ("--privileged",)
    unconfined = (f"--security-opt={what}=unconfined" for what in ("seccomp", "apparmor", "systempaths"))
    return ("--cap-add=ALL", "--cap-drop=SYS_RESOURCE", *unconfined, "--device-cgroup-rule=a *:* rwm")


def _compose_plugin() -> Path:
    plugins = json.loads(docker("info", "--format={{json .ClientInfo.Plugins}}").stdout) or []
    for plugin in plugins:
        if plugin["Name"] == "compose":
            return Path(plugin["Path"])
    raise Missing("no docker compose here: script/docker-engine installs it")


def _load(server: str) -> None:
    """The images that the inner engine lacks, or has another of."""
    lacking = []
    for name in _INNER:
        ours = docker("image", "inspect", "--format={{.Id}}", name).stdout
        theirs = docker(
            "exec", f"{_PREFIX}-{server}", "docker", "image", "inspect", "--format={{.Id}}", name, check=False
        )
        if theirs.stdout != ours:
            lacking.append(name)
    if lacking:
        with subprocess.Popen(["docker", "save", *lacking], stdout=subprocess.PIPE) as saved:
            into = ["docker", "exec", "-i", f"{_PREFIX}-{server}", "docker", "load", "--quiet"]
            subprocess.run(into, stdin=saved.stdout, check=True, capture_output=True)
        docker("exec", f"{_PREFIX}-{server}", "docker", "image", "prune", "--force")


def _wait(true: Callable[[], bool], what: str, log: Callable[[], str], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:g} s: {what}\n{log()[-3000:]}")
        time.sleep(0.1)
