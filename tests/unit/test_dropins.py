"""Folders of a project's own scripts: which of them a restore runs, and what is told of the others."""

from pathlib import Path

import pytest

from killick.doctor import check_strays
from killick.dropins import strays
from killick.engines import Engine, Source, connect
from killick.errors import SettingsError
from restore.hooks import Hooks

POSTGRES = connect(Source("db", "postgres://shop@db/shop"))
MONGODB = connect(Source("events", "mongodb://db/events"))
FILES = connect(Source("uploads", "file:///uploads"))


@pytest.fixture
def hooks(tmp_path: Path) -> Path:
    for name in ("20-names.sql", "30-names.js", "40-all.sh", "db/10-first.sql", "uploads/50-urls.sh", "dbb/1.sql"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / ".hidden.txt").write_text("")
    return tmp_path


def names(paths: tuple[Path, ...]) -> list[str]:
    return [path.name for path in paths]


def test_what_runs_where(hooks: Path) -> None:
    found = Hooks.of(hooks, "db", POSTGRES)
    assert names(found.scripts) == ["10-first.sql", "20-names.sql", "40-all.sh"]
    assert names(found.left) == ["30-names.js"]
    assert str(found) == (
        "10-first.sql, 20-names.sql, 40-all.sh, before anybody sees the copy; not for this engine: 30-names.js"
    )
    found = Hooks.of(hooks, "uploads", FILES)
    assert names(found.scripts) == ["40-all.sh", "50-urls.sh"]
    assert names(found.left) == ["20-names.sql", "30-names.js"]


def test_none_of_them_is_for_this_engine(tmp_path: Path) -> None:
    """A plan says so: whoever wrote it may believe that it runs."""
    (tmp_path / "names.sql").write_text("")
    found = Hooks.of(tmp_path, "events", MONGODB)
    assert found.scripts == ()
    assert str(found) == "none, before anybody sees the copy; not for this engine: names.sql"


@pytest.mark.parametrize(
    ("name", "source", "engine", "said"),
    [
        (
            "events/names.sql",
            "events",
            MONGODB,
            r"names\.sql is not a script that a restore of events runs \(\.js, \.sh",
        ),
        ("db/names.js", "db", POSTGRES, r"names\.js is not a script that a restore of db runs \(\.sql, \.sh\)"),
        ("names.psql", "db", POSTGRES, r"names\.psql is not a script that a restore runs \(\.sql, \.js, \.sh\)"),
    ],
)
def test_what_nobody_would_run(tmp_path: Path, name: str, source: str, engine: Engine, said: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("")
    with pytest.raises(SettingsError, match=said):
        Hooks.of(tmp_path, source, engine)


def test_folders_that_are_no_sources(hooks: Path) -> None:
    assert strays(hooks, ["db", "uploads"]) == ["dbb"]
    assert strays(hooks / "nowhere", ["db"]) == []
    (told,) = check_strays("hooks", hooks, ["db", "uploads"])
    assert not told.ok
    assert told.what == f"hooks: {hooks / 'dbb'} is no source's, and is not read"
    assert told.cure == "the sources are db, uploads"
