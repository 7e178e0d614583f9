"""What every damage needs: the programs of each major, and a place for the throwaways."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import postgres
from verify.options import Options


@pytest.fixture(scope="session", autouse=True)
def _programs(programs_path: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROGRAMS", f"{programs_path}:{postgres.programs(17)}")
        yield


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options(tmp_path / "scratch", level=4, where="process")
