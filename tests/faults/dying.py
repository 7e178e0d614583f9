"""A verb of the engine in a process that kills itself before its nth step. For test_swaps.py.

Steps are what the server can be left with: a transaction's beginning and end, databases that come, go and change their
names, and what is done to one outside of a transaction. With fewer than n steps it ends well.
"""

import itertools
import json
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from killick.contents import Contents
from killick.engines import Source
from killick.engines.postgres import Postgres, alone, session
from killick.watch import unwatched

STEP = re.compile(r"BEGIN|CREATE DATABASE|DROP DATABASE|ALTER DATABASE .* RENAME")
ALONE = re.compile(r"BEGIN|(CREATE|DROP|ALTER|COMMENT ON) DATABASE|GRANT|REVOKE")


def main() -> None:
    """`folder` is that of a dump, for the verb `load`; its contents lie beside it."""
    url, verb, number, *folder = sys.argv[1:]
    engine = Postgres(Source("db", url, os.environ["PASSWORD"]))
    steps = itertools.count(1)

    def dying(real: Callable[..., None], step: re.Pattern[str]) -> Callable[..., None]:
        def run(self: Any, statement: str, *rest: Any) -> None:
            if step.match(statement) and next(steps) == int(number):
                os.kill(os.getpid(), signal.SIGKILL)
            real(self, statement, *rest)

        return run

    session.Session.execute = dying(session.Session.execute, ALONE)  # type: ignore[method-assign]
    alone._Sender.__call__ = dying(alone._Sender.__call__, STEP)  # type: ignore[method-assign]
    match verb:
        case "beside":
            engine.beside("origin", 0)
        case "load":
            contents = Contents.from_json(json.loads(Path(folder[0]).with_suffix(".json").read_text()))
            engine.beside("origin", 0).load(Path(folder[0]), 1, contents, unwatched)
        case "swap" | "clear":
            getattr(engine, verb)("origin")
        case _:
            getattr(engine, verb)()


if __name__ == "__main__":
    main()
