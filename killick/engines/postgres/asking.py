"""A project's question about its data: one SELECT, in a transaction that can write nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from killick.engines import Answer
from killick.engines.postgres import names
from killick.engines.postgres.address import Address
from killick.engines.postgres.failures import without_content
from killick.engines.postgres.session import DatabaseError, session
from killick.errors import SourceError

_CURE = "mend it; a check is one SELECT that gives one row of one column"
_OF_THE_TEXT = ("0A", "25", "42")
"""Classes of SQLSTATE whose messages speak of the statement; those of others may quote a row."""
_CANCELED = "57014"
_LONGEST = 2**31 - 1
"""Milliseconds that Postgres takes for a timeout: 24 days."""


def ask(address: Address, question: str, snapshot: str, seconds: float) -> Answer:
    """The question finds the moment that the data is of as current_setting('killick.snapshot').

    Raises SourceError with a sentence about the question; TimeoutError; Unreachable.
    """
    with session(address) as server:
        if server.encoding != "SQL_ASCII":
            server.connection.set_client_encoding("UTF8")
        server.execute(
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY;"
            f" SET statement_timeout = {min(max(1, int(seconds * 1000)), _LONGEST)};"
            f" SET killick.snapshot = {names.literal(snapshot)}"
        )
        server.execute("BEGIN")
        try:
            # by a cursor: only a SELECT has one, and of a table without an end two rows are enough
            did = server.execute(f"DECLARE killick_check NO SCROLL CURSOR FOR {question}".encode())
            if did != "DECLARE CURSOR":
                raise SourceError("it holds more than one statement", _CURE)
            found = server.rows("FETCH FORWARD 2 FROM killick_check")
        except DatabaseError as error:
            if error.code == _CANCELED:
                raise TimeoutError from None
            raise SourceError(_refusal(error), _CURE) from None
    return _value(found)


def _refusal(error: DatabaseError) -> str:
    from psycopg2 import errors

    if error.code.startswith(_OF_THE_TEXT):
        return f"Postgres refuses it: {without_content(error.message.removeprefix('Postgres: '))}"
    try:
        kind = errors.lookup(error.code).__name__
    except KeyError:
        kind = "an error"
    return f"Postgres cannot answer it: {kind}, SQLSTATE {error.code}"


def _value(rows: list[tuple[Any, ...]]) -> Answer:
    if len(rows) != 1:
        raise SourceError(f"it gives {'more than one row' if rows else 'no row'}", _CURE)
    if len(rows[0]) != 1:
        raise SourceError(f"it gives {len(rows[0])} columns", _CURE)
    (value,) = rows[0]
    if value is None:
        raise SourceError("it gives NULL", f"{_CURE}; coalesce says what NULL is to mean")
    if isinstance(value, Decimal):
        return int(value) if value.is_finite() and value == value.to_integral_value() else float(value)
    if isinstance(value, bool | int | float):
        return value
    raise SourceError("it gives neither a boolean nor a number", _CURE)
