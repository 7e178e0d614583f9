"""Why pg_restore stopped, in one sentence, with its cure: the failures that others were bitten by."""

from __future__ import annotations

import re
from dataclasses import dataclass

from killick.errors import CommandFailed, RestoreError


@dataclass(frozen=True)
class _Failure:
    reason: str
    pattern: str
    cure: str


_FAILURES = tuple(
    _Failure(*parts)
    for parts in (
        (
            "missing-extension",
            r'could not open extension control file|extension "[^"]*" is not available|could not access file "\$libdir'
            r'|extension "[^"]*" has no installation script|could not load library|schema "topology" does not exist'
            r'|type "[^"]*geo(metry|graphy)" does not exist|can only create extension in database'
            r'|can only be loaded via shared_preload_libraries|security label provider "[^"]*" is not loaded',
            "use a server that has the extension: an image such as postgis/postgis of the source's major",
        ),
        (
            "missing-role",
            r'role "[^"]*" does not exist',
            "restore globals.sql first (it makes the roles), or leave owners and grants out",
        ),
        (
            "missing-tablespace",
            r'tablespace "[^"]*" does not exist',
            "make the tablespace on this server, or leave tablespaces out",
        ),
        (
            "version",
            r"unsupported version \(|unrecognized configuration parameter|server version mismatch"
            r"|unrecognized parameter|syntax error at or near",
            "restore into a server of the dump's major, or a newer one",
        ),
        (
            "encoding",
            r"invalid byte sequence for encoding|has no equivalent in encoding|encoding .* does not match",
            "let the database be made with the source's encoding",
        ),
        (
            "truncated",
            r"could not read from input file|unexpected end of file|end of file|did not find magic string"
            r"|could not open (input|TOC|data|large object).* file|unexpected EOF|corrupt|missing data for column"
            r"|extra data after last expected column",
            "the archive is not whole: take the backup before it",
        ),
        (
            "out-of-space",
            r"No space left on device|could not extend file|could not write to file|disk full|Disk quota exceeded",
            "give the target's server more room",
        ),
        (
            "out-of-memory",
            r"out of memory|out of shared memory|Cannot allocate memory",
            "give the target's server more memory, or raise max_locks_per_transaction where it speaks of shared memory",
        ),
        (
            "schema-exists",
            r"already exists",
            "restore into an empty database made from template0: killick makes one when none is there",
        ),
        (
            "duplicate-rows",
            r"could not create unique index|duplicate key value",
            "the source holds rows that break its own unique index, which is damaged: mend them there, REINDEX",
        ),
        (
            "foreign-key",
            r"violates foreign key constraint",
            "the source holds rows that break its own foreign key: mend them there",
        ),
        (
            "check-constraint",
            r"violates (check|not-null|partition) constraint",
            "the source holds rows that break its own constraint, or its check calls a function that looks elsewhere",
        ),
        (
            "check-constraint",
            r"no partition of relation",
            "rows of an enum's hash partitions come back through the table above them, and may land in any: name that"
            " table, not a partition; else the source holds rows that none of its partitions takes",
        ),
        (
            "search-path",
            r'(function|type|relation) "?[^".( ]+"?(\(.*\))? does not exist',  # without its schema
            "a function of the database finds it only by search_path, which is empty in every restore: at the source"
            " ALTER FUNCTION … SET search_path = public, then back up again",
        ),
        (
            "permission",
            r"permission denied|must be owner|must be superuser|must have|Only roles with|must be able to",
            "restore as a role that may: set RESTORE_URL",
        ),
        (
            "timeout",
            r"canceling statement due to|lock timeout|deadlock detected",
            "the target's server cancels long statements, or somebody works in the target",
        ),
        (
            "server-gone",
            r"server closed the connection|terminating connection|connection to server|could not connect"
            r"|shutting down|recovery mode|lost synchronization",
            "look into the target's log: it ended (out of memory?) or cannot be reached",
        ),
    )
)
_OF_VALUES = ("duplicate-rows", "foreign-key", "check-constraint")
_MASKED = "masked values break it: choose another kind in MASK for its columns"
_TAIL = r"(?= is out of range for type [a-z ]+$| not recognized$|$)"
_CONTENT = re.compile(
    rf'((?:invalid input|malformed|out of range|value)[^:"]*: ?|(?:value|time zone) )".*?{_TAIL}'
    r'|^".*(?= is out of range for type [a-z ]+$)'
)
_NAMES = (
    "attribute|collation|column|constraint|database|domain|encoding|extension|function|index|language|parameter|partition"
    "|policy|publication|relation|role|schema|sequence|server|table|tablespace|trigger|type|view"
)
_OF_NAMES = re.compile(rf'(?:\b(?:{_NAMES}) "[^"]*"|[^"])*')
_UNNAMED = re.compile(rf'".*?{_TAIL}')
_BYTES = re.compile(r"0x[0-9a-f]{2}(?: 0x[0-9a-f]{2})*")
_OF_ROWS = re.compile(r"TABLE DATA|INDEX|CONSTRAINT|MATERIALIZED VIEW|^table ")
_RAISED = re.compile(r"PL/pgSQL .* at (?:RAISE|ASSERT)$|PL/(?:Perl|Python|Tcl)", re.M)
_BY_ITSELF = "a function of the database's own raised an error"  # its text may hold a row


