"""A container of the sidecar that waits for work on a server, with the project's own settings and the move's folder.

Docker takes a second or two to make a container, and behind the fence everything is waited for: one that is there
already does all of the move's work. Whatever was given up (by a signal, a time-out, a lost connection, a runner
that was killed) may still be at work in it, and ends before the next piece of work begins. It goes with the move's
folder.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from deploy.move.handover import PASSWORDS, Handover
from deploy.move.site import Site
from killick.errors import CommandFailed

_BEGIN = 120.0  # seconds
_GONE = 43, "no container waits"  # the words of _RUN for one that does not run
_RUN = f"""
if [ "$(docker container inspect --format '{{{{.State.Running}}}}' "$1" 2>/dev/null)" != true ]; then
    echo "{_GONE[1]}" >&2
    exit {_GONE[0]}
fi
shift
exec docker exec "$@"
"""
_ours: dict[str, object] = {}  # by name, each begun by this process; another object each time
_one = threading.Lock()  # at a time is begun


@dataclass(frozen=True)
class Hand:
    site: Site
    id: str

    def run(self, *argv: str, given: Mapping[str, str] | None = None, timeout: float = 60.0) -> str:
        """What it prints, with the environment `given` besides the project's own. Raises as Site.compose does."""
        values = [word for name, value in sorted((given or {}).items()) for word in ("--env", f"{name}={value}")]
        name = Handover(self.site, self.id).hand
        made = self._begin(name)
        try:
            return self._do(name, *values, name, *argv, timeout=timeout)
        except CommandFailed as error:
            if (error.status, error.stderr) != _GONE:
                raise
        self._begin(name, made)
        return self._do(name, *values, name, *argv, timeout=timeout)

    def _do(self, name: str, *words: str, timeout: float) -> str:
        try:
            return self.site.host.shell(_RUN, name, *words, timeout=timeout)
        except BaseException as error:
            if not isinstance(error, CommandFailed) or error.status < 0:  # given up: what it began may go on there
                _ours.pop(name, None)
            raise

    def _begin(self, name: str, gone: object = None) -> object:
        """The one that waits; a new one where none does, or `gone` still counts as that."""
        with _one:
            if _ours.get(name) in (None, gone):
                self._make(name)
                _ours[name] = object()
            return _ours[name]

    def _make(self, name: str) -> None:
        handover = Handover(self.site, self.id)
        given = f"{handover.make()}/hand.json"
        self.site.host.run(["docker", "rm", "--force", name], timeout=_BEGIN)
        # nobody asks after its health: that would only take a processor's time
        waits = {"entrypoint": ["tini", "--", "sleep"], "command": ["infinity"], "healthcheck": {"disable": True}}
        self.site.host.write(given, json.dumps({"services": {self.site.sidecar: waits}}).encode())
        self.site.compose(
            "-f", given, "run", "--detach", "--rm", "--no-deps", f"--name={name}",
            f"--volume={handover.store}:/handover", f"--volume={handover.passwords}:{PASSWORDS}:ro", self.site.sidecar,
            timeout=_BEGIN,
        )  # fmt: skip
