"""What a throwaway in a container promises beyond what every kind does: see test_throwaways.py for that."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any
from uuid import uuid4

import psycopg2
import pymongo
import pytest

from killick.engines import Source, connect
from killick.errors import AccessDenied, Unverifiable
from killick.manifest import Manifest
from killick.owner import Owner
from killick.throwaway import Copy, Terms, sweep, throwaway
from killick.watch import unwatched
from tests.blocks import blocks
from tests.kit import short_folder
from tests.lab import docker
from tests.lab.nginx import Nginx
from tests.lab.ordinary import ordinary
from tests.lab.postgres import Postgres

MEMORY = 512 << 20


@pytest.fixture(autouse=True)
def images(programs_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    docker.base_images()
    monkeypatch.setenv("PROGRAMS", programs_path)


@pytest.fixture
def scratch() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder


def manifest(version: str = "16.1", engine: str = "postgres", **details: str) -> Manifest:
    return Manifest(
        "20260101T000000Z-x", "p", "x", engine, "", "", "", version, "", "", "postgres", None, details=details
    )  # fmt: skip


@contextmanager
def started(scratch: Path, of: Manifest | None = None, terms: Terms | None = None) -> Iterator[Copy]:
    with throwaway(of or manifest(), scratch, "container", terms) as copy:
        yield copy


def inspected(scratch: Path) -> dict[str, Any]:
    """The one container of this scratch folder."""
    label = f"--filter=label=killick.owner={Owner(scratch).id}"
    (name,) = docker.docker("ps", "--format={{.Names}}", label).stdout.split()
    (found,) = json.loads(docker.docker("inspect", name).stdout)
    return dict(found)


@contextmanager
def connected(copy: Copy) -> Iterator[Any]:
    """A cursor in its database `postgres`."""
    connection = psycopg2.connect(copy.source.url, password=copy.source.password)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def told(copy: Copy, program: str) -> list[str]:
    """The lines that a program prints which the server runs."""
    with connected(copy) as cursor:
        cursor.execute("CREATE TEMP TABLE told (line text)")
        cursor.execute("COPY told FROM PROGRAM %s", (program,))
        cursor.execute("SELECT line FROM told")
        return [line for (line,) in cursor.fetchall()]


def test_what_docker_is_asked_for(scratch: Path) -> None:
    with started(scratch, terms=Terms(MEMORY, 0.5)):
        found = inspected(scratch)
    host = found["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"]) == (MEMORY, MEMORY, 500_000_000)
    assert host["NetworkMode"] == "none"
    assert host["ReadonlyRootfs"]
    assert (host["CapDrop"], host["CapAdd"], host["Privileged"]) == (["ALL"], None, False)
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["LogConfig"]["Config"] == {"max-size": "1m", "max-file": "1"}
    assert found["Mounts"] == [], "nothing of the host's disk"
    assert found["Config"]["User"] == "postgres"
    secret = next(line for line in found["Config"]["Env"] if line.startswith("KILLICK_PASSWORD=")).partition("=")[2]
    assert secret not in json.dumps([found["Path"], found["Args"], found["Config"]["Labels"]])


def test_no_network_and_nowhere_to_write_but_its_own(scratch: Path) -> None:
    writable = "for d in / /etc /var/lib/postgresql /var/lib/postgresql/data /home /usr; do touch $d/x && echo $d; done"
    with started(scratch) as copy:
        assert [line.split(":")[0].strip() for line in told(copy, "tail -n +3 /proc/net/dev")] == ["lo"]
        assert told(copy, f"( {writable} ) 2>/dev/null; true") == []
        assert told(copy, "grep CapEff /proc/self/status | tail -c 17") == ["0" * 16]
        assert int(told(copy, "df --output=size -k /killick | tail -1")[0]) == MEMORY * 3 // 4 >> 10


def test_processes_are_counted(scratch: Path) -> None:
    many = "for i in $(seq 400); do sleep 300 >/dev/null & echo $i; done"
    with started(scratch) as copy:
        forked = told(copy, f"( {many} ) 2>/dev/null; true")  # dash, which does not try again
        assert 100 < len(forked) < 256


def test_the_end_of_a_stranger_is_no_crash(scratch: Path) -> None:
    """Whoever loses its parent becomes a child of the first process; a postmaster would take it for one of its own."""
    with started(scratch) as copy, connected(copy) as cursor:
        (pid,) = told(copy, "bash -c 'sleep 60 >/dev/null 2>&1 & echo $!'")
        assert told(copy, f"cut -d' ' -f4 /proc/{pid}/stat")[0].strip() == "1"
        told(copy, f"kill -9 {pid}; sleep 0.5")
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == [(1,)]


def test_the_password_is_random_and_wanted(scratch: Path) -> None:
    with started(scratch) as one:
        pass
    with started(scratch) as two:
        assert one.source.password != two.source.password
        for wrong in (one.source.password, "", "postgres"):
            with pytest.raises(AccessDenied):
                connect(Source("x", two.source.url, wrong)).facts()


def test_mongodb_wants_it_too(scratch: Path) -> None:
    with started(scratch, manifest("6.0.5", "mongodb")) as copy:
        bare = copy.source.url.replace("killick@", "").replace("&authSource=admin", "")
        client: pymongo.MongoClient[dict[str, object]] = pymongo.MongoClient(bare)
        try:
            with pytest.raises(pymongo.errors.OperationFailure, match="requires authentication"):
                client.x.y.insert_one({})
        finally:
            client.close()


@pytest.mark.parametrize("major", [15, 17, 18])
def test_every_major(scratch: Path, major: int) -> None:
    """16 is everywhere else."""
    with started(scratch, manifest(f"{major}.0")) as copy:
        assert copy.version.startswith(f"{major}.")
        assert connect(copy.source).facts().empty


def test_postgis_is_there_and_not_in_the_database(scratch: Path) -> None:
    of = manifest("15.1", flavour="postgis", extensions="plpgsql 1.0, postgis 3.3.2")
    with started(scratch, of) as copy:
        assert connect(copy.source).facts().empty
        with connected(copy) as cursor:
            cursor.execute("SELECT extname FROM pg_extension")
            assert cursor.fetchall() == [("plpgsql",)]
            cursor.execute("CREATE EXTENSION postgis")
            cursor.execute("SELECT ST_AsText(ST_MakePoint(4, 50))")
            assert cursor.fetchall() == [("POINT(4 50)",)]


def test_an_image_of_ones_own(scratch: Path) -> None:
    ours = f"killick-test-{uuid4().hex[:8]}/pg:sixteen"
    docker.docker("tag", "postgres:16", ours)
    try:
        with started(scratch, terms=Terms(images={"postgres:16": ours})) as copy:
            assert inspected(scratch)["Config"]["Image"] == ours
            assert ours in copy.files
    finally:
        docker.docker("rmi", ours)


def test_an_image_that_is_nowhere(scratch: Path) -> None:
    with (
        pytest.raises(Unverifiable, match=r"registry\.invalid/pg:16 is not here, and cannot be pulled: .") as caught,
        started(scratch, terms=Terms(images={"postgres": "registry.invalid/pg"})),
    ):
        pass
    assert caught.value.reason == "no-image"
    assert "VERIFY_IMAGES=postgres:16=" in caught.value.hint


def test_an_image_that_is_no_server(scratch: Path) -> None:
    """It has bash, and neither initdb nor the user."""
    with (
        pytest.raises(Unverifiable, match="unable to find user postgres") as caught,
        started(scratch, terms=Terms(images={"postgres:16": "debian:trixie-slim"})),
    ):
        pass
    assert caught.value.reason == "environment"
    assert "VERIFY_IMAGES" in caught.value.hint
    assert not list(scratch.glob("container/run-*"))


def test_more_processors_than_there_are(scratch: Path) -> None:
    with pytest.raises(Unverifiable, match="Range of CPUs") as caught, started(scratch, terms=Terms(MEMORY, 1000.0)):
        pass
    assert "VERIFY_CPUS" in caught.value.hint
    assert not list(scratch.glob("container/run-*"))


def test_an_older_minor_is_told_of(scratch: Path) -> None:
    with started(scratch, manifest("16.99")) as copy:
        assert copy.notes == (f"the throwaway is {copy.version}, older than the source's 16.99",)


# Want of room


def hungry(server: Postgres, appetite: str, folder: Path) -> Manifest:
    """A dump whose load does that, in a throwaway and not in the source (which has another port)."""
    name = f"hungry{time.monotonic_ns()}"
    url = server.create(name)
    server.execute(
        "CREATE FUNCTION eat() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN"
        f" IF current_setting('port') = '5432' THEN {appetite}; END IF; RETURN true; END $$;"
        "CREATE TABLE t (x int CHECK (public.eat())); INSERT INTO t VALUES (1)",
        name,
    )
    engine = connect(Source("x", url))
    folder.mkdir()
    contents = engine.dump(folder, 1, unwatched)
    found = manifest(engine.facts().server_version)
    return Manifest(**{**found.__dict__, "database": name, "contents": contents})


@pytest.mark.parametrize(
    ("reason", "memory", "appetite"),
    [
        ("memory", 192 << 20, "PERFORM array_agg(md5(g::text)) FROM generate_series(1, 20000000) g"),
        ("disk", 512 << 20, "PERFORM g FROM generate_series(1, 100000000) g ORDER BY 1 DESC"),
    ],
    ids=["memory", "disk"],
)
def test_what_does_not_fit(
    scratch: Path, postgres16: Postgres, tmp_path: Path, reason: str, memory: int, appetite: str
) -> None:
    """A backend that the kernel kills, or a write that fails: neither speaks against the backup."""
    of = hungry(postgres16, appetite, tmp_path / "dump")
    assert of.contents is not None
    with (
        pytest.raises(Unverifiable, match=f"ran out of {reason}") as caught,
        started(scratch, of, Terms(memory)) as copy,
    ):
        connect(copy.source).load(tmp_path / "dump", 1, of.contents, unwatched)
    assert caught.value.reason == reason
    assert "VERIFY_MEMORY" in caught.value.hint


def test_too_little_to_start_with(scratch: Path) -> None:
    with pytest.raises(Unverifiable) as caught, started(scratch, terms=Terms(24 << 20)):
        pass
    assert caught.value.reason in {"memory", "disk"}


# Leftovers


def left(owner: str, run: str) -> str:
    """A container as a killed run leaves it; its name."""
    name = f"killick-throwaway-{uuid4().hex[:8]}"
    labels = (f"--label=killick.owner={owner}", f"--label=killick.run={run}")
    docker.docker("create", "--name", name, *labels, "postgres:16", "true")
    return name


def there(name: str) -> bool:
    return docker.docker("inspect", name, check=False).returncode == 0


def test_only_ones_own_is_swept(scratch: Path) -> None:
    """Also where the run's folder is gone, as when Docker did not answer at the end."""
    with started(scratch):
        living = inspected(scratch)["Name"].removeprefix("/")
        ours, theirs = left(Owner(scratch).id, "run-gone"), left(str(uuid4()), "run-gone")
        try:
            assert sweep(scratch) == ["run-gone"]
            assert [there(name) for name in (living, ours, theirs)] == [True, False, True]
        finally:
            docker.docker("rm", ours, theirs, check=False)


