"""How data travels: dumped on old through the fence, copied, restored on new, and compared with what was dumped.

The rehearsal and the move itself run the very same lines. killick's own sidecar does the work, on each side with its
own settings; only its store is another for that moment: the move's folder.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from deploy.move.hand import Hand
from deploy.move.handover import PASSWORDS, Handover
from deploy.move.hosts import between
from deploy.move.site import LONG, Site
from deploy.move.sources import Held, databases
from deploy.move.step import Move
from killick import compare
from killick.contents import Contents
from killick.errors import CommandFailed, Corrupt, KillickError
from killick.process import write_to

# less is written, carried and read than of a plain dump: the window is shorter (docs/move.md)
_OURS = {
    "STORE": "file:///handover", "SCRATCH_DIR": "/handover/.scratch", "CACHE_DIR": "/handover/.scratch/cache",
    "CODEC": "zstd:1", "READ_BACK": "off", "EVIDENCE": "dump",
}  # fmt: skip
_UNSET = ("AGE_RECIPIENTS", "NOTIFY_URLS", "SENTRY_DSN", "PING_URL", "MASK", "EVIDENCE_KEY")
_SETTINGS = {f"{name}_FILE": "" for name in (*_OURS, *_UNSET)} | dict.fromkeys(_UNSET, "") | _OURS
_ROOM = 2  # times the data that the new server has to have free
# the hosts' own tar reads it on one side, and the sidecar, whoever that is, on the other: the folder above is 0700
_OURS_TO_READ = 'killick "$@"; chmod -R a+rwX /handover/*'


@dataclass(frozen=True)
class Fenced:
    """How the sidecar on old gets through the fence."""

    user: str
    password_file: str
    """In the sidecar."""


@dataclass(frozen=True)
class Figures:
    """What a source holds, to be told in a report: `checksum` is over all rows, sequences and definitions."""

    rows: int
    tables: int
    checksum: str

    @classmethod
    def of(cls, contents: Contents) -> Figures:
        counted = {name: (each.rows, each.checksum) for name, each in sorted(contents.tables.items())}
        digest = hashlib.sha256(json.dumps(counted).encode()).hexdigest()
        return cls(contents.rows, len(contents.tables), digest)

    def to_json(self) -> dict[str, Any]:
        return {"rows": self.rows, "tables": self.tables, "checksum": self.checksum}


@dataclass(frozen=True)
class Restored:
    """What was dumped, and what is there; `compared` is the part of its seconds that reading it back took."""

    before: Figures
    after: Figures
    compared: float


def fenced(move: Move, held: Held) -> Fenced:
    from deploy.move import fences

    return Fenced(fences.one(move.old, held, move.id).user, f"{PASSWORDS}/{held.service}")


def dump(move: Move, held: Held, through: Fenced | None = None) -> str:
    """The id of a backup of `held` in the move's folder on old. Raises KillickError."""
    words = ("backup", held.source, "--adopt", "--json")
    told = json.loads(_killick(move, move.old, held, *words, through=through, script=_OURS_TO_READ))
    return str(told[0]["id"])


def archive(move: Move, held: Held, through: Fenced) -> str:
    """The id of an ordinary backup through the fence, in the project's real store."""
    told = _as_ever(move, move.old, held, "backup", held.source, "--adopt", "--json", through=through)
    return str(json.loads(told)[0]["id"])


def copy(move: Move) -> None:
    """The move's folder on old to that on new, right through us. Raises KillickError, Unreachable."""
    old, new = (Handover(site, move.id) for site in (move.old, move.new))
    new.make()
    send = ["tar", "--create", "--file=-", f"--directory={old.store}", "--exclude=./.scratch", "."]
    take = ["tar", "--extract", "--file=-", f"--directory={new.store}", "--no-same-owner", "--preserve-permissions"]
    with between(move.old.host, move.new.host), write_to(move.old.host.command(send), move.new.host.command(take)):
        pass


def restore(move: Move, held: Held, id: str) -> Restored:
    """Into the project's own on new, which is empty: killick refuses it otherwise. Every row is read back.

    Raises Corrupt where what is there is not what was dumped.
    """
    told = json.loads(_killick(move, move.new, held, "restore", id, "--adopt", "--look", "--json"))
    before, after = same(told["look"], f"{held.source} on {move.new.host.name}")
    return Restored(before, after, float(told["seconds"]["look"]))


def look(move: Move, site: Site, held: Held, like: str = "", through: Fenced | None = None) -> dict[str, Any]:
    """See restore/look.py: facts, contents, and those of the backup `like`, which lies in the move's folder."""
    words = ("--like", like) if like else ()
    found: dict[str, Any] = json.loads(_killick(move, site, held, "look", held.source, *words, through=through))
    return found


def facts(move: Move, site: Site, held: Held) -> dict[str, Any] | None:
    """None where the database is not there."""
    found: dict[str, Any] | None = json.loads(_killick(move, site, held, "look", held.source, "--facts"))["facts"]
    return found


