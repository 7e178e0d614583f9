"""What a statement of a dump is, told by its words: rows, a setting, ownership, something of the server's. Pure."""

from __future__ import annotations

import codecs
import re
from enum import Enum, auto
from functools import lru_cache
from itertools import pairwise, takewhile

from killick.engines.postgres import names
from killick.engines.postgres.plain.events import Statement

Words = tuple[bytes, ...]
"""Bare words in capitals, everything else as it stands: names in their quotes, strings, single signs."""

_READ = 1 << 16  # bytes of a statement that are looked into: what is longer is told by its beginning
_WORD = re.compile(
    rb"""--[^\r\n]*|/\*.*?\*/|"(?:[^"]|"")*+"|[eE]'(?:[^'\\]|\\.|'')*+'|'(?:[^']|'')*+'"""
    rb"""|(?P<dollar>\$\w*\$).*?(?P=dollar)|[A-Za-z_\x80-\xff][\w$\x80-\xff]*|\d+|\S""",
    re.DOTALL,
)
_OF_THE_SERVER = (b"DATABASE", b"ROLE", b"USER", b"GROUP", b"TABLESPACE")
_NO_ROLES = ("public", "user", "current_user", "current_role", "session_user")
_CODECS = {"SQL_ASCII": "utf-8", "UNICODE": "utf-8", "EUC_TW": "utf-8"}


class Kind(Enum):
    """ROWS: what --schema-only leaves out. SETTING: SET name = value. OWNER: owners and grants.

    SERVER: of another database, or of all: databases, roles, tablespaces. SUBSCRIPTION: it would fetch from elsewhere.
    TRANSACTION: BEGIN, COMMIT. CLEARING: what --clean drops first. GIVEN: what every database is born with.
    FORBIDDEN: pg_dump never writes it, and it would undo the load, or read the server's files or run its programs.
    """

    ROWS = auto()
    SETTING = auto()
    OWNER = auto()
    SERVER = auto()
    SUBSCRIPTION = auto()
    TRANSACTION = auto()
    CLEARING = auto()
    GIVEN = auto()
    FORBIDDEN = auto()
    OTHER = auto()


def words(text: bytes) -> Words:
    """Of a statement's first 64 KiB, without comments."""
    found = (match[0] for match in _WORD.finditer(text[:_READ]))
    return tuple(w if w[:1] in b"\"'$" else w.upper() for w in found if not w.startswith((b"--", b"/*")))


def kind(said: Words, *, clearing: bool) -> Kind:
    """`clearing`: nothing was made yet, so that what is dropped is what --clean drops first."""
    if _of_server(said):
        return Kind.SERVER
    if clearing and _clears(said):
        return Kind.CLEARING
    match said:
        case [b"INSERT", *_] | [b"COMMENT", b"ON", b"LARGE", b"OBJECT", *_]:
            return Kind.ROWS
        case [b"SELECT", b"PG_CATALOG", b".", function, *_] | [b"SELECT", function, *_] if _fills(function):
            return Kind.ROWS
        case [b"SET" | b"RESET", b"SESSION", b"AUTHORIZATION", *_]:
            return Kind.OWNER
        case [b"SET", _, b"=" | b"TO", *_] | [b"SET", b"SESSION" | b"LOCAL", _, b"=" | b"TO", *_]:
            return Kind.SETTING
        case [b"BEGIN" | b"COMMIT" | b"END" | b"START", *rest]:
            whole = rest in ([b";"], [b"TRANSACTION", b";"], [b"WORK", b";"])
            return Kind.TRANSACTION if whole else Kind.FORBIDDEN
        case [b"COPY" | b"ROLLBACK" | b"ABORT" | b"SAVEPOINT" | b"RELEASE", *_] | [b"PREPARE", b"TRANSACTION", *_]:
            return Kind.FORBIDDEN
    if b"SUBSCRIPTION" in said[1:3] and said[0] in (b"CREATE", b"ALTER", b"DROP", b"COMMENT"):
        return Kind.SUBSCRIPTION
    if said[0] in (b"GRANT", b"REVOKE") or said[:3] == (b"ALTER", b"DEFAULT", b"PRIVILEGES"):
        return Kind.OWNER
    if said[0] == b"ALTER" and said[-4:-2] == (b"OWNER", b"TO"):
        return Kind.OWNER
    return Kind.GIVEN if _given(said) else Kind.OTHER


def inserted(statement: Statement) -> tuple[Words, int] | None:
    """The words from the table's name on, and how many rows go in, when it is an INSERT. Dumps have millions."""
    if statement.text[:6].upper() != b"INSERT":
        return None
    before, values, _ = statement.text[:_READ].partition(b"VALUES")
    said = _words_again(before)
    if len(said) < len(("INSERT", "INTO", "name")):
        return None
    listed = b"(" in said  # of the columns
    return said[2:], max(1, statement.groups - listed) if values else 1


@lru_cache(maxsize=16)
def _words_again(text: bytes) -> Words:
    """`words` of what stands in front of the values: for the rows of one table it is always the same."""
    return words(text)


def _fills(function: bytes) -> bool:
    return function in (b"SETVAL", b"LOWRITE", b"LO_CREATE", b"LO_OPEN", b"LO_CLOSE")


def _clears(said: Words) -> bool:
    """Also the view that --clean puts in the place of one that others need, so that it can be dropped."""
    return (
        said[0] == b"DROP"
        or (said[0] == b"ALTER" and b"DROP" in said)
        or said[:4] == (b"CREATE", b"OR", b"REPLACE", b"VIEW")
        or (said[0] == b"SELECT" and b"LO_UNLINK" in said[:4])
    )


