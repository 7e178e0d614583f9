"""What a dump demands of a server."""

import pytest

from killick.contents import Contents
from killick.engines.postgres import demands
from killick.engines.postgres.listing import Entry, Listing
from killick.errors import RestoreError, Unsupported


def contents(server: str = "16", client: str = "", **extensions: str) -> Contents:
    return Contents(
        groups={"extensions": dict.fromkeys(extensions, "public")},
        loose={"versions": {"server": server, "client": client or server}, "extension versions": extensions},
    )


@pytest.mark.parametrize(
    ("extensions", "image"),
    [
        ({}, "postgres:16"),
        ({"hstore": "1.8"}, "postgres:16"),
        ({"postgis": "3.4.2", "hstore": "1.8"}, "postgis/postgis:16-3.4"),
        ({"vector": "0.8.1"}, "pgvector/pgvector:pg16"),
        ({"timescaledb": "2.17.0", "postgis": "3.4.2"}, "timescale/timescaledb:latest-pg16"),
        ({"citus": "12.1-1"}, "citusdata/citus"),
    ],
)
def test_the_image_that_a_backup_needs(extensions: dict[str, str], image: str) -> None:
    assert demands.image(contents(**extensions)) == image


def test_an_older_server_is_told_the_image_to_use() -> None:
    with pytest.raises(Unsupported, match=r"of Postgres 18 and the server here is 16\.14") as caught:
        demands.client(160014, contents("18", postgis="3.6.1"))
    assert "postgis/postgis:18-3.6" in caught.value.hint


def test_a_newer_clients_dump_needs_a_newer_server() -> None:
    with pytest.raises(Unsupported, match="written by pg_dump 18"):
        demands.client(160014, contents("16", "18"))


LISTED = Listing({1: Entry("EXTENSION", "- postgis "), 2: Entry("EXTENSION", "- hstore "), 3: Entry("COMMENT", "- x ")})


def test_missing_extensions_are_named_with_the_image() -> None:
    with pytest.raises(RestoreError, match=r'lacks the extensions "hstore", "postgis"') as caught:
        demands.refuse_missing(
            demands.extensions(LISTED).values(), {"plpgsql"}, contents(postgis="3.4.2", hstore="1.8")
        )
    assert caught.value.reason == "missing-extension"
    assert "postgis/postgis:16-3.4" in caught.value.hint
    demands.refuse_missing(demands.extensions(LISTED).values(), {"plpgsql", "postgis", "hstore"}, contents())


def test_a_server_that_does_not_tell_is_tried() -> None:
    demands.refuse_missing(demands.extensions(LISTED).values(), set(), contents())