def same(found: Mapping[str, Any], where: str) -> tuple[Figures, Figures]:
    """What was dumped, and what is there. Raises Corrupt with the first differences."""
    if found["contents"] is None or found["like"] is None:
        raise Corrupt(f"{where} holds nothing", "look at the server's log; then killick move rollback")
    expected, got = Contents.from_json(found["like"]), Contents.from_json(found["contents"])
    wrong = compare.compare(expected, got)
    if wrong:
        more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise Corrupt(
            f"{where} is not what was dumped: {'; '.join(str(each) for each in wrong[:3])}{more}",
            "nothing was switched: killick move rollback",
        )
    return Figures.of(expected), Figures.of(got)


def still(move: Move, held: Held, id: str, through: Fenced) -> bool:
    """Whether old holds just what was dumped: every row is read."""
    try:
        same(look(move, move.old, held, id, through), f"{held.source} on {move.old.host.name}")
    except Corrupt:
        return False
    return True


def archived(move: Move, held: Held, id: str, dumped: str) -> None:
    """Raises Corrupt unless the backup in the real store holds what the final dump holds."""
    contents = []
    for killick, which in ((_killick, dumped), (_as_ever, id)):
        document = json.loads(killick(move, move.old, held, "show", which, "--json"))
        if "contents" not in document:  # encrypted: its own checksums are all that can be had here
            return
        contents.append(document["contents"])
    same({"like": contents[0], "contents": contents[1]}, f"the backup {id} in the store")


def in_the_way(move: Move) -> Iterator[str]:
    """Identity, room, and whether the target is empty, as far as what runs can be asked."""
    try:
        yield from _in_the_way(move)
    except (KillickError, TimeoutError) as error:
        yield str(error)


def _in_the_way(move: Move) -> Iterator[str]:
    total = 0
    running = move.new.running()
    for held in databases(move):
        was = _peek(move, move.old, held)
        if was is None:
            yield f"{held.source}: there is no database {held.database} on {move.old.host.name} (correct DATABASE_URL)"
            continue
        total += int(was["bytes"])
        if held.service not in running:
            continue
        now = _peek(move, move.new, held)
        if now is None:
            continue
        if was["identity"] and was["identity"] == now["identity"]:
            yield (
                f"{held.source}: both servers show the very same cluster ({was['identity']}): they share a volume, or "
                "one is a copy of the other's files (start with an empty volume on new)"
            )
        if not now["empty"]:
            yield (
                f"{held.source}: {held.database} on {move.new.host.name} is not empty "
                f"(move what is there away: nothing of it would stay; docker compose down -v, if it is nobody's)"
            )
        if was["server_version"].partition(".")[0] != now["server_version"].partition(".")[0]:
            yield f"{held.source}: {was['server_version']} and {now['server_version']} (move first, upgrade later)"
    free = _free(move.new)
    if free < _ROOM * total:
        yield (
            f"{move.new.host.name} has {free >> 20} MiB free, and {_ROOM} times the data is {_ROOM * total >> 20} MiB "
            "(make room)"
        )


def _free(site: Site) -> int:
    root = site.host.run(["docker", "info", "--format={{.DockerRootDir}}"]).strip()
    script = 'free() { df -k --output=avail -- "$1"; }; free "$HOME"; if [ -d "$1" ]; then free "$1"; fi'
    told = site.host.shell(script, root).split()
    return min(int(word) for word in told if word.isdigit()) << 10


def _peek(move: Move, site: Site, held: Held) -> dict[str, Any] | None:
    """As `facts`, with the project's own settings: no folder is made, and no container where the sidecar runs."""
    verb = ("look", held.source, "--facts")
    if site.sidecar in site.running():
        told = site.compose("exec", "-T", site.sidecar, "killick", *verb, timeout=600)
    else:
        told = _as_ever(move, site, held, *verb)
    found: dict[str, Any] | None = json.loads(told)["facts"]
    return found


def timed(began: float) -> float:
    return round(time.monotonic() - began, 3)


def _killick(
    move: Move, site: Site, held: Held, *verb: str, through: Fenced | None = None, script: str = 'exec killick "$@"'
) -> str:  # fmt: skip
    """By the move's own settings, in the container that waits for it."""
    given = {**_SETTINGS, **(_through(held, through) if through else {})}
    hand = Hand(site, move.id)
    with _told(site, held, verb[0]):
        return hand.run("sh", "-euc", script, "killick", *verb, given=given, timeout=LONG)


def _as_ever(move: Move, site: Site, held: Held, *verb: str, through: Fenced | None = None) -> str:
    """By the project's own settings."""
    mount = ("-v", f"{Handover(site, move.id).passwords}:{PASSWORDS}:ro") if through else ()
    given = _through(held, through) if through else {}
    values = (word for name, value in sorted(given.items()) for word in ("-e", f"{name}={value}"))
    with _told(site, held, verb[0]):
        return site.compose("run", "--rm", "--no-deps", "-T", *mount, *values, site.sidecar, *verb, timeout=LONG)


def _through(held: Held, through: Fenced) -> Mapping[str, str]:
    return {
        held.variable: held.as_user(through.user), f"{held.variable}_FILE": "",
        held.password: "", f"{held.password}_FILE": through.password_file,
    }  # fmt: skip


@contextmanager
def _told(site: Site, held: Held, verb: str) -> Iterator[None]:
    try:
        yield
    except CommandFailed as error:
        raise KillickError(
            f"killick {verb} of {held.source} on {site.host.name} ended with {error.status}: {error.stderr}",
            "its words say what to do; nothing was switched",
        ) from None
