"""What a target is, and what it takes to touch it."""

from dataclasses import replace

import pytest

from killick.engines import Facts, Source, connect
from killick.errors import Refused
from restore.guards import Consent, Standing, allow, standing, unasked
from restore.target import Target

FACTS = Facts("postgres", "16.4", "16.4", "shop", "7001", 1000)
PRODUCTION = {("7001", "shop"), ("7002", "events"), ("7004", "")}


def target(facts: Facts | None = FACTS, url: str = "postgres://u@db.example.org/shop") -> Target:
    source = Source("db", url)
    return Target(source, connect(source), facts)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (None, Standing.NEW),
        (FACTS, Standing.PRODUCTION),
        (replace(FACTS, empty=True), Standing.PRODUCTION),
        (replace(FACTS, copy=True), Standing.PRODUCTION),
        (replace(FACTS, database="shop_staging"), Standing.OTHER),
        (replace(FACTS, database="shop_staging", empty=True), Standing.EMPTY),
        (replace(FACTS, identity="7003"), Standing.OTHER),
        (replace(FACTS, identity="7003", copy=True), Standing.COPY),
        (replace(FACTS, identity="7002", database="events"), Standing.PRODUCTION),
        (replace(FACTS, identity=""), Standing.OTHER),
        (replace(FACTS, database=""), Standing.PRODUCTION),
        (replace(FACTS, database="", empty=True), Standing.EMPTY),
        (replace(FACTS, identity="7004"), Standing.PRODUCTION),
        (replace(FACTS, identity="7004", empty=True), Standing.EMPTY),
        (replace(FACTS, identity="7004", copy=True), Standing.COPY),
    ],
)
def test_what_a_target_is(facts: Facts | None, expected: Standing) -> None:
    assert standing(facts, PRODUCTION) is expected


def test_a_server_that_hides_its_identity_is_not_everybodys() -> None:
    assert standing(replace(FACTS, identity="", copy=True), {("", "shop")}) is Standing.COPY


@pytest.mark.parametrize(
    ("is_", "given", "asked"),
    [
        (Standing.NEW, Consent(), ""),
        (Standing.EMPTY, Consent(), ""),
        (Standing.COPY, Consent(), "yes"),
        (Standing.COPY, Consent("."), ""),
        (Standing.COPY, Consent("shop"), ""),
        (Standing.OTHER, Consent(), "name"),
        (Standing.OTHER, Consent("."), "name"),
        (Standing.OTHER, Consent("shop"), ""),
        (Standing.PRODUCTION, Consent("", "db.example.org"), ""),
    ],
)
def test_what_is_asked(is_: Standing, given: Consent, asked: str) -> None:
    assert allow(target(), is_, given) == asked


@pytest.mark.parametrize(
    ("is_", "given"),
    [
        (Standing.COPY, Consent("other")),
        (Standing.EMPTY, Consent("other")),
        (Standing.PRODUCTION, Consent()),
        (Standing.PRODUCTION, Consent(".")),
        (Standing.PRODUCTION, Consent("shop")),
        (Standing.PRODUCTION, Consent("shop", "localhost")),
        (Standing.PRODUCTION, Consent("", "db")),
    ],
)
def test_what_is_refused(is_: Standing, given: Consent) -> None:
    with pytest.raises(Refused):
        allow(target(), is_, given)


def test_empty_production_can_lose_nothing() -> None:
    """After a disaster: its name is enough, a bare --yes is not."""
    empty = target(replace(FACTS, empty=True))
    assert allow(empty, Standing.PRODUCTION, Consent("shop")) == ""
    with pytest.raises(Refused):
        allow(empty, Standing.PRODUCTION, Consent("."))


def test_where_nobody_can_be_asked_the_flag_is_told() -> None:
    assert "--yes shop" in unasked(target(), "name").hint
    assert unasked(target(), "yes").hint.endswith("--yes")
    assert "1.0 kB" in unasked(target(), "name").message


def test_hosts_and_names() -> None:
    assert target(None).name == "shop"
    assert target(None, "postgres:///shop?host=/run/pg").host == "localhost"
    assert target(None, "file:///srv/uploads").name == "srv/uploads"
