"""One suite for every codec: what goes in comes out; what is damaged is refused; nothing is left behind."""

import os
import subprocess
from pathlib import Path

import pytest

from killick.codecs import CODECS, Choice, decode, decode_command, decrypt, encode, encode_command, encrypt
from killick.errors import CommandFailed, Corrupt, KillickError, SettingsError
from killick.limits import Limits
from killick.process import Command, run
from killick.stream import Measure

STOCK = {"lrzip": "lrzip -q -d -o {out} {path}", "zstd": "zstd -q -d -o {out} {path}",
         "gzip": "gzip -dc {path} > {out}", "none": "cp {path} {out}"}  # fmt: skip


@pytest.fixture(
    params=[f"{c.name}:{n}" if n else c.name for c in CODECS.values() for n in {0, c.level and c.levels[0]}]
)
def choice(request: pytest.FixtureRequest) -> Choice:
    return Choice.of(request.param)


DATA = [os.urandom(1000) * 700, "ünïcode\n".encode() * 5000, b""]


def encoded(choice: Choice, folder: Path) -> tuple[Path, Measure]:
    path = folder / f"archive{choice.codec.suffix}"
    return path, encode(choice, iter(DATA), path).raw


def read(choice: Choice, path: Path, folder: Path) -> bytes:
    with decode(choice.codec, path, folder) as data:
        return b"".join(data)


def test_what_goes_in_comes_out(choice: Choice, tmp_path: Path) -> None:
    path, raw = encoded(choice, tmp_path)
    assert raw.size == sum(map(len, DATA))
    assert read(choice, path, tmp_path) == b"".join(DATA)
    assert list(tmp_path.iterdir()) == [path], "nothing is left in scratch"


def test_a_stock_tool_opens_it(choice: Choice, tmp_path: Path) -> None:
    path, _ = encoded(choice, tmp_path)
    out = tmp_path / "out"
    subprocess.run(STOCK[choice.codec.name].format(path=path, out=out), shell=True, check=True)
    assert out.read_bytes() == b"".join(DATA)


def test_lrzip_decodes_a_window_that_is_larger_than_its_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In 256 MB it has two ninths of 300 for its output: what does not fit lies in scratch meanwhile."""
    choice, path = Choice.of("lrzip"), tmp_path / "archive.lrz"
    megabyte = os.urandom(1 << 20)
    raw = encode(choice, (megabyte for _ in range(130)), path).raw
    monkeypatch.setattr("killick.codecs.limits", lambda: Limits(memory=256 << 20, cpus=1))
    seen = Measure()
    with decode(choice.codec, path, tmp_path) as data:
        for chunk in data:
            seen.update(chunk)
    assert (seen.size, seen.sha256) == (raw.size, raw.sha256)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_damage_is_refused_or_seen_in_the_hash(choice: Choice, damage: str, tmp_path: Path) -> None:
    path, raw = encoded(choice, tmp_path)
    data = bytearray(path.read_bytes())
    if damage == "cut":
        data = data[: len(data) // 2]
    else:
        data[len(data) // 2] ^= 1
    path.write_bytes(data)
    seen = Measure()
    try:
        with decode(choice.codec, path, tmp_path) as chunks:
            for chunk in chunks:
                seen.update(chunk)
    except CommandFailed as error:
        assert error.program == choice.codec.decode[0]  # `none` cannot notice, and raises nothing
    assert seen.sha256 != raw.sha256
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_of_the_data_leaves_nothing(choice: Choice, tmp_path: Path) -> None:
    def broken():  # type: ignore[no-untyped-def]
        yield b"some"
        raise KillickError("the dump ended")

    with pytest.raises(KillickError, match="the dump ended"):
        encode(choice, broken(), tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_age_goes_around_any(choice: Choice, tmp_path: Path) -> None:
    identity = run(Command(("age-keygen",))).text
    recipient = next(line for line in identity.splitlines() if "public key" in line).split()[-1]
    path, _ = encoded(choice, tmp_path)
    plain = path.read_bytes()
    sealed, opened = tmp_path / "x.age", tmp_path / "opened"
    encrypt(path, sealed, (recipient,))
    assert sealed.read_bytes().startswith(b"age-encryption.org/v1")
    decrypt(sealed, opened, identity)
    assert opened.read_bytes() == plain


def test_age_with_the_wrong_key_none_at_all_or_damage(tmp_path: Path) -> None:
    ours, theirs = (run(Command(("age-keygen",))).text for _ in range(2))
    recipient = next(line for line in ours.splitlines() if "public key" in line).split()[-1]
    (tmp_path / "plain").write_bytes(os.urandom(100_000))
    sealed, out = tmp_path / "x.age", tmp_path / "out"
    encrypt(tmp_path / "plain", sealed, (recipient,))
    with pytest.raises(SettingsError, match="another key"):
        decrypt(sealed, out, theirs)
    with pytest.raises(SettingsError, match="no key"):
        decrypt(sealed, out, "")
    with pytest.raises(SettingsError, match="not an age identity"):
        decrypt(sealed, out, "nonsense")
    sealed.write_bytes(sealed.read_bytes()[:-1000])
    with pytest.raises(Corrupt):
        decrypt(sealed, out, ours)
    assert not out.exists()


@pytest.mark.parametrize("text", ["lrzop", "lrzip:0", "lrzip:10", "zstd:x", "none:1", ""])
def test_a_codec_that_there_is_not(text: str) -> None:
    with pytest.raises(ValueError, match=r"codec|level"):
        Choice.of(text)


def test_lrzip_takes_files_and_stays_within_the_memory_it_may_use() -> None:
    small = Limits(memory=256 << 20, cpus=1)
    argv = encode_command(Choice.of("lrzip"), Path("a.tar"), Path("a.tar.lrz"), small).argv
    assert argv == ("lrzip", "-q", "-f", "-b", "-L3", "-w1", "-m3", "-p1", "-o", "a.tar.lrz", "a.tar")
    argv = decode_command(CODECS["lrzip"], Path("a.lrz"), Path("s"), small).argv
    assert argv == ("lrzip", "-q", "-d", "-m3", "-p1", "-o", "-", "a.lrz")
