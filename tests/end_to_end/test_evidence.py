"""Signed evidence: every record that killick writes, and what `show` says of those that somebody else touched."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from killick.signing import private_key, public_half
from tests.blocks import blocks
from tests.kit import Project, basics


def pem(key: Any) -> str:
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return str(key.private_bytes(*form).decode())


def new_key() -> str:
    return pem(Ed25519PrivateKey.generate())


def half(private: str) -> str:
    return public_half(private_key(private))


MINE, OTHER = new_key(), new_key()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a project with two backups of a folder, each with a signed record of its making."""
    folder = tmp_path_factory.mktemp("signed")
    (folder / "uploads").mkdir()
    (folder / "uploads" / "a.txt").write_text("one\n")
    project = of(folder)
    project.run("backup")
    project.run("backup")
    return folder


@pytest.fixture
def shop(made: Path, tmp_path: Path) -> Project:
    shutil.copytree(made, tmp_path / "here", symlinks=True)
    return of(tmp_path / "here")


def of(folder: Path) -> Project:
    variables = {**basics(folder, ""), "FILES_DOCS": str(folder / "uploads"), "EVIDENCE_KEY": MINE}
    return Project({name: value for name, value in variables.items() if value})


def ids(shop: Project) -> list[str]:
    return [backup.id for backup in shop.catalog().backups]


def at(shop: Project, kind: str = "verify", id: str = "") -> Path:
    """The newest record of that kind, of the newest backup unless another is named."""
    folder = Path(shop.environment["STORE"].removeprefix("file://")) / "shop"
    return max((folder / f"{id or ids(shop)[0]}.evidence").glob(f"*-{kind}-*"))


def cut_short(shop: Project) -> None:
    """The newest archive loses its last byte."""
    archive = next(Path(shop.environment["STORE"].removeprefix("file://")).rglob(f"{ids(shop)[0]}.tar*"))
    archive.write_bytes(archive.read_bytes()[:-1])


def states(shop: Project, **more: str | None) -> list[str | None]:
    """What `show` says of each signature of the newest backup's evidence: that of the backup first."""
    records = shop.run("show", "--json", expect=None, **more).json["evidence"]
    return [record["signed"] for record in sorted(records, key=lambda record: str(record["kind"]))]


def test_every_record_that_is_written_is_signed(shop: Project, tmp_path: Path) -> None:
    newest, older = ids(shop)
    shop.run("verify", newest)
    shop.run("restore", newest, FILES_DOCS=str(tmp_path / "copy"))
    shop.run("prune", KEEP_LAST="1", KEEP_DAILY="1", KEEP_WEEKLY="0", KEEP_MONTHLY="0")
    shown = shop.run("show", newest, "--json").json
    assert {(r["kind"], r["signed"]) for r in shown["evidence"]} == {
        (kind, "good") for kind in ("backup", "verify", "refresh")
    }
    assert {r["sha256"] for r in shown["evidence"]} == {shown["archive"]["sha256"]}
    pruned = json.loads(at(shop, "prune", older).read_text())
    assert pruned["signature"]["key"] == half(MINE)
    assert ids(shop) == [newest]
    text = shop.run("show", newest).out
    assert text.count("signature good") == 3


def test_a_failed_verification_is_signed_too(shop: Project) -> None:
    cut_short(shop)
    shop.run("verify", expect=1)
    assert states(shop) == ["good", "good"]


@pytest.mark.parametrize(
    ("was", "now"),
    [('"tables": 1', '"tables": 2'), ('"level": 4', '"level": 5'), ('"restore_seconds": ', '"restore_seconds": 1')],
)
def test_a_record_that_was_changed_is_told_loudly(shop: Project, was: str, now: str) -> None:
    shop.run("verify")
    text = at(shop).read_text()
    assert was in text
    at(shop).write_text(text.replace(was, now, 1))
    assert states(shop) == ["good", "bad"]
    shown = shop.run("show", expect=4)
    assert "✗ BAD SIGNATURE" in shown.out
    assert "changed or moved" in shown.err
    assert "verify the backup again" in shown.err


def test_a_failure_that_was_renamed_to_a_success_is_told_loudly(shop: Project) -> None:
    cut_short(shop)
    shop.run("verify", expect=1)
    at(shop).rename(at(shop).with_name(at(shop).name.replace("-failed-0", "-passed-4")))
    assert shop.catalog().backups[0].proven, "the catalog goes by keys alone"
    assert states(shop)[-1] == "bad"
    assert "✗ BAD SIGNATURE" in shop.run("show", expect=4).out


