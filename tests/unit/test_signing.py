"""Signatures under evidence: what they cover, and which keys are taken."""

import json
import subprocess
import sys
from pathlib import Path
from shutil import which
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed448, ed25519, rsa, x25519

from killick import signing
from killick.signing import BAD, GOOD, UNCHECKED, UNKNOWN, judge, private_key, public_half, public_keys, signed, trusted

KEY = "shop/20261123T030000Z-db.evidence/20261123T050012Z-verify-passed-4.json"
RECORD: dict[str, Any] = {
    "id": "20261123T030000Z-db", "result": "passed", "level": 4, "seconds": {"restore": 1.0, "check": 0.001},
    "mismatches": [{"table": "Ünder \u202e<x>", "got": "1"}], "error": None,
}  # fmt: skip


def pem(key: Any, password: bytes = b"") -> str:
    lock: Any = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    return str(key.private_bytes(*form, lock).decode())


def public_pem(key: Any) -> str:
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return str(key.public_key().public_bytes(*form).decode())


MADE = ed25519.Ed25519PrivateKey.generate()
MINE = private_key(pem(MADE))
OTHER = private_key(pem(ed25519.Ed25519PrivateKey.generate()))


def stored(data: dict[str, Any]) -> dict[str, Any]:
    """As it comes back from the store."""
    return dict(json.loads(json.dumps(data, ensure_ascii=False, indent=1)))


def test_a_private_key_is_read_as_openssl_writes_it_or_as_one_line() -> None:
    text = pem(MADE)
    line = text.splitlines()[1]
    assert {
        private_key(form) for form in (text, text.replace("\n", "\r\n"), f" {line}\n", text.replace("\n", " "))
    } == {line}
    assert public_half(MINE) == public_pem(MADE).splitlines()[1]


@pytest.mark.parametrize(
    "text",
    [
        pem(rsa.generate_private_key(65537, 1024)),
        pem(ed448.Ed448PrivateKey.generate()),
        pem(x25519.X25519PrivateKey.generate()),
        pem(MADE, b"a passphrase"),
        public_pem(MADE),
        pem(MADE).replace("\n", "\n" + MINE + "\n", 1),
        MINE[:-4],
        MINE.replace("M", "N", 1),
        "-----BEGIN PRIVATE KEY-----",
        "AGE-SECRET-KEY-1ABC",
        "",
    ],
    ids=["RSA", "ed448", "x25519", "passphrase", "public", "two", "short", "other kind", "empty", "age", "nothing"],
)
def test_other_private_keys_are_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="openssl genpkey -algorithm ed25519") as refused:
        private_key(text)
    assert not any(line in str(refused.value) for line in text.split() if len(line) > 12)


def test_public_keys_come_as_lines_or_pem_one_or_several() -> None:
    one, two = public_half(MINE), public_half(OTHER)
    assert public_keys(one) == (one,)
    assert public_keys(public_pem(MADE)) == (one,)
    assert public_keys(f"{two},{one}, {two}") == (two, one)
    assert public_keys(public_pem(MADE) + public_pem(MADE).replace(one, two)) == (one, two)
    for text in ("", f"{one},x", one[:-8], public_pem(rsa.generate_private_key(65537, 1024))):
        with pytest.raises(ValueError, match="not an ed25519 public key"):
            public_keys(text)


def test_a_private_key_given_as_a_public_one_is_refused_and_not_quoted() -> None:
    with pytest.raises(ValueError, match="private key") as refused:
        public_keys(f"{public_half(OTHER)},{MINE}")
    assert MINE not in str(refused.value)


def test_a_signature_holds_for_this_content_under_this_key() -> None:
    found = stored(signed(RECORD, KEY, MINE))
    assert {name: value for name, value in found.items() if name != "signature"} == RECORD
    assert judge(found, KEY, trusted(MINE, ())) == GOOD
    assert judge(dict(reversed(found.items())), KEY, trusted(MINE, ())) == GOOD, "the order of names is no content"


@pytest.mark.parametrize(
    "change",
    [
        {"result": "failed"},
        {"level": 3},
        {"level": 4.0},
        {"seconds": {"restore": 0.9, "check": 0.001}},
        {"mismatches": []},
        {"error": ""},
        {"added": 1},
    ],
    ids=str,
)
def test_any_change_of_the_content_shows(change: dict[str, Any]) -> None:
    assert judge({**stored(signed(RECORD, KEY, MINE)), **change}, KEY, trusted(MINE, ())) == BAD


