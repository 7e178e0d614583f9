"""A verb of the engine in a process that kills itself before its nth step. For test_swaps.py.

Steps are what the server can be left with: a transaction's beginning and end, databases that come, go and change their
names. With fewer than n steps it ends well.
"""

import itertools
import os
import re
import signal
import sys
from collections.abc import Callable
from typing import Any

from killick.engines import Source
from killick.engines.postgres import Postgres, alone, session

STEP = re.compile(r"BEGIN|COMMIT|CREATE DATABASE|DROP DATABASE|ALTER DATABASE .* RENAME")


def main() -> None:
    url, verb, number = sys.argv[1:]
    engine = Postgres(Source("db", url, os.environ["PASSWORD"]))
    steps = itertools.count(1)

    def dying(real: Callable[..., None]) -> Callable[..., None]:
        def run(self: Any, statement: str, *rest: Any) -> None:
            if STEP.match(statement) and next(steps) == int(number):
                os.kill(os.getpid(), signal.SIGKILL)
            real(self, statement, *rest)

        return run

    session.Session.execute = dying(session.Session.execute)  # type: ignore[method-assign]
    alone._Sender.__call__ = dying(alone._Sender.__call__)  # type: ignore[method-assign]
    match verb:
        case "beside":
            engine.beside("origin", 0)
        case "swap" | "clear":
            getattr(engine, verb)("origin")
        case _:
            getattr(engine, verb)()


if __name__ == "__main__":
    main()