def restore_error(error: CommandFailed, *, masked: bool = False) -> RestoreError:
    """`reason` is one of the slugs above, or "restore". Rows that the server quotes are left out.

    `masked`: values were hidden before they were sent, so they may be what breaks a constraint.
    """
    said = _sentences(error.stderr)
    if failure := _failure(error.stderr):
        cure = _MASKED if masked and failure.reason in _OF_VALUES else failure.cure
        return RestoreError(f"{error.program}: {said}", cure, failure.reason)
    how = f"was killed by signal {-error.status}" if error.status < 0 else f"ended with status {error.status}"
    return RestoreError(f"{error.program} {how}{': ' + said if said else ''}", "the target's log tells more")


def statement_error(place: str, said: str, code: str = "") -> RestoreError:
    """The same for a statement that the server refused; `said` is the first line of its answer, `code` the SQLSTATE."""
    failure = _failure(said)
    message = f"{place}: {_BY_ITSELF if code.startswith('P0') else _names_only(said)}"
    if failure is None:
        return RestoreError(message, "the target's log tells more")
    return RestoreError(message, failure.cure, failure.reason)


def _failure(said: str) -> _Failure | None:
    return next((failure for failure in _FAILURES if re.search(failure.pattern, said)), None)


def _sentences(stderr: str) -> str:
    """The lines that name the error and its place. DETAIL, CONTEXT and the command may hold a row or a password."""
    place = re.findall(r"from TOC entry (.*)", stderr) or re.findall(r'COPY failed for (table ".*"): ERROR', stderr)
    told = re.findall(r"ERROR:\s*(.*)", stderr) or re.findall(r"error: (.*)", stderr) or stderr.splitlines()[-1:]
    where = place[-1].strip() if place else ""
    first = told[0].strip() if told else ""
    if _RAISED.search(stderr):
        first = _BY_ITSELF
    first = _names_only(first) if _OF_ROWS.search(where) else without_content(first)
    return f"{first} ({where})" if where else first


def without_content(said: str) -> str:
    """A sentence of the server's without the value that it could not read."""
    return _CONTENT.sub(r"\1…", said)


def _names_only(said: str) -> str:
    """The same where rows were read: whatever is quoted and not called a name may be of a row, and what follows it."""
    said = _BYTES.sub("…", without_content(said))
    names = _OF_NAMES.match(said)
    end = names.end() if names else 0
    return said[:end] + _UNNAMED.sub("…", said[end:], count=1)
