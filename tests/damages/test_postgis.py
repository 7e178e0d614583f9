"""Damages of a database with PostGIS, on Debian's server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.postgres.conftest import has_extension, script
from tests.damages.postgres import Damage
from tests.damages.table import caught
from tests.damages.truth import Truth, backed_up, verified
from tests.end_to_end.backups import Backups
from tests.lab import Missing
from tests.lab.postgres import Postgres
from verify.options import Options

PLACES = """
    CREATE EXTENSION postgis; CREATE EXTENSION postgis_topology;
    CREATE TABLE places (id serial PRIMARY KEY, at geometry(PointZ, 4326), area geography(Polygon), shape geometry);
    CREATE INDEX places_at ON places USING gist (at);
    INSERT INTO places (at, area, shape) SELECT ST_SetSRID(ST_MakePoint(i / 10.0, 5, -0.0), 4326),
        ST_Buffer(ST_MakePoint(i / 10.0, 5)::geography, 1000), 'MULTICURVE((0 0, 5 5), CIRCULARSTRING(4 0, 4 4, 8 4))'
        FROM generate_series(1, 300) i;
    INSERT INTO spatial_ref_sys (srid, auth_name, auth_srid, srtext, proj4text) VALUES (990001, 'ours', 1, 'x', 'y');
    SELECT topology.CreateTopology('streets', 4326)
"""
DAMAGES = (
    {
        "PostGIS: geometry moved": Damage(
            "UPDATE places SET at = ST_Translate(at, 0.0000001, 0, 0) WHERE id = 7", "checksum", "public.places"
        ),
        "PostGIS: own coordinate system gone": Damage(
            "DELETE FROM spatial_ref_sys WHERE srid = 990001", "rows", "public.spatial_ref_sys"
        ),
        "PostGIS: topology's entry gone": Damage("DELETE FROM topology.topology", "rows", "topology.topology"),
    },
    {
        "PostGIS: spatial index gone": Damage("DROP INDEX places_at", "schema", "INDEX public.places_at"),
        "PostGIS: column in another system": Damage(
            "ALTER TABLE places ALTER at TYPE geometry(PointZ, 3857) USING ST_SetSRID(at, 3857)",
            "schema",
            "TABLE public.places",
        ),
        "PostGIS: extension gone": Damage("DROP EXTENSION postgis_topology CASCADE", "extensions", "postgis_topology"),
    },
)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Truth]:
    with Postgres(15) as server:
        if not has_extension(server, "postgis_topology"):
            raise Missing("PostGIS is not installed: apt-get install postgresql-15-postgis-3")
        server.create("truth")
        script(server, "truth", PLACES)
        folder = tmp_path_factory.mktemp("places") / "store"
        yield Truth(server, Backups(folder), backed_up(server, folder), "", "")


def test_it_is_sound(places: Truth, options: Options) -> None:
    report = verified(places.backups, places.id, options)
    assert (report.result, report.level, report.warnings) == ("passed", 4, ()), report.text()


@pytest.mark.parametrize("damages", DAMAGES, ids=["data", "schema"])
def test_damages(places: Truth, tmp_path: Path, options: Options, damages: dict[str, Damage]) -> None:
    backups = places.damaged(tmp_path / "store", *(damage.statement for damage in damages.values()))
    report = verified(backups, places.id, options)
    assert report.result == "failed"
    for title, damage in damages.items():
        found = [m for m in report.mismatches if m.what == damage.what and damage.name in m.table]
        assert found, report.text()
        caught("Postgres", title, damage.level, f"{found[0].table}: {found[0].what}")
