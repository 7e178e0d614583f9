"""Several programs that rewrite files, each with tables of its own."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from killick import process
from killick.engines.postgres import tally
from killick.engines.postgres.masking import rewrite
from killick.engines.postgres.masking.plan import Planned
from killick.errors import CommandFailed, NoSpace, RestoreError
from killick.process import Command, Process
from killick.watch import Watch


def run(planned: Planned, key: str, jobs: int, watch: Watch) -> None:
    """Raises RestoreError, NoSpace. The key is in the children's environment."""
    progress = _Progress(planned, watch)
    env = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "MASK_KEY": key}
    command = Command((sys.executable, "-m", rewrite.__name__), env=env, secrets=(key,))
    with ExitStack() as stack:
        running = []
        for share in tally.share(progress.sizes, jobs):
            works = [work.to_json() for work in planned.works if work.path in share]
            asked = stack.enter_context(tempfile.TemporaryFile())
            asked.write(json.dumps({"codec": planned.codec, "suffixed": planned.suffixed, "works": works}).encode())
            asked.seek(0)
            running.append(stack.enter_context(process.start(command, stdin=asked)))
        for child in running:
            _until(child, progress)
        try:
            process.check(running)
        except NoSpace:
            raise
        except CommandFailed as error:
            raise RestoreError(
                f"the rows cannot be masked: {error.stderr or error.message}",
                "choose another kind for that column in MASK: null and constant look at no value",
                "masking",
            ) from None


def _until(child: Process, progress: _Progress) -> None:
    while True:
        try:
            child.wait(0.5)
        except TimeoutError:
            progress()
        except CommandFailed:
            return  # all of them are told of together
        else:
            return


class _Progress:
    """Bytes that were rewritten: a file that is done is another one."""

    def __init__(self, planned: Planned, watch: Watch) -> None:
        found = {work.path: Path(work.path).stat() for work in planned.works}
        self.sizes = {path: stat.st_size for path, stat in found.items()}
        self._inodes = {path: stat.st_ino for path, stat in found.items()}
        self._watch = watch

    def __call__(self) -> None:
        done = sum(
            size if Path(path).stat().st_ino != self._inodes[path] else min(size, _size(f"{path}{rewrite.PART}"))
            for path, size in self.sizes.items()
        )
        self._watch(done, sum(self.sizes.values()), "bytes")


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except FileNotFoundError:
        return 0