def _of_server(said: Words) -> bool:
    match said:
        case [b"CREATE" | b"ALTER" | b"DROP", b"USER", b"MAPPING", *_]:
            return False
        case [b"CREATE" | b"ALTER" | b"DROP", what, *_]:
            return what in _OF_THE_SERVER or what == b"SYSTEM"
        case [b"COMMENT", b"ON", what, *_]:
            return what in _OF_THE_SERVER
        case [b"SECURITY", b"LABEL", *_]:
            return _behind(said, b"ON") in _OF_THE_SERVER
        case [b"GRANT" | b"REVOKE", *_]:  # without ON it is membership in a role
            return _behind(said, b"ON") in (b"", b"DATABASE", b"TABLESPACE", b"PARAMETER")
    return False


def _behind(said: Words, word: bytes) -> bytes:
    return said[said.index(word) + 1] if word in said[:-1] else b""


def _given(said: Words) -> bool:
    """The schema public, and the language plpgsql, in the words of old majors and new ones."""
    match [w for w in said if w not in (b"OR", b"REPLACE", b"TRUSTED", b"PROCEDURAL", b"IF", b"NOT", b"EXISTS")]:
        case [b"CREATE", b"SCHEMA", b"PUBLIC", b";"] | [b"CREATE", b"LANGUAGE", b"PLPGSQL", *_]:
            return True
        case [b"COMMENT", b"ON", b"EXTENSION" | b"LANGUAGE", b"PLPGSQL", *_]:
            return True
    return False


def roles(said: Words, encoding: str) -> set[str]:
    """Roles that a statement names: new owners, who grants and who is granted, whom a policy or mapping is for."""
    found: list[bytes] = []
    match said:
        case [b"ALTER", *_, b"OWNER", b"TO", owner, b";"]:
            found.append(owner)
        case [b"ALTER", b"DEFAULT", b"PRIVILEGES", *_] | [b"GRANT" | b"REVOKE", *_]:
            for after in ((b"TO",), (b"FROM",), (b"GRANTED", b"BY"), (b"FOR", b"ROLE")):
                found += _listed(said, *after)
        case [b"CREATE", b"POLICY", *_]:
            found += _listed(said, b"TO")
        case [b"CREATE", b"USER", b"MAPPING", *_]:
            found += _listed(said, b"FOR")
        case [b"SET", b"SESSION", b"AUTHORIZATION", role, b";"] if role != b"DEFAULT":
            found.append(b'"' + role[1:-1] + b'"' if role.startswith(b"'") else role)
    given = {name(word, encoding) for word in found}
    return {role for role in given if role not in _NO_ROLES and not role.startswith("pg_")}


def _listed(said: Words, *after: bytes) -> list[bytes]:
    """The names after words that stand outside of parentheses: a, "b c"."""
    depth = 0
    for i, word in enumerate(said):
        depth += (word == b"(") - (word == b")")
        if depth == 0 and said[i : i + len(after)] == after:
            rest = said[i + len(after) :]
            rest = rest[1:] if rest[:1] == (b"GROUP",) else rest
            commas = len(list(takewhile(lambda word: word == b",", rest[1::2])))
            return list(rest[: 2 * commas + 1 : 2])
    return []


def title(said: Words) -> str:
    """What a statement does, and to what: CREATE DATABASE, COMMENT ON DATABASE."""
    return b" ".join(said[: 3 if said[0] == b"COMMENT" else 2]).decode("ascii", "replace")


def name(word: bytes, encoding: str) -> str:
    """A name as the server knows it."""
    if word.startswith(b'"'):
        return word[1:-1].replace(b'""', b'"').decode(encoding, "replace")
    return word.lower().decode(encoding, "replace")


def qualified(said: Words, path: str, encoding: str) -> str:
    """The key (names.key) of the table whose name `said` begins with; without a schema it is in `path`."""
    if said[1:2] == (b".",) and len(said) > 2:
        return names.key(name(said[0], encoding), name(said[2], encoding))
    return names.key(path, name(said[0], encoding))


def table(said: Words) -> Words:
    """The name in CREATE TABLE and what follows it; () when no table of rows is made: a partitioned one has none."""
    if said[0] != b"CREATE":
        return ()
    rest = said[2:] if said[1:2] == (b"UNLOGGED",) else said[1:]
    if rest[:1] != (b"TABLE",):
        return ()
    rest = rest[1:]
    rest = rest[3:] if rest[:3] == (b"IF", b"NOT", b"EXISTS") else rest
    depth = 0
    for first, second in pairwise(rest):
        depth += (first == b"(") - (first == b")")
        if depth == 0 and (first, second) == (b"PARTITION", b"BY"):
            return ()
    return rest


def setting(said: Words) -> tuple[str, Words]:
    """The name in SET name = value, in small letters, and the words of its value."""
    rest = said[2:] if said[1] in (b"SESSION", b"LOCAL") else said[1:]
    return name(rest[0], "utf-8"), rest[2:-1]


def value(said: Words) -> str:
    """What the first of a setting's values says: a string's text, a name, a word in small letters; "" for none."""
    if said and said[0].startswith(b"'"):
        return said[0][1:-1].replace(b"''", b"'").decode("utf-8", "replace")
    return name(said[0], "utf-8") if said else ""


def codec(encoding: str) -> str:
    """Python's name for an encoding of Postgres; names that it cannot read come out with question marks."""
    plain = encoding.upper().replace("WIN", "CP")
    try:
        return codecs.lookup(_CODECS.get(plain, plain)).name
    except LookupError:
        return "utf-8"
