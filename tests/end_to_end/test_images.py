"""killick's own images: what is in them, and how little they may do."""

import json
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from tests.lab import docker

MAJORS = (15, 16, 17, 18)
CLIENTS = [f"/usr/lib/postgresql/{m}/bin/{p}" for m in MAJORS for p in ("pg_dump", "pg_dumpall", "pg_restore", "psql")]
TOOLS = ["/usr/lib/mongo-tools/bin/mongodump", "/usr/lib/mongo-tools/bin/mongorestore"]
SERVERS = [f"/usr/lib/postgresql/{m}/bin/{p}" for m in MAJORS for p in ("initdb", "pg_amcheck", "pg_ctl", "postgres")]
MONGOSH = "/usr/lib/mongosh/bin/mongosh"
MONGOD = "/usr/lib/mongo-server/bin/mongod"


@pytest.fixture(scope="module", params=["sidecar", "verify"])
def image(request: pytest.FixtureRequest) -> str:
    return docker.image(request.param)


@pytest.fixture(scope="module")
def sidecar() -> str:
    return docker.image("sidecar")


@pytest.fixture(scope="module")
def verify() -> str:
    return docker.image("verify")


def config(image: str) -> dict[str, object]:
    (found,) = json.loads(docker.docker("image", "inspect", image).stdout)
    return dict(found["Config"])


def starts(programs: list[str], libraries: str) -> str:
    """A script that starts each program with every symbol bound: a libpq that is too old passes --version otherwise."""
    return "".join(
        f"LD_BIND_NOW=1 LD_LIBRARY_PATH={p.rsplit('/', 2)[0]}/{libraries} {p} --version | sed -n 1p\n" for p in programs
    )


def test_runs_as_nobody_in_particular(image: str) -> None:
    assert docker.inside(image, "id -u; id -g; grep CapEff /proc/self/status").split() == [
        "10001",
        "10001",
        "CapEff:",
        "0" * 16,
    ]


def test_no_file_gives_more_rights(image: str) -> None:
    found = docker.inside(
        image, "find / -xdev -type f -perm /6000; echo looked", "--user=0:0", "--cap-add=DAC_READ_SEARCH"
    )
    assert found == "looked\n"


def test_writes_only_scratch_and_tmp(image: str) -> None:
    script = """
        for folder in / /etc /usr/local /opt/killick /home /var/lib; do
            if touch "$folder/x" 2>/dev/null; then echo "$folder"; fi
        done
        touch /tmp/x "$SCRATCH_DIR/x" && echo both
    """
    assert docker.inside(image, script) == "both\n"


def test_contract_with_docker(image: str) -> None:
    found = config(image)
    assert found["User"] == "10001:10001"
    assert found["Entrypoint"] == ["tini", "--", "killick"]
    assert found["Cmd"] == ["run"]
    assert found["StopSignal"] == "SIGTERM"
    assert found["Healthcheck"]["Test"] == ["CMD", "healthcheck"]  # type: ignore[index]
    assert "/var/lib/killick" in found["Volumes"]  # type: ignore[operator]


def test_clients_of_every_major_start(sidecar: str) -> None:
    said = docker.inside(sidecar, starts(CLIENTS + TOOLS, "client-lib")).splitlines()
    assert len(said) == len(CLIENTS + TOOLS)
    for program, version in zip(CLIENTS, said, strict=False):
        major = program.split("/")[4]
        assert f"(PostgreSQL) {major}." in version


def test_the_proof_notices_a_libpq_that_is_too_old(sidecar: str) -> None:
    program, older = "/usr/lib/postgresql/17/bin/psql", "/usr/lib/postgresql/15/client-lib"
    script = f"LD_BIND_NOW=1 LD_LIBRARY_PATH={older} {program} --version 2>&1 | grep -o 'undefined symbol'"
    assert docker.inside(sidecar, f"set +o pipefail\n{script}") == "undefined symbol\n"


def test_codecs_and_tar(image: str) -> None:
    script = """
        cd "$SCRATCH_DIR" && echo content > file && tar cf all.tar file
        lrzip -q -b -L3 -o all.lrz all.tar >/dev/null 2>&1
        lrzip -q -d -o back.tar all.lrz >/dev/null 2>&1
        cmp all.tar back.tar
        zstd -q all.tar && zstd -qdc all.tar.zst | cmp - all.tar
        gzip -c all.tar | gzip -dc | cmp - all.tar
        age-keygen -o key 2>/dev/null && age -R <(age-keygen -y key) all.tar | age -d -i key | cmp - all.tar
        echo same
    """
    assert docker.inside(image, script) == "same\n"


@pytest.mark.parametrize("verb", ["run", "backup", "list", "restore", "verify", "prune", "doctor", "health"])
def test_every_verb_is_there(image: str, verb: str) -> None:
    done = docker.docker("run", "--rm", "--read-only", "--cap-drop=ALL", "--network=none", image, verb, "--help")
    assert f"killick {verb} [OPTIONS]" in done.stdout


