"""How an archive is compressed and encrypted: for each codec two command lines and a suffix.

A codec that streams reads stdin and writes stdout. lrzip encodes files only: fed through a pipe it spools, holds more
memory, and has written wrong bytes (its issue 102). It decodes to stdout, in half the time that it takes into a file
(docs/performance.md): there it copies what repeats from memory, and into a file it reads it back by a call each. Its
memory and threads come from the control group, since in a container it would take the host's.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from killick.errors import CommandFailed, Corrupt, NoSpace, SettingsError
from killick.limits import Limits, limits
from killick.process import Command, read_from, run, write_to
from killick.stream import Measure, measured
from killick.watch import Watch, unwatched

_HUNDRED_MB = 100 << 20  # lrzip's own unit for memory


@dataclass(frozen=True)
class Codec:
    """`{level}`, `{threads}`, `{memory}`, `{source}` and `{target}` are filled in; decoded bytes go to stdout.

    `streams`: it encodes what comes by stdin. `window`: bytes that it decodes at a time, and may lay down in scratch.
    """

    name: str
    suffix: str
    encode: tuple[str, ...]
    decode: tuple[str, ...]
    level: int = 0
    levels: range = range(0)
    streams: bool = True
    window: int = 0


CODECS = {
    codec.name: codec
    for codec in (
        # -b -L3 -w1: several times as fast as lrzip as it comes, and as small. A window of 100 MB takes a third of the
        # memory of a larger one, at sizes a few percent above or below (docs/performance.md)
        Codec(
            "lrzip",
            ".lrz",
            ("lrzip", "-q", "-f", "-b", "-L{level}", "-w1", "-m{memory}", "-p{threads}",
             "-o", "{target}", "{source}"),
            # of -m it takes two ninths for its output, and a window has to fit; in less it lays one down in scratch
            ("lrzip", "-q", "-d", "-m{all_memory}", "-p{threads}", "-o", "-", "{source}"),
            level=3, levels=range(1, 10), streams=False, window=_HUNDRED_MB,
        ),
        Codec("zstd", ".zst", ("zstd", "-q", "-{level}", "-T{threads}", "-c"), ("zstd", "-q", "-d", "-c"),
              level=3, levels=range(1, 20)),
        Codec("gzip", ".gz", ("gzip", "-{level}", "-c"), ("gzip", "-d", "-c"), level=6, levels=range(1, 10)),
        Codec("none", "", ("cat",), ("cat",)),
    )
}  # fmt: skip

AGE = ".age"


@dataclass(frozen=True)
class Choice:
    """A codec at a level, as CODEC names it: `lrzip`, `zstd:9`."""

    codec: Codec
    level: int

    @classmethod
    def of(cls, text: str) -> Choice:
        """Raises ValueError for a codec or a level that there is not."""
        name, colon, level = text.strip().lower().partition(":")
        codec = CODECS.get(name)
        if codec is None:
            raise ValueError(f"{name!r} is not a codec: choose {', '.join(CODECS)}")
        if not colon:
            return cls(codec, codec.level)
        if not codec.levels:
            raise ValueError(f"{name} has no levels: write {name}")
        if not (level.isascii() and level.isdigit()) or int(level) not in codec.levels:
            most = codec.levels[-1]
            raise ValueError(f"{name} has no level {level!r}: choose {codec.levels[0]} to {most}, as in {name}:{most}")
        return cls(codec, int(level))

    def __str__(self) -> str:
        return self.codec.name if self.level == self.codec.level else f"{self.codec.name}:{self.level}"


def encode_command(choice: Choice, source: Path, target: Path, may_use: Limits | None = None) -> Command:
    return _command(choice.codec.encode, choice.level, source, target, may_use)


def decode_command(codec: Codec, source: Path, scratch: Path, may_use: Limits | None = None) -> Command:
    """It is given `source` as stdin, too."""
    return _command(codec.decode, codec.level, source, scratch / source.name, may_use)


def _command(argv: tuple[str, ...], level: int, source: Path, target: Path, may_use: Limits | None) -> Command:
    use = may_use or limits()
    words = {
        "level": level, "threads": use.cpus, "source": source, "target": target,
        "memory": max(3, use.memory * 3 // 4 // _HUNDRED_MB), "all_memory": max(3, use.memory // _HUNDRED_MB),
    }  # fmt: skip
    return Command(tuple(word.format(**words) for word in argv), cwd=target.parent)


@dataclass(frozen=True)
class Encoded:
    """`raw` is what went in, `seconds` what the codec took on its own where that can be told (files), else in all."""

    raw: Measure
    seconds: float


def encode(choice: Choice, data: Iterable[bytes], target: Path, watch: Watch = unwatched) -> Encoded:
    """Writes `data`, encoded, to `target`.

    Raises CommandFailed, NoSpace, or what `data` raises; then no file is left.
    """
    raw = Measure()
    start = time.monotonic()
    source = target.with_name(target.name + ".raw")
    try:
        if choice.codec.streams:
            with (
                target.open("xb") as out,
                write_to(encode_command(choice, source, target), stdout=out) as sink,
            ):
                for chunk in measured(data, raw):
                    sink.write(chunk)
                    watch(raw.size)
        else:
            with source.open("xb") as file:
                for chunk in measured(data, raw):
                    file.write(chunk)
            start = time.monotonic()
            run(encode_command(choice, source, target))
        return Encoded(raw, round(time.monotonic() - start, 3))
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    finally:
        source.unlink(missing_ok=True)


@contextmanager
def decode(codec: Codec, source: Path, scratch: Path) -> Iterator[Iterator[bytes]]:
    """The decoded bytes of `source`. Raises CommandFailed from the iteration when the codec finds fault with it."""
    with source.open("rb") as file, read_from(decode_command(codec, source, scratch), stdin=file) as data:
        yield data


def encrypt(source: Path, target: Path, recipients: tuple[str, ...]) -> None:
    """To public keys, by age. Raises CommandFailed; then no file is left."""
    words = [word for recipient in recipients for word in ("-r", recipient)]
    try:
        run(Command(("age", "-e", *words, "-o", str(target), str(source))))
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def decrypt(source: Path, target: Path, identity: str) -> None:
    """`identity` is the text of an age identity; it goes through stdin.

    Raises SettingsError when there is none or it is another's, Corrupt when the file is damaged, CommandFailed when
    this machine is at fault.
    """
    if not identity:
        raise SettingsError(f"{source.name} is encrypted, and there is no key to open it", "set AGE_IDENTITY_FILE")
    try:
        run(Command(("age", "-d", "-i", "-", "-o", str(target), str(source))), input=identity.encode())
    except CommandFailed as error:
        target.unlink(missing_ok=True)
        if of_this_machine(error):
            raise
        if "no identity matched" in error.stderr:
            raise SettingsError(
                f"{source.name} was encrypted to another key than AGE_IDENTITY",
                "give the identity that belongs to one of the recipients in the manifest",
            ) from None
        if "malformed secret key" in error.stderr or "reading" in error.stderr:
            raise SettingsError("AGE_IDENTITY is not an age identity", "it begins with AGE-SECRET-KEY-1") from None
        raise Corrupt(f"{source.name} cannot be decrypted: {error.stderr}", "restore the backup before it") from None


def of_this_machine(error: CommandFailed) -> bool:
    """Whether the disk is full, the program is not there or was killed: no fault of what it read."""
    return isinstance(error, NoSpace) or error.status == 127 or error.status < 0


def missing_programs(choice: Choice, *, encrypted: bool) -> list[str]:
    """The programs that this choice needs and that are not installed."""
    needed = [choice.codec.encode[0], "tar", *(["age"] if encrypted else [])]
    return [program for program in needed if shutil.which(program) is None]


def by_name(name: str, where: str) -> Codec:
    """The codec that a manifest names (its level does not matter for decoding). Raises Corrupt."""
    with suppress(KeyError):
        return CODECS[name.partition(":")[0]]
    raise Corrupt(f"{where} names a codec {name!r} that there is not", "use a newer image of killick")
