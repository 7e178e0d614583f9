"""python -m tests.lab.two up | down [--volumes] | ssh MACHINE [WORD…]   (script/lab does the same)"""

import os
import sys

from tests.lab import Missing
from tests.lab.two import ADDRESS, Lab


def main(words: list[str]) -> int:
    lab = Lab()
    match words:
        case ["up"]:
            lab.up()
            lab.fresh()
            print("\n".join(f"{name} {address}" for name, address in ADDRESS.items()))
        case ["down", *rest] if rest in ([], ["--volumes"]):
            lab.down(volumes=bool(rest))
        case ["ssh", machine, *command] if machine in ADDRESS:
            os.execvpe("ssh", ["ssh", machine, *command], {**os.environ, **lab.environment()})
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Missing as missing:
        sys.exit(f"missing: {missing}")
