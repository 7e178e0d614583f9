"""The main job through the command line: back up, list, show, fetch, restore, prune; JSON and exit codes."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.kit import Project, wait_for
from tests.lab.postgres import Postgres


def test_a_backup_and_all_that_tells_of_it(project: Project, postgres16: Postgres, database: str) -> None:
    made = project.run("backup", "--json").json
    assert [set(one) for one in made] == [{"source", "id", "error", "seconds", "bytes"}]
    assert (made[0]["source"], made[0]["error"]) == ("db", None)
    id = made[0]["id"]

    (listed,) = project.run("list", "--json").json
    assert listed == {
        "id": id,
        "project": "shop",
        "source": "db",
        "engine": "postgres",
        "time": f"{id[:4]}-{id[4:6]}-{id[6:8]}T{id[9:11]}:{id[11:13]}:{id[13:15]}Z",
        "bytes": made[0]["bytes"],
        "manifest": True,
        "verified": None,
    }
    assert id in project.run("list").out

    shown = project.run("show", id, "--json").json
    assert shown["format"] == "killick/1"
    assert shown["database"] == database
    assert shown["identity"] == str(postgres16.execute("SELECT system_identifier FROM pg_control_system()")[0][0])
    assert shown["contents"]["tables"]["public.orders"]["rows"] == 5000
    assert shown["archive"]["key"] == f"shop/{id}.tar.zst"
    assert [e["kind"] for e in shown["evidence"]] == ["backup"]
    assert list(shown["seconds"]) == ["connect", "dump", "compress", "store"]
    assert "public.orders" in project.run("show").out
    assert project.at_rest()


def test_what_was_fetched_opens_with_stock_tools(project: Project, tmp_path: Path) -> None:
    id = project.back_up()
    project.run("fetch", id, "-o", str(tmp_path / "b.tar"))
    names = subprocess.run(["tar", "tf", tmp_path / "b.tar"], capture_output=True, text=True, check=True).stdout
    assert names.splitlines()[0] == "manifest.json"
    assert "postgres/toc.dat" in names
    project.run("fetch", "-o", f"{tmp_path}/opened/", "latest")
    inside = json.loads((tmp_path / "opened/manifest.json").read_text())
    assert inside["id"] == id
    assert "cannot be written" in project.run("fetch", "-o", str(tmp_path / ("x" * 300)), expect=1).err
    again = project.run("fetch", "-o", str(tmp_path / "b.tar"), expect=5)
    assert "exists already" in again.err
    assert project.at_rest()


def test_a_restore_gives_the_same_rows(project: Project, postgres16: Postgres, database: str) -> None:
    id = project.back_up()
    copy = f"{database}_copy"
    try:
        done = project.run("restore", "--json", "--into", postgres16.url(copy)).json
        assert set(done) == {"id", "into", "seconds", "rows", "undo"}
        assert (done["id"], done["rows"], done["undo"]) == (id, 7000, None)
        assert postgres16.password not in json.dumps(done)
        query = "SELECT md5(string_agg(o::text, '|' ORDER BY id)) FROM orders o"
        assert postgres16.execute(query, copy) == postgres16.execute(query, database)
        refused = project.run("restore", "--into", postgres16.url(copy), expect=5)
        assert "is not empty" in refused.err
    finally:
        postgres16.execute(f'DROP DATABASE IF EXISTS "{copy}"')


def test_a_dry_run_changes_nothing(project: Project, postgres16: Postgres, database: str) -> None:
    project.back_up()
    told = project.run("restore", "--dry-run", "--into", postgres16.url(f"{database}_none"))
    assert "a new database" in told.out
    assert postgres16.execute(f"SELECT count(*) FROM pg_database WHERE datname = '{database}_none'") == [(0,)]


def test_the_source_itself_is_refused_as_a_target(project: Project) -> None:
    project.back_up()
    assert "not empty" in project.run("restore", expect=5).err


def test_several_sources_share_a_stamp_and_one_must_be_named(project: Project, tmp_path: Path) -> None:
    uploads = tmp_path / "uploads"
    (uploads / "ü nter").mkdir(parents=True)
    (uploads / "ü nter" / "a\nb").write_text("x")
    project.environment["FILES_UPLOADS"] = str(uploads)
    made = project.run("backup", "--json").json
    assert [one["source"] for one in made] == ["db", "uploads"]
    assert made[0]["id"].split("-")[0] == made[1]["id"].split("-")[0]
    assert "db, uploads" in project.run("show", expect=2).err
    assert project.run("list", "--source", "uploads", "--json").json[0]["engine"] == "files"
    project.run("restore", "--source", "uploads", "--into", str(tmp_path / "copy"))
    assert (tmp_path / "copy/ü nter/a\nb").read_text() == "x"
    assert project.run("backup", "upload", expect=3).err.count("upload") >= 1


def test_not_found(project: Project) -> None:
    assert "killick backup" in project.run("restore", expect=3).err
    id = project.back_up()
    assert f"did you mean {id}" in project.run("show", id.replace("-db", "-bd"), expect=3).err
    assert "the oldest is of" in project.run("show", "--at", "2020-01-01", expect=3).err
    assert "neither a day" in project.run("show", "--at", "yesterday-ish", expect=2).err
    assert "there are: db" in project.run("list", "--source", "dbb").out


def test_what_contradicts_itself_is_refused(project: Project) -> None:
    id = project.back_up()
    assert "both given" in project.run("show", id, "--at", "2020-01-01", expect=2).err
    assert "--into is empty" in project.run("restore", "--into", "", expect=2).err


def test_retention(project: Project) -> None:
    ids = [project.back_up() for _ in range(4)]
    few = {"KEEP_LAST": "2", "KEEP_DAILY": "0", "KEEP_WEEKLY": "0", "KEEP_MONTHLY": "0"}
    folder = Path(project.environment["STORE"].removeprefix("file://")) / "shop"
    mine = {"notes.txt", f"{ids[0]}.tar.zst.sha256", f"{ids[1]}.tar.zzz"}
    for name in mine:
        (folder / name).write_text("mine")
    before = project.stored()
    table = project.run("prune", "--dry-run", **few).out
    assert f"drop  {ids[0]}" in table
    assert "2 kept, 2 dropped" in table
    assert project.stored() == before
    project.run("prune", **few)
    assert [b.id for b in project.catalog().backups] == ids[:1:-1]
    assert {f"shop/{name}" for name in mine} < set(project.stored())
    assert not {f"shop/{id}.tar.zst" for id in ids[:2]} & set(project.stored())
    assert "PRUNE=off" in project.run("prune", expect=5, PRUNE="off").err


def test_a_copy_or_another_cluster_never_poisons_the_backups(
    project: Project, postgres16: Postgres, postgres18: Postgres, database: str
) -> None:
    project.back_up()
    stranger = postgres18.create(database)
    refused = project.run("backup", "--json", expect=5, DATABASE_URL=stranger)
    assert "--adopt" in refused.json[0]["error"]
    assert [f.kind for f in project.catalog().failures] == ["refused"]
    other = project.run("backup", expect=5, DATABASE_URL=postgres16.url("postgres"))
    assert "newest backup is of" in other.err
    project.run("backup", "--adopt", DATABASE_URL=stranger)
    project.run("backup", "--adopt")
    postgres16.execute(f"COMMENT ON DATABASE \"{database}\" IS 'killick: copy of shop/x'")
    copy = project.run("backup", expect=5)
    assert "is a copy" in copy.err


@pytest.mark.parametrize("codec", ["lrzip", "gzip", "none"])
def test_every_codec_all_the_way(project: Project, codec: str) -> None:
    project.back_up(CODEC=codec)
    assert project.run("verify", "--json").json["level"] == 5


def test_encrypted_to_keys_that_the_sidecar_does_not_have(project: Project, tmp_path: Path) -> None:
    key = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout
    recipient = next(line.split()[-1] for line in key.splitlines() if "public key" in line)
    (tmp_path / "key").write_text(key)
    id = project.back_up(AGE_RECIPIENTS=recipient)
    shown = project.run("show", id, "--json").json
    assert shown["archive"]["key"].endswith(".tar.zst.age")
    assert "contents" not in shown
    assert shown["roles"] == []
    assert "AGE_IDENTITY" in project.run("fetch", "-o", str(tmp_path / "x"), expect=2).err
    project.run("fetch", "-o", str(tmp_path / "x"), AGE_IDENTITY_FILE=str(tmp_path / "key"))
    assert project.run("verify", "--json", AGE_IDENTITY_FILE=str(tmp_path / "key")).json["tables"] == 2
    assert project.run("verify", "--json", expect=6).json["result"] == "unverifiable"


def test_a_second_run_is_told_who_holds_the_lock(project: Project, postgres16: Postgres, database: str) -> None:
    blocker = postgres16.connect(database)
    blocker.autocommit = False
    blocker.cursor().execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
    try:
        with project.running("backup") as first:
            wait_for(lambda: any(".lock." in key for key in project.stored()))
            second = project.run("backup", "--json", expect=7)
            assert "since" in second.json[0]["error"]
            blocker.rollback()
            assert first.wait(60) == 0
    finally:
        blocker.close()
    assert project.catalog().failures == ()
    assert project.at_rest()


def test_doctor(project: Project) -> None:
    told = project.run("doctor").out
    assert "✗" not in told
    assert all(check["ok"] for check in project.run("doctor", "--json").json)
    broken = project.run("doctor", expect=1, DATABASE_URL=project.environment["DATABASE_URL"].replace("app_", "pap_"))
    assert "✗ db" in broken.out
    nowhere = project.run("doctor", expect=1, STORE="file:///proc/nowhere")
    assert "✗ store" in nowhere.out