def test_docker_is_not_asked_where_there_never_was_one(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("killick.throwaway._place._roots", lambda scratch, name: [scratch / name])
    monkeypatch.setattr("killick.throwaway._docker.engine", lambda: pytest.fail("it was asked"))
    assert sweep(scratch) == []


# No Docker


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("unix:///nowhere/docker.sock", "no Docker at unix:///nowhere/docker.sock: No such file"),
        ("tcp://127.0.0.1:9", "no Docker at tcp://127.0.0.1:9: Connection refused"),
        ("ssh://somebody@somewhere", "by TLS or ssh"),
    ],
)
def test_no_docker(scratch: Path, monkeypatch: pytest.MonkeyPatch, host: str, said: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(Unverifiable, match=said) as caught, started(scratch):
        pass
    assert caught.value.reason == "environment"
    assert "docs/security.md" in caught.value.hint


def test_a_socket_that_we_may_not_use(tmp_path: Path) -> None:
    """Closed to the ordinary user, whoever runs the tests."""
    script = dedent(
        """
        import os, socket
        from killick.throwaway import _docker
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("s")
            os.chmod("s", 0)
            os.environ["DOCKER_HOST"] = "unix://" + os.path.abspath("s")
            print(_docker.lacking())
        """
    )
    with ordinary() as user:
        done = user.python("-c", script)
    assert "may not be used by uid" in done.stdout, done.stderr
    assert 'group_add: ["' in done.stdout


PROXY = blocks("docs/security.md")["docker-proxy"]


def test_a_proxy_that_passes_no_upgrade_on(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is 200 then, and what we write goes nowhere."""
    dull = PROXY.replace("proxy_set_header Upgrade $http_upgrade;", "postpone_output 0;")
    with Nginx(dull) as proxy:
        monkeypatch.setenv("DOCKER_HOST", proxy.environment()["DOCKER_HOST"])
        with pytest.raises(Unverifiable, match="does not let a connection be upgraded"), started(scratch):
            pass
        assert not list(scratch.glob("container/run-*"))


def test_a_proxy_that_refuses_says_what(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [line for line in PROXY.splitlines() if "containers/create" not in line]
    with Nginx("\n".join(lines)) as proxy:
        monkeypatch.setenv("DOCKER_HOST", proxy.environment()["DOCKER_HOST"])
        with pytest.raises(Unverifiable, match=r"refuses POST /v1\.\d+/containers/create") as caught, started(scratch):
            pass
    assert "allow it in the socket proxy" in caught.value.hint


def test_a_proxy_that_does_not_let_images_be_pulled(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Nginx(PROXY) as proxy:
        monkeypatch.setenv("DOCKER_HOST", proxy.environment()["DOCKER_HOST"])
        with (
            pytest.raises(Unverifiable, match="cannot be pulled: 403 Forbidden") as caught,
            started(scratch, terms=Terms(images={"postgres": "registry.invalid/pg"})),
        ):
            pass
    assert caught.value.reason == "no-image"


def test_the_server_is_told_from_ours(scratch: Path) -> None:
    """The folder of the socket is ours alone: the password is not the only door."""
    with started(scratch) as copy:
        assert copy.user == "postgres"
        (folder,) = scratch.glob("container/run-*/server")
        assert folder.stat().st_mode & 0o777 == 0o700
        assert folder.stat().st_uid == os.geteuid()
        assert [entry.name for entry in folder.iterdir()] == [".s.PGSQL.5432"]
