"""URLs of databases, as people write them: the password is taken out, and may hold any character."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

_LEGAL = "/:@!$&'()*+,;=~%[]"
_PORT = re.compile(r"(?:\[[0-9a-fA-F:.%]+\]|[^:\[\]]*)(?::(\d{1,5}))?")


@dataclass(frozen=True)
class Address:
    """`url` is well-formed and holds no password; `hosts` is the part between user and path."""

    scheme: str
    url: str
    hosts: str
    database: str
    password: str = field(default="", repr=False)


def split(text: str) -> Address:
    """Takes a URL apart. Raises ValueError with the cure, and never quotes more than the scheme.

    RFC 3986 wants `/`, `?`, `#`, `@` and `%` of a password percent-encoded; a password with raw ones is understood
    too, as long as its end is clear: the last @.
    """
    scheme, colon, rest = text.partition("://")
    scheme = scheme.lower()
    if not colon or not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme):
        raise ValueError("is not a URL: write postgres://user@host:5432/name")
    userinfo, rest = _userinfo(rest)
    hosts = re.match(r"[^/?#]*", rest)
    authority = hosts[0] if hosts else ""
    tail = rest[len(authority) :].partition("#")[0]
    path, _, query = tail.partition("?")
    _check(authority)
    user, has_password, password = userinfo.partition(":")
    query, twice = _query(query)
    if has_password and twice:
        raise ValueError("holds two passwords: keep one of them")
    try:
        secret = unquote(password if has_password else twice, errors="strict")
        name = quote(unquote(user, errors="strict"), safe="")
        database = unquote(path.removeprefix("/"), errors="strict")
    except UnicodeDecodeError:
        raise ValueError("holds a percent-encoded byte that is not UTF-8: encode it again") from None
    if any(letter in secret + database for letter in "\0"):
        raise ValueError("holds a zero byte: take it out")
    at = f"{name}@" if name else ""
    question = f"?{query}" if query else ""
    url = f"{scheme}://{at}{authority}{quote(path, safe=_LEGAL)}{question}"
    return Address(scheme, url, authority, database, secret)


def _userinfo(rest: str) -> tuple[str, str]:
    """(user:password, what follows the @)."""
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    later = rest[len(authority) :].partition("?")[0] if "@" in authority else rest[len(authority) :]
    if "@" in later and ("@" in authority or not _hosts(authority)):
        user, _, tail = rest[: len(authority) + len(later)].rpartition("@")
        return user, tail + rest[len(authority) + len(later) :]
    if "@" not in authority:
        return "", rest
    user, _, host = authority.rpartition("@")
    return user, host + rest[len(authority) :]


def _hosts(authority: str) -> bool:
    """Whether this can be host:port[,host:port…], so that no user is to be looked for."""
    return all(_PORT.fullmatch(host) for host in authority.split(","))


def _check(authority: str) -> None:
    """Socket folders (%2Fvar%2Frun) are hosts too."""
    ports = [_PORT.fullmatch(host) for host in authority.split(",")]
    if not all(ports) or any(m and m[1] and not 0 < int(m[1]) < 65536 for m in ports):
        raise ValueError("has a port that is not a number from 1 to 65535 (or a password with raw @, / or : in it)")
    if re.search(r"[\s<>\"\\^`{|}]", authority):
        raise ValueError("has a host with characters that no host has: write postgres://user@host:5432/name")


def _query(query: str) -> tuple[str, str]:
    """(the query without its password, the password), as libpq allows ?password=…"""
    kept, password = [], ""
    for pair in query.split("&") if query else []:
        key, _, value = pair.partition("=")
        if key == "password":
            password = value
        elif "password" in key.lower() or "AWS_SESSION_TOKEN" in unquote(value):
            raise ValueError(f"holds a secret in {key!r}: only the user's password can be given")
        else:
            kept.append(quote(unquote(key), safe="") + "=" + quote(unquote(value), safe="/:@,"))
    return "&".join(kept), password
