"""`killick verify --in container`, as it is set up: on Docker's host, behind a proxy, in killick's own image."""

import http.client
import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml

from killick.engines import Source
from tests.blocks import ROOT, blocks
from tests.end_to_end.backups import PROJECT, Backups
from tests.end_to_end.test_verify_older import DUMP
from tests.kit import Project, basics, short_folder
from tests.lab import docker, mongosh
from tests.lab.mongod import Mongod
from tests.lab.nginx import Nginx
from tests.lab.postgres import Postgres
from tests.lab.server import HOST

SECURITY = blocks("docs/security.md")


@pytest.fixture(autouse=True)
def images() -> None:
    docker.base_images()


@pytest.fixture
def made(tmp_path: Path, programs_path: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Backups, Project]]:
    """A store without a backup yet, and a verifier of it."""
    monkeypatch.setenv("PROGRAMS", programs_path)
    tmp_path.chmod(0o755)
    environment = basics(tmp_path, programs_path)
    with short_folder() as scratch:
        environment |= {"SCRATCH_DIR": str(scratch), "VERIFY_IN": "container"}
        project = Project(environment, PROJECT)
        yield Backups(tmp_path / "store"), project
        for id in containers(project):  # what a test that failed has left
            docker.docker("rm", "--force", "--volumes", id, check=False)


@pytest.fixture
def sound(made: tuple[Backups, Project], postgres16: Postgres, database: str) -> str:
    """The id of a backup of a small database."""
    return made[0].make(Source("db", postgres16.url(database)))


def where(backups: Backups, id: str) -> dict[str, str]:
    """What the evidence says of the place."""
    (record,) = (backups.folder / PROJECT / f"{id}.evidence").glob("*.json")
    found: dict[str, str] = json.loads(record.read_text())["where"]
    return found


def checks(folder: Path, name: str, text: str) -> str:
    """A folder with one check, for VERIFY_CHECKS."""
    (folder / "checks.d").mkdir()
    (folder / "checks.d" / name).write_text(text)
    return str(folder / "checks.d")


def test_postgres(made: tuple[Backups, Project], sound: str, tmp_path: Path) -> None:
    backups, project = made
    asked = checks(tmp_path, "count.sql", "-- min: 2000\n-- max: 2000\nSELECT count(*) FROM customers")
    document = project.run("verify", "--json", VERIFY_CHECKS=asked).json
    assert (document["result"], document["level"], document["mismatches"]) == ("passed", 5, []), document
    place = where(backups, sound)
    assert (place["kind"], place["network"], place["user"]) == ("container", "none (Docker)", "postgres")
    assert place["version"].startswith("16.")
    assert "postgres:16" in place["files"]
    (record,) = project.run("show", sound, "--json").json["evidence"]
    assert record["examined"] == ["amcheck found no damage in 2 tables and 3 indexes", "checks that hold: 1 of 1"]
    assert project.at_rest()


def test_a_damaged_one_fails_there_too(made: tuple[Backups, Project], sound: str) -> None:
    backups, project = made

    def damage(dump: Path) -> None:
        file = max(dump.rglob("*.dat"), key=lambda path: path.stat().st_size)
        file.write_bytes(file.read_bytes().replace(b"name 7\t", b"name 8\t", 1).replace(b"2026", b"2025", 1))

    backups.remake(sound, damage)
    document = project.run("verify", "--json", expect=1).json
    assert (document["result"], document["failed_level"]) == ("failed", 4), document


def test_mongodb_with_its_oplog(made: tuple[Backups, Project], mongo_set: Mongod, tmp_path: Path) -> None:
    """All databases, of one moment: the replay takes every right in the throwaway."""
    backups, project = made
    with mongo_set.client() as client:
        shop = client[f"contained{time.monotonic_ns()}"]
        shop.orders.insert_many([{"_id": n, "total": n / 7} for n in range(500)])
        shop.orders.create_index("total")
        try:
            id = backups.make(Source("db", re.sub(r":[^:@/]*@", "@", mongo_set.url()), mongo_set.password))
        finally:
            client.drop_database(shop.name)
    asked = checks(tmp_path, "count.js", f"db.getSiblingDB('{shop.name}').orders.countDocuments() === 500")
    programs = f"{project.environment['PROGRAMS']}:{mongosh.programs()}"
    document = project.run("verify", "--json", VERIFY_CHECKS=asked, PROGRAMS=programs).json
    assert (document["result"], document["level"]) == ("passed", 5), document
    assert where(backups, id)["user"] == "mongodb"


