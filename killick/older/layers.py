"""Compression taken off, layer by layer: app.sql.sql.zst, a gzip inside a tar inside lrzip.

Each layer is told by its first bytes, and written out to a file: lrzip reads no pipe. Only scratch is written.
"""

from __future__ import annotations

import bz2
import errno
import lzma
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from killick.codecs import CODECS, decode, of_this_machine
from killick.errors import CommandFailed, Corrupt, NoSpace
from killick.process import Command, read_from
from killick.stream import CHUNK, chunks
from killick.watch import Watch, unwatched

_DEEPEST = 6
_LRZIP = b"LRZI"
_LRZIP_FORMATS, _LRZIP_ENCRYPTED = (b"\0\5", b"\0\6"), 22
"""The formats whose header says in that byte that the rest is encrypted."""
_MAGIC = {
    _LRZIP: "lrzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x1f\x8b": "gzip",
    b"\x1f\x9d": "compress",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"]\0\0": "lzma",
}
_HINT = "take another backup: killick list"


def peel(path: Path, folder: Path, watch: Watch = unwatched) -> tuple[Path, tuple[str, ...]]:
    """What is inside, in `folder`, and the layers from the outermost in. `path` is deleted unless it has no layer.

    Raises Corrupt for a layer that does not decode to its end or that lrzip encrypted, NoSpace, CommandFailed when
    this machine is at fault.
    """
    layers: list[str] = []
    while layer := _layer(path):
        if len(layers) == _DEEPEST:
            raise Corrupt(f"it is packed more than {_DEEPEST} times over", _HINT)
        inner = folder / f"{path.name}.{len(layers)}"
        try:
            with _undecodable(layer):
                _DECODERS[layer](path, inner, watch)
        except BaseException:
            inner.unlink(missing_ok=True)
            raise
        path.unlink()
        path = inner
        layers.append(layer)
    return path, tuple(layers)


def head(path: Path, size: int = 1 << 16) -> bytes:
    with path.open("rb") as file:
        return file.read(size)


def _layer(path: Path) -> str:
    first = head(path, 16)
    return next((name for magic, name in _MAGIC.items() if first.startswith(magic)), "")


@contextmanager
def _undecodable(layer: str) -> Iterator[None]:
    try:
        yield
    except CommandFailed as error:
        if of_this_machine(error):
            raise
        raise Corrupt(f"it does not decode: {error.message}", _HINT) from None
    except (EOFError, lzma.LZMAError) as error:
        raise Corrupt(f"it does not decode: {layer}: {error}", _HINT) from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpace("scratch is full", "give SCRATCH_DIR a larger volume") from None
        if error.errno is None:  # bz2's word for bytes that are none of its own
            raise Corrupt(f"it does not decode: {layer}: {error}", _HINT) from None
        raise


def _lrzip(path: Path, inner: Path, watch: Watch) -> None:
    """Asked beforehand whether it is encrypted: lrzip would want a passphrase, and say no more than that."""
    first = head(path, _LRZIP_ENCRYPTED + 1)
    if first[4:6] in _LRZIP_FORMATS and first[_LRZIP_ENCRYPTED:] == b"\1":
        raise Corrupt("it is encrypted by lrzip", "decrypt it by hand, with its passphrase: lrzip -d; then restore it")
    with decode(CODECS["lrzip"], path, inner.parent) as data:
        _write(data, inner, watch)


def _program(*argv: str) -> Callable[[Path, Path, Watch], None]:
    def decode(path: Path, inner: Path, watch: Watch) -> None:
        with path.open("rb") as file, read_from(Command(argv), stdin=file) as data:
            _write(data, inner, watch)

    return decode


def _library(open_: Callable[[Path], IO[bytes]]) -> Callable[[Path, Path, Watch], None]:
    """The image has neither bzip2 nor xz; Python's own reads what they write."""

    def decode(path: Path, inner: Path, watch: Watch) -> None:
        with open_(path) as file:
            _write(chunks(file), inner, watch)

    return decode


def _xz(path: Path, inner: Path, watch: Watch) -> None:
    with path.open("rb") as file:
        _write(_streams(file), inner, watch)


def _streams(file: IO[bytes]) -> Iterator[bytes]:
    """One xz stream after another, zeros between and behind them as the format allows; Python's own reader takes
    anything behind the first one for its end. Raises EOFError, lzma.LZMAError."""
    decoder = lzma.LZMADecompressor()
    for data in chunks(file):
        while data:
            if decoder.eof:
                data = data.lstrip(b"\0")
                decoder = lzma.LZMADecompressor() if data else decoder
                continue
            yield decoder.decompress(data, CHUNK)
            while not decoder.eof and not decoder.needs_input:
                yield decoder.decompress(b"", CHUNK)
            data = decoder.unused_data
    if not decoder.eof:
        raise EOFError("it ends before its end is told")


def _write(data: Iterable[bytes], inner: Path, watch: Watch) -> None:
    size = 0
    with inner.open("xb", buffering=CHUNK) as file:
        for chunk in data:
            file.write(chunk)
            size += len(chunk)
            watch(size)


_GZIP = _program("gzip", "-d", "-c")
_DECODERS = {
    "lrzip": _lrzip,
    "zstd": _program("zstd", "-q", "-d", "-c", "--long=31"),  # whatever window it was written with
    "gzip": _GZIP,
    "compress": _GZIP,
    "bzip2": _library(bz2.open),
    "xz": _xz,
    "lzma": _xz,
}
