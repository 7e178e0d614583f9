"""Runs an engine's methods in processes that die of SIGKILL just before their n-th change. For test_swap_killed.py.

A line of JSON on stdin each, {"url", "password", "verb", "arguments", "after", "exchange"}; on stdout the process's id,
and then its end: "done", "killed", or how it failed. What counts as a change: a command to MongoDB that writes, a call
to the system that does. `exchange`: whether the file system knows how to exchange two names.
"""

import json
import os
import signal
import sys
from typing import Any

import pymongo.monitoring

from killick.engines import Source, connect
from killick.engines.files import renaming

COMMANDS = {"create", "createIndexes", "delete", "drop", "dropDatabase", "insert", "renameCollection", "update"}
CALLS = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.chown", "os.utime"}


class Death:
    """The n-th change is not made any more."""

    def __init__(self, after: int) -> None:
        self.left = after

    def step(self) -> None:
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1


class Commands(pymongo.monitoring.CommandListener):
    def __init__(self, death: Death) -> None:
        self.death = death

    def started(self, event: pymongo.monitoring.CommandStartedEvent) -> None:
        if event.command_name in COMMANDS:
            self.death.step()

    def succeeded(self, event: pymongo.monitoring.CommandSucceededEvent) -> None:
        pass

    def failed(self, event: pymongo.monitoring.CommandFailedEvent) -> None:
        pass


def child(order: dict[str, Any]) -> None:
    death = Death(order["after"])
    if order["url"].startswith("mongodb"):
        pymongo.monitoring.register(Commands(death))
    else:

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            if event in CALLS or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
                death.step()

        sys.addaudithook(hook)
        _exchanges(death, order["exchange"])
    engine = connect(Source("db", order["url"], order.get("password", "")))
    getattr(engine, order["verb"])(*order.get("arguments", ()))


def _exchanges(death: Death, known: bool) -> None:
    """Python tells of no call through ctypes which it is."""
    real = renaming.exchange

    def exchange(one: str, other: str) -> bool:
        if known:
            death.step()
        return known and real(one, other)

    renaming.exchange = exchange


def main() -> None:
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                child(json.loads(line))
                os._exit(0)
            except BaseException as error:
                os.write(2, f"{type(error).__name__}: {error}\n".encode())
                os._exit(1)
        print(pid, flush=True)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print({0: "done", -signal.SIGKILL: "killed"}.get(status, f"failed with {status}"), flush=True)


if __name__ == "__main__":
    main()