def test_locale_of_the_official_images(verify: str) -> None:
    assert "en_US.utf8" in docker.inside(verify, "locale -a").split()


def test_sizes(sidecar: str, verify: str, record_property: Callable[[str, object], None]) -> None:
    sizes = {}
    for name in (sidecar, verify):
        sizes[name] = int(docker.docker("image", "inspect", "--format={{.Size}}", name).stdout)
        record_property(f"bytes of {name}", sizes[name])
        print(f"{name}: {sizes[name] / 1e6:.0f} MB")
    assert sizes[sidecar] < 400e6
    assert sizes[verify] < 1000e6


@pytest.mark.parametrize("major", MAJORS)
def test_server_of_every_major_runs(verify: str, major: int) -> None:
    """As the throwaway process runs it: no network, no root, a read-only root file system."""
    home = f"/usr/lib/postgresql/{major}"
    script = f"""
        export LD_LIBRARY_PATH={home}/server-lib
        {home}/bin/initdb --no-sync -D "$SCRATCH_DIR/data" -U postgres --auth=peer --auth-local=trust >/dev/null
        {home}/bin/pg_ctl -s -w -D "$SCRATCH_DIR/data" -l "$SCRATCH_DIR/log" start -o "-c listen_addresses= \
            -c unix_socket_directories=/tmp -c shared_memory_type=mmap -c dynamic_shared_memory_type=mmap"
        LD_LIBRARY_PATH={home}/client-lib {home}/bin/psql -X -h /tmp -U postgres -v ON_ERROR_STOP=1 -Atq <<'SQL'
            CREATE EXTENSION hstore; CREATE EXTENSION pgcrypto; CREATE EXTENSION amcheck;
            SELECT length(digest('killick', 'sha256')), current_setting('server_version_num')::int / 10000;
SQL
        {home}/bin/pg_amcheck -h /tmp -U postgres postgres
        {home}/bin/pg_ctl -s -D "$SCRATCH_DIR/data" -m immediate stop
    """
    assert docker.inside(verify, script).split() == [f"32|{major}"]


def test_every_server_program_starts(verify: str) -> None:
    said = docker.inside(verify, starts([*SERVERS, MONGOD], "server-lib")).splitlines()
    assert len(said) == len(SERVERS) + 1
    assert said[-1].startswith("db version v6.")


def test_the_shell_of_checks_starts(verify: str) -> None:
    assert docker.inside(verify, starts([MONGOSH], "client-lib")).strip()


def test_mongod_runs(verify: str) -> None:
    script = f"""
        mkdir "$SCRATCH_DIR/data"
        LD_LIBRARY_PATH=/usr/lib/mongo-server/server-lib {MONGOD} --dbpath "$SCRATCH_DIR/data" --bind_ip /tmp/m.sock \
            --fork --logpath "$SCRATCH_DIR/log" --pidfilepath "$SCRATCH_DIR/pid" --wiredTigerCacheSizeGB 0.25 >/dev/null
        LD_LIBRARY_PATH=/usr/lib/mongo-tools/client-lib /usr/lib/mongo-tools/bin/mongodump --quiet \
            --uri 'mongodb://%2Ftmp%2Fm.sock' --archive="$SCRATCH_DIR/dump"
        test -s "$SCRATCH_DIR/dump" && echo dumped
        kill "$(<"$SCRATCH_DIR/pid")"
    """
    assert docker.inside(verify, script, "--memory=768m") == "dumped\n"


class TestHealth:
    """The image's own check, against a stand-in for the loop."""

    LOOP = """
import http.server, os
class Loop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(open("/tmp/status").read()) if self.path == "/healthz" else 404)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(os.environ["METRICS_PORT"])), Loop).serve_forever()
"""

    @pytest.fixture
    def container(self, sidecar: str) -> Iterator[str]:
        name = f"killick-test-{uuid4().hex[:8]}"
        options = (
            "--detach",
            "--name",
            name,
            "--network=none",
            "--env=METRICS_PORT=9999",
            "--env=http_proxy=http://127.0.0.1:1",
        )
        docker.docker("run", *options, "--entrypoint=sleep", sidecar, "600")
        yield name
        docker.docker("rm", "--force", "--volumes", name)

    def check(self, container: str) -> int:
        return docker.docker("exec", container, "healthcheck", check=False).returncode

    def test_says_what_the_loop_says(self, container: str) -> None:
        assert self.check(container) == 1  # nobody answers
        docker.docker("exec", container, "sh", "-c", "echo 200 > /tmp/status")
        docker.docker("exec", "--detach", container, "python3", "-c", self.LOOP)
        docker.docker(
            "exec", container, "bash", "-c", "for _ in {1..100}; do healthcheck && exit; sleep 0.1; done; exit 1"
        )
        docker.docker("exec", container, "sh", "-c", "echo 503 > /tmp/status")
        assert self.check(container) == 1
