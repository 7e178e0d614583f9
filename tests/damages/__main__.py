"""Writes the rows of docs/damages.md: `python -m tests.damages [what pytest takes]`.

Without arguments the rows are those of this run; with some, rows of tests that did not run stay.
"""

import sys
from pathlib import Path

import pytest

from tests.damages.table import THE, Row


def main(arguments: list[str]) -> int:
    seen: dict[tuple[str, str], Row] = {}
    THE.collected = seen
    status = pytest.main(["-m", "not slow", *(arguments or [str(Path(__file__).parent)])])
    stay = {row[:2]: row for row in THE.rows()} if arguments else {}
    THE.write({**stay, **seen}.values())
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
