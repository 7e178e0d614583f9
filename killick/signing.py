"""Signatures under evidence (ed25519): who wrote a record, and that nobody changed it since, or moved it.

A key is written as the one line within the PEM that `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout`
print, so that stock tools can check what stands in a record (docs/verify.md).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Collection, Mapping
from typing import Any

GOOD, BAD, UNKNOWN, UNCHECKED = "good", "bad", "unknown key", "unchecked"

_PRIVATE = bytes.fromhex("302e020100300506032b657004220420")  # PKCS #8, RFC 8410: the seed's 32 bytes follow
_PUBLIC = bytes.fromhex("302a300506032b6570032100")  # SubjectPublicKeyInfo, RFC 8410: the key's 32 bytes follow
_ARMOUR = re.compile(r"-----(BEGIN|END) [A-Z0-9 ]+-----")


def private_key(text: str) -> str:
    """The line of a private key, given with or without its armour. Raises ValueError, which does not quote it."""
    lines = _lines(text)
    if len(lines) == 1 and _bytes_after(_PRIVATE, lines[0]):
        return lines[0]
    raise ValueError("is not an ed25519 private key in the clear: make one with openssl genpkey -algorithm ed25519")


def public_keys(text: str) -> tuple[str, ...]:
    """The lines of one or more public keys. Raises ValueError, which does not quote them."""
    lines = _lines(text)
    if any(_bytes_after(_PRIVATE, line) for line in lines):
        raise ValueError("holds a private key: give its public half, which openssl pkey -pubout prints")
    if not lines or not all(_bytes_after(_PUBLIC, line) for line in lines):
        raise ValueError("is not an ed25519 public key: give what openssl pkey -pubout or killick doctor prints")
    return tuple(dict.fromkeys(lines))


def public_half(private: str) -> str:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    made = Ed25519PrivateKey.from_private_bytes(_bytes_after(_PRIVATE, private))
    return base64.b64encode(_PUBLIC + made.public_key().public_bytes_raw()).decode()


def trusted(private: str, public: Collection[str]) -> frozenset[str]:
    """The public keys whose signatures are believed: our own, where there is one, and those that are named."""
    return frozenset(public) | ({public_half(private)} if private else set())


def signed(data: Mapping[str, Any], key: str, private: str) -> dict[str, Any]:
    """The record that is to stand under `key`, with its signature."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    value = Ed25519PrivateKey.from_private_bytes(_bytes_after(_PRIVATE, private)).sign(message(data, key))
    return {**data, "signature": {"key": public_half(private), "value": base64.b64encode(value).decode()}}


def judge(data: Mapping[str, Any], key: str, trusted: Collection[str]) -> str | None:
    """What the signature of a record that was found under `key` is worth; None where it has none.

    GOOD: by one of the `trusted` keys. UNKNOWN: sound, by another. UNCHECKED: there is none to check it with.
    """
    if "signature" not in data:
        return None
    if not trusted:
        return UNCHECKED
    by = _signer(data, key)
    if not by:
        return BAD
    return GOOD if by in trusted else UNKNOWN


def _signer(data: Mapping[str, Any], key: str) -> str:
    """The public key that the signature names and that really made it, else ""."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    signature = data["signature"]
    try:
        (by,) = public_keys(signature["key"])
        value = base64.b64decode(signature["value"], validate=True)
        Ed25519PublicKey.from_public_bytes(_bytes_after(_PUBLIC, by)).verify(value, message(data, key))
    except (InvalidSignature, LookupError, TypeError, ValueError):
        return ""
    return by


def message(data: Mapping[str, Any], key: str) -> bytes:
    """What is signed: the record's key in the store, a new line, and its content but for the signature.

    The content is JSON with sorted names and no white space. The key holds project, backup, time, kind, result and
    level, so that none of them can be changed by renaming, nor a record be laid beside another backup.
    """
    content = {name: value for name, value in data.items() if name != "signature"}
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return f"{key}\n{text}".encode()


def _lines(text: str) -> list[str]:
    return [line for line in re.split(r"[\s,]+", _ARMOUR.sub(" ", text)) if line]


def _bytes_after(kind: bytes, line: str) -> bytes:
    """The key's 32 bytes; none for a line that is no key of that kind."""
    try:
        data = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return data.removeprefix(kind) if data.startswith(kind) and len(data) == len(kind) + 32 else b""
