"""One value each: text as a person writes it → what the program needs.

Every parser raises ValueError with a sentence that ends in the cure, or with several. Those of secrets never quote
what they were given.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from killick.throwaway._images import REPOSITORIES

SLUG = re.compile(r"[a-z0-9][a-z0-9_]*")
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgt]?)(?:i?b)?", re.IGNORECASE | re.ASCII)
_DURATION = re.compile(r"(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)
_IMAGE = re.compile(r"[a-z0-9][\w.:@/-]*", re.ASCII)
_SECONDS = (604800, 86400, 3600, 60, 1)
_LARGEST = 10**9


def text(value: str) -> str:
    return value


def exact(value: str) -> str:
    """A password: the only kind of value whose white space is kept."""
    return value


def project(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", value):
        raise ValueError(f"{value!r} is not a slug: lower-case letters, digits, - and _, as in my-shop")
    return value


def switch(value: str) -> bool:
    lower = value.lower()
    if lower in {"on", "true", "yes", "1"}:
        return True
    if lower in {"off", "false", "no", "0"}:
        return False
    raise ValueError(f"{value!r} is neither 'on' nor 'off'")


def choice(*options: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value.lower() not in options:
            raise ValueError(f"{value!r} is not known: choose {', '.join(options[:-1])} or {options[-1]}")
        return value.lower()

    return parse


def whole(low: int, high: int = _LARGEST) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if not re.fullmatch(r"\d{1,10}", value, re.ASCII) or not low <= int(value) <= high:
            bounds = f"from {low} to {high}" if high < _LARGEST else f"of {low} or more"
            raise ValueError(f"{value!r} is not a whole number {bounds}")
        return int(value)

    return parse


def port(value: str) -> int:
    """0 for `off`."""
    return 0 if value.lower() == "off" else whole(1, 65535)(value)


def processors(value: str) -> float:
    """From 0.01 on: Docker takes no less."""
    if not re.fullmatch(r"\d{1,6}(\.\d{1,6})?", value, re.ASCII) or float(value) < 0.01:
        raise ValueError(f"{value!r} is not a number of processors from 0.01 on, as in 1 or 0.5")
    return float(value)


def size(value: str) -> int:
    """Bytes; k, m, g, t are powers of 1024, as in Docker."""
    match = _SIZE.fullmatch(value)
    if match is None or len(match[1]) > 12 or not float(match[1]):
        raise ValueError(f"{value!r} is not a size: write 512m or 2g")
    return int(float(match[1]) * 1024 ** " kmgt".index(match[2].lower() or " "))


def memory(value: str) -> int:
    """Bytes, as `size`; from 6 MiB on: Docker takes no less."""
    found = size(value)
    if found < 6 << 20:
        raise ValueError(f"{value!r} is too little for a server: write 512m or 2g")
    return found


def duration(value: str) -> float:
    """Seconds."""
    match = _DURATION.fullmatch(value.lower().replace(" ", ""))
    parts = [int(group or 0) for group in match.groups()] if match and len(value) <= 20 else []
    total = sum(count * seconds for count, seconds in zip(parts, _SECONDS, strict=False))
    if not 0 < total < _LARGEST:
        raise ValueError(f"{value!r} is not a duration: write 30m, 36h, 2d or 1h30m")
    return float(total)


def zone(value: str) -> ZoneInfo:
    try:
        return ZoneInfo(value)
    except (ValueError, OSError, LookupError):  # LookupError: no such file of tzdata
        raise ValueError(f"{value!r} is not a time zone: write one like Europe/Brussels or UTC") from None


def folder(value: str) -> Path:
    """Absolute: a relative one would mean another place for each way of starting."""
    if not value.startswith("/"):
        raise ValueError(f"{value!r} is not an absolute path: begin it with /")
    return Path(value)


def globs(value: str) -> tuple[str, ...]:
    """Separated by commas or new lines: a file's name may hold spaces."""
    return tuple(part.strip() for part in re.split(r"[,\n]", value) if part.strip())


