"""killick whose process dies of SIGKILL right after the first event of a journal that FILE does not name yet.

    python -m tests.end_to_end.moves.dies FILE move resume shop

The event is on the disk, and stands in FILE; nothing of what it announces has begun.
"""

import json
import os
import signal
import sys
from pathlib import Path

from deploy.move import journal as journals
from killick.cli import main


def dies(named: Path) -> None:
    append = journals._append

    def dying(path: Path, data: bytes) -> None:
        append(path, data)
        event = json.loads(data)
        name = " ".join(str(event[key]) for key in ("event", "step", "key") if key in event)
        with named.open("a+") as file:
            file.seek(0)
            if name not in file.read().splitlines():
                file.write(f"{name}\n")
                file.flush()
                os.kill(os.getpid(), signal.SIGKILL)

    journals._append = dying


if __name__ == "__main__":
    dies(Path(sys.argv.pop(1)))
    main()
