"""Roles and policies of docs/security.md, the alert of docs/operating.md: on real parts, enough, and no more."""

import ast
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.session import Session
from botocore.validate import ParamValidator

from killick.stores._s3_errors import _PERMISSIONS as PERMISSIONS
from tests.blocks import ROOT, blocks
from tests.kit import Project, basics
from tests.lab import debian
from tests.lab.mongod import Mongod
from tests.lab.postgres import Postgres

PAGE = blocks("docs/security.md")
PASSWORD = "change me"


def test_nothing_is_left_out() -> None:
    sql = {"backup-role", "row-security", "before-14", "restore-role"}
    proxy = {"docker-proxy", "docker-proxy-service"}  # tests/end_to_end/test_containers.py
    assert set(PAGE) == sql | proxy | {"sidecar", "no-delete", "verifier", "lifecycle", "backup-user", "read-user"}


# Postgres

SHOP = """
    CREATE ROLE shop;
    CREATE SCHEMA stock;
    CREATE TABLE orders (id bigserial PRIMARY KEY, total numeric);
    CREATE TABLE stock.items (id int GENERATED ALWAYS AS IDENTITY, name text);
    CREATE SEQUENCE stock.numbers;
    REVOKE ALL ON ALL TABLES IN SCHEMA public, stock FROM PUBLIC;
    INSERT INTO orders (total) SELECT g FROM generate_series(1, 100) g;
    INSERT INTO stock.items (name) SELECT 'item ' || g FROM generate_series(1, 100) g;
"""
LARGE_OBJECT = "SELECT lo_from_bytea(4711, 'anchor')"
LIFTED = next(line for line in PAGE["backup-role"].splitlines() if "lo_compat_privileges" in line)


@pytest.fixture(params=[16, 18])
def server(request: pytest.FixtureRequest) -> Iterator[Postgres]:
    """One of its own, since roles are the cluster's; the database is `shop`, as in the page."""
    with Postgres(request.param) as server:
        server.create("shop")
        server.execute(SHOP, "shop")
        yield server


@pytest.fixture
def project(tmp_path: Path, server: Postgres, programs_path: str) -> Project:
    tmp_path.chmod(0o755)
    url = server.url("shop", user="killick", password=PASSWORD)
    return Project({**basics(tmp_path, programs_path), "DATABASE_URL": url})


def test_the_backup_role(project: Project, server: Postgres) -> None:
    """Every schema, sequences, large objects; each statement that says it is needed, is."""
    server.execute(LARGE_OBJECT, "shop")
    server.execute(PAGE["backup-role"].replace(LIFTED, ""), "shop")
    refused = project.run("backup", "--json", expect=1).json[0]["error"]
    assert "large object" in refused
    assert project.run("doctor", expect=1).out.count("✗") == 1
    server.execute(LIFTED)
    project.run("doctor")
    project.back_up()
    assert project.run("verify", "--json").json["level"] == 5

    server.execute("ALTER TABLE orders ENABLE ROW LEVEL SECURITY", "shop")
    assert "row security" in project.run("backup", "--json", expect=1).json[0]["error"]
    server.execute(PAGE["row-security"])
    project.back_up()

    role = server.url("shop", user="killick", password=PASSWORD)
    for write in (
        "DELETE FROM orders",
        "SELECT lo_unlink(4711)",
        "CREATE TABLE x ()",
        "SELECT nextval('stock.numbers')",
    ):
        with pytest.raises(Exception, match=r"permission denied|read-only transaction"):
            _as(role, write)


def test_the_backup_role_of_older_servers(project: Project, server: Postgres) -> None:
    """Without the role that came with 14: grants for each schema, tables that come later too."""
    create, connect, *_ = PAGE["backup-role"].splitlines()
    server.execute(f"{create}{connect}", "shop")
    assert "may not read" in project.run("backup", "--json", expect=1).json[0]["error"]
    server.execute(PAGE["before-14"] + PAGE["before-14"].replace("public", "stock"), "shop")
    project.back_up()
    later = "GRANT USAGE, CREATE ON SCHEMA stock TO shop; SET ROLE shop; CREATE TABLE stock.later (id serial)"
    server.execute(later, "shop")
    project.back_up()


def test_the_restore_role(project: Project, server: Postgres) -> None:
    server.execute(LARGE_OBJECT, "shop")
    server.execute(PAGE["backup-role"] + PAGE["restore-role"], "shop")
    project.back_up()
    project.run("restore", "--into", server.url("denied", user="killick", password=PASSWORD), expect=1)
    project.run("restore", "--into", server.url("copy", user="killick_restore", password=PASSWORD))
    assert server.execute("SELECT count(*) FROM stock.items", "copy") == [(100,)]


def _as(url: str, statement: str) -> None:
    import psycopg2

    connection = psycopg2.connect(url)
    try:
        connection.cursor().execute(statement)
    finally:
        connection.rollback()
        connection.close()


# MongoDB


def _create(server: Mongod, block: str) -> None:
    """What mongosh would do with it: the driver has no JavaScript."""
    match = re.fullmatch(
        r'db\.getSiblingDB\("(\w+)"\)\.createUser\(\{user: "(\w+)", pwd: passwordPrompt\(\), roles: (\[.*\])\}\)\n',
        block,
    )
    assert match, block
    with server.client() as client:
        client[match[1]].command("createUser", match[2], pwd=PASSWORD, roles=json.loads(match[3]))


def _mongo(tmp_path: Path, server: Mongod, programs_path: str, path: str) -> Project:
    """With the page's own URL, but for the host."""
    assert f"DATABASE_URL=mongodb://killick@mongo/{path}`" in (ROOT / "docs/security.md").read_text()
    way = f"replicaSet={server.replica_set}" if server.replica_set else "directConnection=true"
    url = f"mongodb://killick@127.0.0.1:{server.port}/{path}{'&' if '?' in path else '?'}{way}"
    return Project({**basics(tmp_path, programs_path), "DATABASE_URL": url, "DATABASE_PASSWORD": PASSWORD})