def images(value: str) -> dict[str, str]:
    """By the name of the official image, or of its repository, each with what stands for it."""
    found = {}
    for pair in globs(value):
        official, equals, ours = (part.strip() for part in pair.partition("="))
        if not equals or not _IMAGE.fullmatch(official) or not _IMAGE.fullmatch(ours):
            raise ValueError(f"{pair!r} is not a pair of images: write postgres:16=registry.example/pg:16")
        if official.partition(":")[0] not in REPOSITORIES:
            raise ValueError(f"{official!r} is no image that killick asks for: there are {', '.join(REPOSITORIES)}")
        if (":" in official) != (":" in ours.rpartition("/")[2]):
            raise ValueError(f"{pair!r} names a tag on one side only: give both, or none for every tag")
        found[official] = ours
    return found


def image(value: str) -> str:
    if not _IMAGE.fullmatch(value):
        raise ValueError(f"{value!r} is not the name of an image: write registry.example/shop:1.4")
    return value


def command(value: str) -> tuple[str, ...]:
    """As a shell would split it. Never quoted: there may be a secret in it."""
    try:
        found = tuple(shlex.split(value))
    except ValueError:
        found = ()
    if not found or not found[0]:
        raise ValueError("is not a command line: close each quote, as in sh -c 'one && two'")
    return found


def recipients(value: str) -> tuple[str, ...]:
    """Public keys of age or ssh, separated by commas or new lines; lines that begin with # are comments."""
    found = tuple(line for line in globs(value) if not line.startswith("#"))
    if not found:
        raise ValueError("holds no recipient: give the public key that age-keygen printed, as in age1…")
    for one in found:
        if not re.fullmatch(r"age1[a-z0-9]{50,2000}|ssh-(ed25519|rsa) [A-Za-z0-9+/=]{40,}( \S.*)?", one):
            shown = "an identity (a secret key)" if "SECRET" in one.upper() else f"{one[:12]!r}…"
            raise ValueError(f"{shown} is not a recipient: give public keys, as in age1… or ssh-ed25519 …")
    return found


def identity(value: str) -> str:
    if not re.search(r"^(AGE-SECRET-KEY-1|AGE-PLUGIN-|-----BEGIN OPENSSH PRIVATE KEY-----)", value, re.MULTILINE):
        raise ValueError("is not an identity of age: give the file that age-keygen wrote, by AGE_IDENTITY_FILE")
    return value


def web(value: str) -> str:
    if not re.fullmatch(r"https?://[^/?#@\s]+(/\S*|\?\S*)?", value) or _host(value) is None:
        raise ValueError("is not a web address: write https://…")
    return value


def dsn(value: str) -> str:
    if not re.fullmatch(r"https?://[^/?#@\s:]+(:[^/?#@\s]+)?@[^/?#@\s]+/(\S*/)?\d+", value) or _host(value) is None:
        raise ValueError("is not a DSN: copy it from Sentry's project settings, as in https://KEY@HOST/NUMBER")
    return value


def notify_urls(value: str) -> tuple[str, ...]:
    """Addresses of apprise, separated by spaces, commas or new lines."""
    found = tuple(part for part in re.split(r"[\s,]+", value) if part)
    if not found or any(not re.match(r"[a-z][a-z0-9+.-]*://\S", one, re.IGNORECASE) for one in found):
        raise ValueError("holds something that is not an address of apprise: write slack://…, mailtos://…, json://…")
    return found


def seed(value: str) -> str:
    if value.lower() in {"off", "latest"}:
        return "" if value.lower() == "off" else "latest"
    if not re.fullmatch(r"\d{8}T\d{6}Z(-[a-z0-9][a-z0-9_]*)?", value):
        raise ValueError(f"{value!r} is not a backup: write latest, off, or an id that killick list shows")
    return value


def _host(value: str) -> str | None:
    """None for a URL whose host or port cannot be."""
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return None
    return parts.hostname if port != 0 else None
