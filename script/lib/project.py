"""The demonstration's project: a shop's database and uploads, an S3 server, and what killick is told of them."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab import programs, sample
from tests.lab.postgres import Postgres
from tests.lab.s3 import S3
from tests.lab.server import HOST, free_ports, workspace

ROOT = Path(__file__).resolve().parents[2]
ROWS = 200_000
MAJOR = 16


@dataclass(frozen=True)
class Project:
    """`folder` holds uploads, secrets and whatever is downloaded; `environment` is all that killick is told."""

    folder: Path
    postgres: Postgres
    s3: S3
    environment: dict[str, str]
    settings: tuple[str, ...]

    @property
    def env_file(self) -> Path:
        return self.folder / "env"


@contextmanager
def project(folder: Path) -> Iterator[Project]:
    """Servers up, nothing in them yet; all gone afterwards. Raises Missing."""
    clients = programs.programs_path(mongo=False)
    with Postgres(MAJOR) as postgres, S3() as s3:
        postgres.create("shop")
        s3.bucket("backups")
        settings = _settings(folder, postgres, s3)
        around = {
            "PATH": f"{ROOT}/.venv/bin:{postgres.bin}:{os.environ.get('PATH', os.defpath)}",
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
            "PROGRAMS": clients,
            "SCRATCH_DIR": str(folder / "scratch"),
            "METRICS_PORT": str(free_ports(1)[0]),
            "PGHOST": HOST,
            "PGPORT": str(postgres.port),
            "PGUSER": postgres.user,
            "PGPASSFILE": str(_secret(folder, "pgpass", f"*:*:*:*:{postgres.password}\n")),
            "AWS_SHARED_CREDENTIALS_FILE": str(_secret(folder, "aws_credentials", _credentials(s3))),
        }
        made = Project(folder, postgres, s3, {**settings, **around}, tuple(settings))
        exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in made.environment.items())
        _write(made.env_file, exports)
        yield made


def fill(made: Project) -> tuple[dict[str, int], int]:
    """The rows of each table, and how many files there are."""
    connection = made.postgres.connect("shop")
    try:
        counts = sample.load(connection, ROWS)
    finally:
        connection.close()
    return counts, sample.uploads(made.folder / "uploads")


def _settings(folder: Path, postgres: Postgres, s3: S3) -> dict[str, str]:
    """Three variables and three secrets, and where this S3 server is."""
    return {
        "PROJECT": "shop",
        "DATABASE_URL": f"postgres://{postgres.user}@{HOST}:{postgres.port}/shop",
        "DATABASE_PASSWORD_FILE": str(_secret(folder, "db_password", postgres.password)),
        "FILES_UPLOADS": str(folder / "uploads"),
        "STORE": "s3://backups",
        "AWS_ENDPOINT_URL": s3.endpoint,
        "AWS_DEFAULT_REGION": s3.region,
        "AWS_ACCESS_KEY_ID_FILE": str(_secret(folder, "aws_access_key_id", s3.access_key)),
        "AWS_SECRET_ACCESS_KEY_FILE": str(_secret(folder, "aws_secret_access_key", s3.secret_key)),
    }


def _credentials(s3: S3) -> str:
    return f"[default]\naws_access_key_id = {s3.access_key}\naws_secret_access_key = {s3.secret_key}\n"


def _secret(folder: Path, name: str, text: str) -> Path:
    (folder / "secrets").mkdir(exist_ok=True, mode=0o700)
    return _write(folder / "secrets" / name, text)


def _write(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path


@contextmanager
def folder() -> Iterator[Path]:
    """A place that is gone afterwards."""
    place = workspace("demo")
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
