"""What counts as well: services as compose tells of them, containers as Docker does."""

from dataclasses import replace
from pathlib import Path

import pytest

from deploy import gate
from deploy.compose import Compose
from deploy.containers import Container, Wanted, broken, lacking, signature, wanted
from deploy.safety import Saved, commands, needed
from killick.errors import KillickError

APP = Container("app", "1", "shop:42", "running", "", 0, 0, "2026-11-24T03:00:00Z")
STAYS, ENDS = Wanted("app", once=False), Wanted("app", once=True)


def test_which_services_are_to_end() -> None:
    config = {
        "services": {
            "app": {
                "depends_on": {"migrate": {"condition": "service_completed_successfully"}, "db": {"condition": "x"}}
            },
            "migrate": {},
            "db": {"restart": "always"},
            "seed": {"restart": "no"},
            "off": {"deploy": {"replicas": 0}},
            "none": {"scale": 0},
        }
    }
    assert {w.name: w.once for w in wanted(config)} == {"app": False, "db": False, "migrate": True, "seed": True}


@pytest.mark.parametrize(
    ("service", "change", "well", "hopeless"),
    [
        (STAYS, {}, True, False),
        (STAYS, {"health": "healthy"}, True, False),
        (STAYS, {"health": "starting"}, False, False),
        (STAYS, {"health": "unhealthy"}, False, False),
        (STAYS, {"status": "restarting", "exit": 1}, False, False),
        (STAYS, {"status": "exited", "exit": 1}, False, True),
        (STAYS, {"status": "exited"}, False, True),
        (STAYS, {"status": "created"}, False, False),
        (ENDS, {"status": "exited"}, True, False),
        (ENDS, {"status": "exited", "exit": 3}, False, True),
        (ENDS, {}, False, False),
    ],
)
def test_one_service(service: Wanted, change: dict[str, object], well: bool, hopeless: bool) -> None:
    found = [replace(APP, **change)]  # type: ignore[arg-type]
    assert (not lacking([service], found), bool(broken([service], found))) == (well, hopeless)


def test_a_service_without_a_container_lacks_it() -> None:
    assert lacking([STAYS], []) == ["app has no container"]
    assert len(lacking([STAYS], [APP, replace(APP, id="2", status="restarting")])) == 1


def test_what_starts_anew_is_not_well_however_often_it_is_seen_running() -> None:
    starts = iter(range(1000))

    def look() -> list[Container]:
        return [replace(APP, started=str(next(starts)))]

    with pytest.raises(KillickError, match="start again and again"):
        gate.healthy([STAYS], look, timeout=1.2, settle=0.6)
    assert gate.healthy([STAYS], lambda: [APP], timeout=10, settle=0.6) == [APP]
    assert signature([APP]) != signature([replace(APP, restarts=1)])


def test_the_way_back_is_a_line_to_paste() -> None:
    compose = Compose(Path(), ("docker-compose.yml", "dc.prod.yml"), "my shop")
    database, folder = commands(compose, "killick", [Saved("db", "i-db", "db.example"), Saved("up", "i-up", "")])
    begin = "docker compose -p 'my shop' -f docker-compose.yml -f dc.prod.yml run --rm --no-deps killick restore"
    assert database == f"{begin} i-db --adopt --yes-overwrite-production db.example"
    assert folder == f"{begin} i-up --adopt"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"DATABASE_URL": "postgres://app@db/app"}, ["db"]),
        ({"DATABASE_URL": "postgres://db@db.example/db"}, []),
        ({"DATABASE_URL_EVENTS": "mongodb://u:p@mongo:27017,db:27018/app?replicaSet=app"}, ["db", "mongo"]),
        ({"POSTGRES_HOST": "db", "AWS_ENDPOINT_URL": "http://s3:8333"}, ["db", "s3"]),
        ({"DATABASE_URL": None, "DATABASE_URL_FILE": "/run/secrets/db", "NOTIFY_URLS": "json://app:8000"}, []),
        ({"DATABASE_URL": "no address", "DATABASE_URL_BUSY": "postgres://u@busy/x"}, []),
        (None, []),
    ],
)
def test_what_a_backup_needs_are_the_hosts_of_its_addresses(given: dict[str, str] | None, found: list[str]) -> None:
    """Never the app, even where the database and its user are called as the app is."""
    others: dict[str, object] = {name: {} for name in ("app", "db", "mongo", "s3", "busy")}
    config = {"services": {**others, "sidecar": {"environment": given, "depends_on": {"app": {}}}}}
    containers = [replace(APP, service="busy"), replace(APP, service="db", status="exited")]
    assert needed(config, "sidecar", containers) == found
    assert needed(config, "sidecar", [*containers, replace(APP, service="sidecar")]) == []