@pytest.mark.parametrize("name", RECORD)
def test_anything_left_out_shows(name: str) -> None:
    found = stored(signed(RECORD, KEY, MINE))
    del found[name]
    assert judge(found, KEY, trusted(MINE, ())) == BAD


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("-failed-", "-passed-"),
        ("-passed-4", "-passed-5"),
        ("T050012Z", "T050013Z"),
        ("verify", "refresh"),
        ("T030000Z", "T030001Z"),
        ("Z-db.", "Z-db_b."),
        ("shop/", "shop2/"),
    ],
)
def test_a_record_under_another_key_shows(was: str, now: str) -> None:
    signed_under = KEY.replace("passed", "failed") if "failed" in was else KEY
    found = stored(signed(RECORD, signed_under, MINE))
    assert judge(found, signed_under, trusted(MINE, ())) == GOOD
    assert judge(found, signed_under.replace(was, now), trusted(MINE, ())) == BAD


@pytest.mark.parametrize(
    "signature",
    [
        None, "", {}, [], {"key": public_half(MINE)}, {"key": public_half(MINE), "value": 7},
        {"key": public_half(MINE), "value": "AAAA"}, {"key": "AAAA", "value": "AAAA"}, {"key": 1, "value": "AAAA"},
        {"key": f"{public_half(MINE)},{public_half(OTHER)}", "value": "A" * 86 + "=="},
        {"key": MINE, "value": "A" * 86 + "=="},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_signature_is_a_bad_one(signature: Any) -> None:
    assert judge({**RECORD, "signature": signature}, KEY, trusted(MINE, ())) == BAD


def test_a_surrogate_that_cannot_be_written_is_a_bad_one() -> None:
    assert judge({**signed(RECORD, KEY, MINE), "id": "\ud800"}, KEY, trusted(MINE, ())) == BAD


def test_rotated_keys() -> None:
    old, new = stored(signed(RECORD, KEY, OTHER)), stored(signed(RECORD, KEY, MINE))
    assert judge(old, KEY, trusted(MINE, ())) == UNKNOWN
    assert {judge(each, KEY, trusted(MINE, (public_half(OTHER),))) for each in (old, new)} == {GOOD}
    assert {judge(each, KEY, trusted("", (public_half(OTHER), public_half(MINE)))) for each in (old, new)} == {GOOD}


def test_a_signature_under_a_borrowed_name_is_bad_not_unknown() -> None:
    found = stored(signed(RECORD, KEY, OTHER))
    found["signature"]["key"] = public_half(MINE)
    assert judge(found, KEY, trusted(MINE, ())) == BAD
    found["signature"]["key"] = public_half(private_key(pem(ed25519.Ed25519PrivateKey.generate())))
    assert judge(found, KEY, trusted(MINE, ())) == BAD, "it is not even that stranger's"


def test_without_a_signature_or_without_a_key_nothing_is_claimed() -> None:
    assert judge(RECORD, KEY, trusted(MINE, ())) is None
    assert judge(RECORD, KEY, ()) is None
    assert judge(stored(signed(RECORD, KEY, MINE)), KEY, ()) == UNCHECKED
    assert judge({**RECORD, "signature": "x"}, KEY, ()) == UNCHECKED


@pytest.mark.skipif(which("openssl") is None, reason="openssl is not installed")
def test_openssl_checks_it_too(tmp_path: Path) -> None:
    import base64

    found = stored(signed(RECORD, KEY, MINE))
    (tmp_path / "public.pem").write_text(
        f"-----BEGIN PUBLIC KEY-----\n{found['signature']['key']}\n-----END PUBLIC KEY-----\n"
    )
    (tmp_path / "signature").write_bytes(base64.b64decode(found["signature"]["value"]))
    (tmp_path / "message").write_bytes(signing.message(found, KEY))
    command = "openssl pkeyutl -verify -pubin -inkey public.pem -rawin -in message -sigfile signature"
    done = subprocess.run(command.split(), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_keys_are_read_and_records_listed_without_the_library(tmp_path: Path) -> None:
    """By the sidecar's idle loop, which is to stay small."""
    code = """
import datetime, os, sys
from killick import records, settings, state, stores
given = settings.load(os.environ)
now = datetime.datetime.now(datetime.UTC)
state.read(stores.connect(given.store), given, now)
assert given.verify.evidence_key and given.verify.evidence_public_keys
print("cryptography" in sys.modules)
"""
    folder = tmp_path / "shop" / "20261123T030000Z-db.evidence"
    folder.mkdir(parents=True)
    (folder / KEY.rpartition("/")[2]).write_text(json.dumps(signed(RECORD, KEY, MINE)))
    (folder.parent / "20261123T030000Z-db.json").write_text("{}")
    environ = {"PROJECT": "shop", "STORE": f"file://{tmp_path}", "EVIDENCE_KEY": pem(MADE)}
    environ["EVIDENCE_PUBLIC_KEY"] = public_half(MINE)
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("False\n", "")