def test_an_archive_that_a_script_left(made: tuple[Backups, Project]) -> None:
    """Its version is told by the dump alone."""
    backups, project = made
    (backups.folder / PROJECT).mkdir()
    (backups.folder / PROJECT / "app.sql").write_text(DUMP)
    document = project.run("verify", "--json").json
    assert (document["result"], document["level"], document["tables"]) == ("passed", 3, 1), document
    assert "postgres:16" in where(backups, "app.sql")["files"]


def test_settings_reach_it(made: tuple[Backups, Project], sound: str) -> None:
    nowhere = project_error(made[1], VERIFY_IMAGES="postgres:16=registry.invalid/pg:16")
    assert "registry.invalid/pg:16 is not here" in nowhere
    small = project_error(made[1], VERIFY_MEMORY="24m")
    assert "the throwaway ran out of" in small


def project_error(project: Project, **environment: str) -> str:
    document = project.run("verify", "--json", expect=6, **environment).json
    assert document["result"] == "unverifiable"
    return str(document["error"])


def test_a_run_that_takes_too_long(made: tuple[Backups, Project], postgres16: Postgres) -> None:
    """The driver waits for its server: the container is ended under it."""
    name = f"slow{time.monotonic_ns()}"
    url = postgres16.create(name)
    postgres16.execute(
        "CREATE FUNCTION slow() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN"
        " IF current_setting('port') = '5432' THEN PERFORM pg_sleep(300); END IF; RETURN true; END $$;"
        "CREATE TABLE t (x int CHECK (public.slow())); INSERT INTO t VALUES (1)",
        name,
    )
    made[0].make(Source("db", url))
    assert "took longer than 12 s" in project_error(made[1], VERIFY_TIMEOUT="12s")
    assert made[1].at_rest()


# Behind a proxy


@pytest.fixture
def proxy() -> Iterator[Nginx]:
    with Nginx(SECURITY["docker-proxy"]) as found:
        yield found


def test_through_the_proxy_of_the_page(made: tuple[Backups, Project], sound: str, proxy: Nginx) -> None:
    """It is enough, for a run and for the sweep after one that was killed."""
    project = made[1]
    with project.running("verify", **proxy.environment()) as child:
        while not containers(project):
            assert child.poll() is None, child.communicate()
            time.sleep(0.02)
        child.kill()
    ran = project.run("verify", "--json", **proxy.environment())
    assert ran.json["result"] == "passed"
    assert len(ran.events("swept")) == 2, "what was decoded, and the throwaway"
    assert containers(project) == []


def containers(project: Project) -> list[str]:
    """Those that its verifications left, or are in."""
    owner = project.scratch / "owner"
    if not owner.exists():
        return []
    return docker.docker("ps", "--all", "--quiet", f"--filter=label=killick.owner={owner.read_text()}").stdout.split()


