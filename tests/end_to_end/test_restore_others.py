"""A refresh of MongoDB and of folders through the command line: replaced, undone, kept, reset, and never backed up."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit import Project, basics, mounted
from tests.lab import mongosh
from tests.lab.mongod import Mongod


@pytest.fixture
def folders(tmp_path: Path, programs_path: str) -> Project:
    tmp_path.chmod(0o755)
    return Project({**basics(tmp_path, programs_path), "RESTORE_HOOKS": str(tmp_path / "restore.d")})


@pytest.fixture
def servers(mongod: Mongod, mongo_set: Mongod) -> Iterator[tuple[Mongod, Mongod]]:
    """Production's, a replica set, and a developer's."""
    yield mongo_set, mongod
    for server in (mongo_set, mongod):
        with server.client() as client:
            for name in set(client.list_database_names()) - {"admin", "config", "local"}:
                client.drop_database(name)


def test_a_mongodb_database(folders: Project, tmp_path: Path, servers: tuple[Mongod, Mongod]) -> None:
    production, laptop = servers
    folders.environment |= {"DATABASE_URL": production.url("app"), "RESTORE_URL": laptop.url("dev")}
    folders.environment["PROGRAMS"] += f":{mongosh.programs()}"
    (tmp_path / "restore.d").mkdir()
    (tmp_path / "restore.d/10-mask.js").write_text("db.people.updateMany({}, {$set: {email: null}})")
    (tmp_path / "restore.d/20-look.sh").write_text(
        'test "$MONGO_DATABASE" = dev__new && case $DATABASE_URL in mongodb://root@*/dev__new\\?*) ;; *) exit 1; esac'
    )
    with production.client() as source, laptop.client() as client:
        source["app"]["people"].insert_many([{"_id": n, "email": f"{n}@example.org"} for n in range(10)])
        id = folders.back_up()
        client["dev"]["mine"].insert_one({"_id": "my own"})

        done = folders.run("restore", "--json", "--yes", "dev").json
        assert (done["id"], done["rows"], done["undo"]) == (id, 10, "killick restore --undo")
        assert list(done["seconds"]) == ["download", "check", "decode", "restore", "hooks", "swap"]
        assert client["dev"].list_collection_names() == ["people"]
        assert client["dev"]["people"].count_documents({"email": None}) == 10
        refused = folders.run("backup", expect=5, DATABASE_URL=laptop.url("dev"), RESTORE_URL=None)
        assert "is a copy" in refused.err

        folders.run("restore", "--undo")
        assert client["dev"].list_collection_names() == ["mine"]
        folders.run("snapshot")
        client["dev"]["mine"].drop()
        folders.run("reset")
        assert client["dev"]["mine"].find_one() == {"_id": "my own"}

        (tmp_path / "restore.d/20-look.sh").unlink()
        folders.run("restore", "--in-place", "--yes", "dev")
        assert client["dev"].list_collection_names() == ["people"]


def test_without_mongosh_nothing_is_begun(folders: Project, tmp_path: Path, servers: tuple[Mongod, Mongod]) -> None:
    production, laptop = servers
    folders.environment |= {"DATABASE_URL": production.url("app"), "RESTORE_URL": laptop.url("dev")}
    (tmp_path / "restore.d").mkdir()
    (tmp_path / "restore.d/10-mask.js").write_text("")
    with production.client() as source, laptop.client() as client:
        source["app"]["people"].insert_one({"_id": 1})
        folders.back_up()
        done = folders.run("restore", "--yes", expect=1)
        assert "needs mongosh, which is not installed" in done.err
        assert done.events("phase-finished") == []
        assert "dev" not in client.list_database_names()


def test_a_whole_server(folders: Project, servers: tuple[Mongod, Mongod]) -> None:
    production, laptop = servers
    url = laptop.url()
    folders.environment |= {"DATABASE_URL": production.url(), "RESTORE_URL": url}
    with production.client() as source, laptop.client() as client:
        for name in ("app", "other"):
            source[name]["c"].insert_one({"_id": name})
        folders.back_up()
        folders.run("restore", "--yes")
        assert client["other"]["c"].find_one() == {"_id": "other"}
        source["app"]["c"].insert_one({"_id": "later"})
        folders.back_up()
        done = folders.run("restore", "--yes", expect=None)
        assert done.code == 2
        assert "names no database" in done.err
        assert client["app"]["c"].count_documents({}) == 1
        folders.run("restore", "--in-place", "--yes")
        assert client["app"]["c"].count_documents({}) == 2
        for part in ("app", "other"):
            refused = folders.run("restore", "--yes", part, expect=5, RESTORE_URL=production.url(part))
            assert "--yes-overwrite-production" in refused.err
        folders.run("restore", "--into", production.url("copy"), expect=1)  # empty: the dump has none of that name


def test_the_server_of_a_database_that_is_production(folders: Project, servers: tuple[Mongod, Mongod]) -> None:
    production, _ = servers
    folders.environment |= {"DATABASE_URL": production.url("app")}
    with production.client() as source:
        source["app"]["c"].insert_one({"_id": 1})
        source["neighbour"]["c"].insert_one({"_id": 1})
        folders.back_up()
        refused = folders.run("restore", "--into", production.url(), "--in-place", "--yes", expect=5)
        assert "--yes-overwrite-production" in refused.err
        assert source["neighbour"]["c"].count_documents({}) == 1


@pytest.mark.parametrize("mount", [False, True], ids=["beside", "inside"])
def test_a_folder(folders: Project, tmp_path: Path, mount: bool) -> None:
    production, local = tmp_path / "production", tmp_path / "uploads"
    for folder, name in ((production, "theirs"), (local, "mine")):
        folder.mkdir()
        (folder / name).write_text(name)
    folders.environment |= {"FILES_UPLOADS": str(production)}
    folders.run("backup", "uploads")
    if mount:
        with mounted(local):
            of_a_folder(folders, local)
    else:
        of_a_folder(folders, local)


def of_a_folder(folders: Project, local: Path) -> None:
    def holds() -> set[str]:
        return {path.name for path in local.iterdir()} - {".killick"}

    folders.environment |= {"FILES_UPLOADS": str(local)}  # the same project, on a laptop
    told = folders.run("restore", "--source", "uploads", "--yes", str(local)).out
    assert "to undo it: killick restore --undo" in told
    assert holds() == {"theirs"}
    refused = folders.run("backup", "uploads", expect=5)
    assert "is a copy" in refused.err
    folders.run("restore", "--undo", "--source", "uploads")
    assert holds() == {"mine"}
    folders.run("snapshot", "--source", "uploads")
    (local / "mine").unlink()
    folders.run("reset", "--source", "uploads")
    assert holds() == {"mine"}
    refused = folders.run("restore", "--source", "uploads", "--schema-only", "--in-place", "--yes", expect=2)
    assert "a folder has no schema" in refused.err
    assert holds() == {"mine"}
    folders.run("restore", "--source", "uploads", "--in-place", "--yes", str(local))
    assert holds() == {"theirs"}
