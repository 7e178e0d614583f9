"""Which image a backup asks for. Those of TimescaleDB and pgvector are told by name only: they cannot be run here."""

from typing import Any

import pytest

from killick.manifest import Manifest
from killick.settings import values
from killick.throwaway import _images
from killick.throwaway._images import REPOSITORIES, mapped, official


def source(engine: str, version: str, extensions: str = "", flavour: str = "postgres") -> Manifest:
    details = {"extensions": extensions, "flavour": flavour} if engine == "postgres" else {}
    return Manifest(
        "20260101T000000Z-x", "p", "x", engine, "", "", "", version, "", "", "x", None, details=details
    )  # fmt: skip


@pytest.mark.parametrize(
    ("of", "image"),
    [
        (source("postgres", "16.14"), "postgres:16"),
        (source("postgres", "9.6.24"), "postgres:9.6"),
        (source("postgres", "18.0", "plpgsql 1.0, pg_trgm 1.6"), "postgres:18"),
        (source("postgres", "15.20", "plpgsql 1.0, postgis 3.3.2", "postgis"), "postgis/postgis:15-3.3"),
        (source("postgres", "17.2", "postgis_topology 3.5.0, postgis 3.5.0", "postgis"), "postgis/postgis:17-3.5"),
        (source("postgres", "16.4", "plpgsql 1.0, timescaledb 2.17.2", "timescaledb"),
         "timescale/timescaledb:2.17.2-pg16"),
        (source("postgres", "16.4", "plpgsql 1.0, vector 0.8.0", "vector"), "pgvector/pgvector:pg16"),
        (source("postgres", "16.4", "citus 12.1-1", "citus"), "postgres:16"),
        (source("postgres", "16.4", "plpgsql 1.0", "postgis"), "postgres:16"),
        (source("mongodb", "6.0.5"), "mongo:6"),
        (source("mongodb", "8.2.1"), "mongo:8"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_the_official_image(of: Manifest, image: str) -> None:
    assert official(of) == image
    assert image.partition(":")[0] in REPOSITORIES


def test_an_older_manifest_tells_no_flavour() -> None:
    of = Manifest("20260101T000000Z-x", "p", "x", "postgres", "", "", "", "16.1", "", "", "x", None)
    assert official(of) == "postgres:16"


def test_mapping() -> None:
    images = values.images("postgres:16=registry.example:5000/pg:sixteen, mongo=registry.example/mirror/mongo")
    assert mapped("postgres:16", images) == "registry.example:5000/pg:sixteen"
    assert mapped("postgres:17", images) == "postgres:17"
    assert mapped("mongo:6", images) == "registry.example/mirror/mongo:6"
    assert mapped("postgres:16", values.images("postgres=a/b\npostgres:16=c/d@sha256:0f")) == "c/d@sha256:0f"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("postgres:16", "not a pair"),
        ("postgres:16=", "not a pair"),
        ("postgres:16=a b", "not a pair"),
        ("postgress:16=a:1", "no image that killick asks for: there are postgres, mongo"),
        ("postgres:16=registry.example:5000/pg", "on one side only"),
        ("postgres=registry.example/pg:16", "on one side only"),
    ],
)
def test_a_mapping_that_is_none(value: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        values.images(value)


@pytest.mark.parametrize(
    ("environment", "older"),
    [
        (["PATH=/bin", "PG_VERSION=16.4-1.pgdg120+2"], True),
        (["PG_VERSION=16.14-1.pgdg120+2"], False),
        (["MONGO_VERSION=16.9"], True),
        (["PATH=/bin"], False),
        (None, False),
    ],
)
def test_an_image_that_says_that_it_is_older(environment: Any, older: bool) -> None:
    """Then it is pulled anew. One that says nothing is taken as it is, and its server's version is looked at."""
    assert _images._older({"Config": {"Env": environment}}, source("postgres", "16.14")) is older
