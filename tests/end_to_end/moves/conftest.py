from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.moves.runner import SPEC, Runner
from tests.lab.two import Lab


@pytest.fixture(scope="package")
def lab() -> Iterator[Lab]:
    with Lab() as made:
        yield made


@pytest.fixture
def runner(lab: Lab, tmp_path: Path) -> Runner:
    """A stage's spec: it may move without a rehearsal."""
    lab.fresh()
    (tmp_path / "shop.toml").write_text(SPEC.read_text().replace('environment = "prod"', 'environment = "stage"'))
    return Runner(lab, tmp_path)
