"""Why a container failed: its server says little when the kernel killed a process of it, or a disk was full."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from killick.errors import Unverifiable
from killick.figures import size
from killick.throwaway import _docker
from killick.throwaway._relay import output

_EVENTS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")  # control groups v2, v1
_ENDS = 5.0  # seconds that a container may take to end once nothing can be asked of it


@contextmanager
def explained(api: Any, name: str, memory: int, room: int) -> Iterator[None]:
    """An error inside the block that came of too little memory or disk comes out as Unverifiable.

    `memory` and `room`, its files' part of it, are what the container has, in bytes.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, Unverifiable) and error.reason != "environment":
            raise
        lack = _lack(api, name, memory, room)
        if lack is None:
            raise
        raise lack from None


def said(api: Any, name: str) -> str:
    """The end of what it wrote. Once data is in, this is never to be shown."""
    return str(api.logs(name, tail=100).decode(errors="replace"))


def _lack(api: Any, name: str, memory: int, room: int) -> Unverifiable | None:
    """None also where nobody can tell any more."""
    with suppress(Unverifiable, OSError), _docker.told():
        if _killed_for_memory(api, name):
            return Unverifiable(
                f"the throwaway ran out of memory: it has {size(memory)}", "raise VERIFY_MEMORY", reason="memory"
            )
        if "No space left on device" in said(api, name):
            return Unverifiable(
                f"the throwaway ran out of disk: of its {size(memory)} its files may take {size(room)}",
                "raise VERIFY_MEMORY, or set VERIFY_IN=process, where the disk is SCRATCH_DIR's", reason="disk",
            )  # fmt: skip
    return None


def _killed_for_memory(api: Any, name: str) -> bool:
    """Any process of it: Docker tells only once the first one has ended, which may be just now."""
    until = time.monotonic() + _ENDS
    while (state := api.inspect_container(name)["State"])["Running"] and time.monotonic() < until:
        with suppress(Unverifiable, OSError):
            counts = re.findall(rb"^oom_kill (\d+)", output(api, name, "cat", *_EVENTS), re.MULTILINE)
            if counts:  # in a container that is about to end, no program may start any more
                return any(int(count) for count in counts)
        time.sleep(0.1)
    return bool(state["OOMKilled"])