@pytest.fixture
def other() -> Iterator[str]:
    """The id of somebody else's container, with a secret in its environment."""
    id = docker.docker("run", "--detach", "--env=KEY=secret", "postgres:16", "sleep", "300").stdout.strip()
    yield id
    docker.docker("rm", "--force", "--volumes", id)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/containers/json", None),
        ("GET", "/containers/json?filters=" + quote('{"name": ["killick.owner=x"]}').replace("%20", "+"), None),
        ("GET", "/containers/OTHER12/json", None),
        ("GET", "/images/../containers/OTHER12/json", None),
        ("GET", "/containers/OTHER/logs?stdout=1", None),
        ("GET", "/containers/OTHER/archive?path=/etc/passwd", None),
        ("GET", "/info", None),
        ("GET", "/secrets", None),
        ("POST", "/containers/OTHER/exec", {"Cmd": ["true"]}),
        ("POST", "/containers/killick-app-00000000/exec", {"Cmd": ["true"]}),
        ("GET", "/containers/killick-app-00000000/logs?stdout=1", None),
        ("POST", "/containers/OTHER/kill", None),
        ("POST", "/containers/create", {"Image": "postgres:16"}),
        ("POST", "/containers/create?name=mine", {"Image": "postgres:16"}),
        ("POST", "/images/create?fromImage=x", None),
        ("POST", "/build", None),
        ("PUT", "/containers/OTHER/archive?path=/", None),
        ("DELETE", "/containers/OTHER?force=true", None),
        ("DELETE", "/images/postgres:16", None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_and_it_lets_nothing_else_through(
    proxy: Nginx, other: str, method: str, path: str, body: dict[str, object] | None
) -> None:
    path = "/v1.41" + path.replace("OTHER12", other[:12]).replace("OTHER", other)
    assert ask(proxy, method, path, body) == 403


def test_what_it_leaves_open_is_said(proxy: Nginx, other: str) -> None:
    """By its whole id another container can be looked at: nobody tells the verifier that."""
    assert ask(proxy, "GET", f"/v1.41/containers/{other}/json", None) == 200
    mount = {"Image": "postgres:16", "HostConfig": {"Binds": ["/:/host"]}}
    name = "killick-throwaway-00000000"
    try:
        assert ask(proxy, "POST", f"/v1.41/containers/create?name={name}", mount) == 201
    finally:
        docker.docker("rm", "--volumes", name)
    assert "container of that name with the host's disk in it" in " ".join(
        (ROOT / "docs/security.md").read_text().split()
    )


def ask(proxy: Nginx, method: str, path: str, body: dict[str, object] | None) -> int:
    connection = http.client.HTTPConnection(HOST, proxy.port, timeout=20)
    try:
        text = json.dumps(body) if body is not None else None
        connection.request(method, path, text, {"Content-Type": "application/json"} if text else {})
        return connection.getresponse().status
    finally:
        connection.close()


def test_the_services_of_the_page(tmp_path: Path) -> None:
    (tmp_path / "compose.yml").write_text(SECURITY["docker-proxy-service"])
    shown = docker.docker("compose", "-f", str(tmp_path / "compose.yml"), "config").stdout
    services = yaml.safe_load(shown)["services"]
    assert services["verifier"]["environment"] == {"VERIFY_IN": "container", "DOCKER_HOST": "tcp://docker:2375"}
    assert "listen 2375;" in SECURITY["docker-proxy"]
    assert set(services["verifier"]["networks"]) & set(services["docker"]["networks"]) == {"docker"}
    sockets = {name for name, service in services.items() if "docker.sock" in json.dumps(service.get("volumes", []))}
    assert sockets == {"docker"}, "the verifier has none"
    assert yaml.safe_load(shown)["networks"]["docker"]["internal"]


# In killick's own image


def test_in_the_sidecar_image_that_has_no_server(made: tuple[Backups, Project], sound: str) -> None:
    """`auto`: no server is installed, and Docker answers. Paths of the container mean nothing to the engine."""
    image = docker.image("sidecar")
    group = Path("/var/run/docker.sock").stat().st_gid
    subprocess.run(["chmod", "-R", "a+rwX", str(made[0].folder)], check=True)
    confined = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=none")
    done = docker.docker(
        *("run", "--rm", *confined, f"--group-add={group}", "--volume=/var/run/docker.sock:/var/run/docker.sock"),
        *(f"--volume={made[0].folder}:/backups", f"--env=PROJECT={PROJECT}", "--env=STORE=file:///backups"),
        *(image, "verify", "--json"),
    )
    document = json.loads(done.stdout)
    assert (document["result"], document["level"]) == ("passed", 5), done.stderr
    assert where(made[0], sound)["kind"] == "container"


def test_without_the_sockets_group(made: tuple[Backups, Project], sound: str) -> None:
    """What most people see first: the cure is the line to paste."""
    image = docker.image("sidecar")
    subprocess.run(["chmod", "-R", "a+rwX", str(made[0].folder)], check=True)
    done = docker.docker(
        *("run", "--rm", "--network=none", "--volume=/var/run/docker.sock:/var/run/docker.sock"),
        *(f"--volume={made[0].folder}:/backups", f"--env=PROJECT={PROJECT}", "--env=STORE=file:///backups"),
        *(image, "verify", "--in", "container"),
        check=False,
    )
    assert done.returncode == 6, done.stderr
    group = Path("/var/run/docker.sock").stat().st_gid
    assert "/var/run/docker.sock may not be used by uid 10001" in done.stdout
    assert f'group_add: ["{group}"]' in done.stdout