def test_the_user_of_all_databases(tmp_path: Path, programs_path: str) -> None:
    with Mongod(replica_set=True) as server:
        with server.client() as client:
            client.shop.orders.insert_many({"_id": i} for i in range(100))
        _create(server, PAGE["backup-user"])
        project = _mongo(tmp_path, server, programs_path, "?authSource=admin")
        project.run("doctor")
        id = project.back_up()
    manifest = project.run("show", id, "--json").json
    assert manifest["contents"]["tables"]["shop.orders"]["rows"] == 100
    assert manifest["warnings"] == []
    assert manifest["snapshot"] != manifest["started"]


def test_the_user_of_one_database(tmp_path: Path, programs_path: str) -> None:
    with Mongod() as server:
        with server.client() as client:
            client.shop.orders.insert_many({"_id": i} for i in range(100))
        _create(server, PAGE["read-user"])
        project = _mongo(tmp_path, server, programs_path, "shop")
        manifest = project.run("show", project.back_up(), "--json").json
    assert manifest["contents"]["tables"]["shop.orders"]["rows"] == 100
    assert "not of one moment" in manifest["warnings"][0]


# S3


def _actions(policy: str) -> set[str]:
    found: set[str] = set()
    for statement in json.loads(PAGE[policy])["Statement"]:
        actions = statement["Action"]
        found |= {actions} if isinstance(actions, str) else set(actions)
        on_bucket = statement["Resource"].endswith(":my-backups")
        assert on_bucket == any("List" in action for action in ([actions] if isinstance(actions, str) else actions))
        assert on_bucket or statement["Resource"].startswith("arn:aws:s3:::my-backups/my-shop/")
    return found


def _asked() -> set[str]:
    """What the store asks of S3, by its code: the permission of each operation, as its own errors name it."""
    operations = set()
    for name in ("s3", "_multipart"):
        for node in ast.walk(ast.parse((ROOT / f"killick/stores/{name}.py").read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if node.func.attr == "get_paginator":
                    operations.add(ast.literal_eval(node.args[0]))
                elif _is_client(node.func.value):
                    operations.add(node.func.attr)
    known = {re.sub(r"(?<=[a-z])(?=[A-Z])|(?=V2)", "_", name).lower(): said for name, said in PERMISSIONS.items()}
    return {known[name].split(" ")[0] for name in operations}


def _is_client(node: ast.expr) -> bool:
    return (isinstance(node, ast.Attribute) and node.attr == "_client") or (
        isinstance(node, ast.Name) and node.id == "client"
    )


def test_the_policies_allow_what_is_asked_for() -> None:
    everything = _asked()
    assert len(everything) == 6
    assert _actions("sidecar") == everything
    assert _actions("no-delete") == everything - {"s3:DeleteObject"}
    assert _actions("verifier") == {"s3:GetObject", "s3:PutObject", "s3:ListBucket"}


def test_the_lifecycle_is_one() -> None:
    model: Any = Session().get_service_model("s3")
    shape = model.operation_model("PutBucketLifecycleConfiguration").input_shape
    given = {"Bucket": "my-backups", "LifecycleConfiguration": json.loads(PAGE["lifecycle"])}
    assert not ParamValidator().validate(given, shape).has_errors()


# Prometheus


ONE = {"project": "p", "source": "s", "engine": "e"}


def test_the_alert(tmp_path: Path) -> None:
    """Silent while the data is proven; it fires when that is two days ago, and where nothing ever was."""
    attempt = 'killick_backup_last_attempt_timestamp_seconds{project="p",source="s",engine="e"}'
    proven = attempt.replace("backup_last_attempt", "verified_snapshot")
    tests = [
        ({attempt: "0+0x5000"}, "24h", [ONE]),
        ({attempt: "0+0x5000", proven: "0+0x5000"}, "24h", []),
        ({attempt: "0+0x5000", proven: "0+0x5000"}, "49h", [ONE]),
    ]
    fires(tmp_path, blocks("docs/operating.md")["unproven"], tests)


def test_the_alert_of_a_slow_restore(tmp_path: Path) -> None:
    """Only where there is a target."""
    took = 'killick_verify_restore_seconds{project="p",source="s",engine="e"}'
    target = took.replace("verify_restore", "restore_target")
    tests = [
        ({took: "90+0x60"}, "30m", []),
        ({took: "90+0x60", target: "90+0x60"}, "30m", []),
        ({took: "90+0x60", target: "60+0x60"}, "30m", [ONE]),
    ]
    fires(tmp_path, blocks("docs/verify.md")["slow-restore"], tests)


def fires(folder: Path, expression: str, tests: list[tuple[dict[str, str], str, list[dict[str, str]]]]) -> None:
    """Prometheus' own tests of a rule: for each the series, when it is looked at, and the labels that fire then."""
    rule = {"alert": "Rule", "expr": expression}
    (folder / "rules").write_text(json.dumps({"groups": [{"name": "killick", "rules": [rule]}]}))
    document = {
        "rule_files": [str(folder / "rules")],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "alert_rule_test": [
                    {"eval_time": time, "alertname": "Rule", "exp_alerts": [{"exp_labels": each} for each in labels]}
                ],
            }
            for series, time, labels in tests
        ],
    }
    (folder / "tests").write_text(json.dumps(document))
    promtool = debian.unpack("prometheus") / "bin/promtool"
    done = subprocess.run([promtool, "test", "rules", folder / "tests"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