def test_a_record_that_was_laid_beside_another_backup_is_told_loudly(shop: Project) -> None:
    newest, older = ids(shop)
    shop.run("verify", older)
    theirs = at(shop, "verify", older)
    at(shop, "backup", newest).with_name(theirs.name).write_bytes(theirs.read_bytes())
    assert states(shop)[-1] == "bad"
    assert "✗ BAD SIGNATURE" in shop.run("show", expect=4).out


def test_unsigned_records_among_signed_ones(shop: Project) -> None:
    shop.run("verify", EVIDENCE_KEY=None)
    record = at(shop)
    stripped = {name: value for name, value in json.loads(record.read_text()).items() if name != "signature"}
    stripped["signed"] = "good"
    record.write_text(json.dumps(stripped))
    assert states(shop) == ["good", None], "what a record says of itself counts for nothing"
    shown = shop.run("show")
    assert "level 4, not signed" in shown.out


def test_rotated_keys(shop: Project) -> None:
    shop.run("verify", EVIDENCE_KEY=OTHER)
    assert states(shop) == ["good", "unknown key"]
    assert f"unknown key: {half(OTHER)}" in shop.run("show").out
    assert states(shop, EVIDENCE_KEY=OTHER, EVIDENCE_PUBLIC_KEY=half(MINE)) == ["good", "good"]


def test_a_reader_needs_no_private_key(shop: Project, tmp_path: Path) -> None:
    both = tmp_path / "keys"
    both.write_text(f"{half(MINE)}\n{half(OTHER)}\n")
    shop.run("verify", EVIDENCE_KEY=OTHER)
    assert states(shop, EVIDENCE_KEY=None) == ["unchecked", "unchecked"]
    assert "not checked" in shop.run("show", EVIDENCE_KEY=None).out
    assert states(shop, EVIDENCE_KEY=None, EVIDENCE_PUBLIC_KEY_FILE=str(both)) == ["good", "good"]


def test_an_archive_that_was_replaced_under_its_evidence(shop: Project) -> None:
    newest, older = ids(shop)
    shop.run("verify", newest)
    store = Path(shop.environment["STORE"].removeprefix("file://")) / "shop"
    theirs = json.loads((store / f"{older}.json").read_text())
    beside = json.loads((store / f"{newest}.json").read_text())
    beside["archive"] |= {"sha256": "0" * 64, "bytes": theirs["archive"]["bytes"]}
    (store / f"{newest}.json").write_text(json.dumps(beside))
    shown = shop.run("show", newest, expect=4)
    assert shown.out.count("OF ANOTHER ARCHIVE") == 2
    assert "the archive was replaced" in shown.err


def test_stock_tools_check_it_as_the_page_says(shop: Project, tmp_path: Path) -> None:
    shop.run("verify")
    block = blocks("docs/verify.md")["signature"]
    line = next(line for line in block.splitlines() if line.startswith("key="))
    script = block.replace(line, f"key=shop/{ids(shop)[0]}.evidence/{at(shop).name}")

    def checked() -> subprocess.CompletedProcess[str]:
        return subprocess.run(["sh", "-ec", script], cwd=tmp_path, capture_output=True, text=True, check=False)

    (tmp_path / "record.json").write_bytes(at(shop).read_bytes())
    assert half(MINE) in checked().stdout
    assert checked().returncode == 0, checked().stderr
    (tmp_path / "record.json").write_text(at(shop).read_text().replace('"level": 4', '"level": 5'))
    assert checked().returncode == 1


@pytest.mark.parametrize("verb", ["backup", "verify", "show"])
def test_another_kind_of_key_is_a_problem_of_the_settings(shop: Project, verb: str) -> None:
    wrong = pem(generate_private_key(65537, 1024))
    told = shop.run(verb, expect=2, EVIDENCE_KEY=wrong)
    assert "EVIDENCE_KEY: is not an ed25519 private key" in told.err
    assert wrong.splitlines()[1] not in told.err


def test_the_doctor_says_which_key_signs(shop: Project) -> None:
    assert f"evidence: signed by {half(MINE)}" in shop.run("doctor", expect=None).out
    assert "evidence: not signed" in shop.run("doctor", expect=None, EVIDENCE_KEY=None).out
