"""The lexer of plain dumps beside psql itself: no text makes psql run a command that the lexer does not see."""

import re
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from killick.engines.postgres.plain.events import Command
from killick.engines.postgres.plain.lexer import Lexer
from tests.contract.postgres.conftest import engine
from tests.lab.postgres import Postgres

ECHO = b"\\echo m"
# Each is closed, or nearly, for who reads quotes as psql does: then it runs what follows.
PIECES = [
    *(b"'a'", b"'a''b'", b"'\\'", b"'\\''", b"E'a'", b"E'\\''", b"E'\\\\'", b"xe'\\'", b"U&'\\'", b"E'''\\''"),
    *(b"E'a'\r'\\''", b"E'a' --\r '\\''", b"E'a'\n'\\'", b"E'a' '\\'", b'"a"', b'"\\"', b'"a""b"', b'U&"\\"'),
    *(b"$$ ' $$", b"$a$ $$ ' $b$ $a$", b"a$$", b"1$$ ' $$", b"$1$$ ' $$", b"$$$$", b"$", b"$1", b"1e5$$ ' $$"),
    *(b"/* ' */", b"/* /* ' */ ' */", b"+/* ' */", b"/**/", b"-- '\n", b"-- '\r", b"---\n", b"-", b"/", b"\r", b" "),
    *(b"(", b")", b";", b"\n", b"\n", b"COPY t FROM stdin;\n'\n\\.\n", b"\nCOPY t FROM stdin;\n\\.x\n \\.\n\\.\n"),
    *(b"'", b'"', b"CREATE FUNCTION f() begin", b" end", b" case "),
]


def numbered(bits: list[bytes]) -> bytes:
    """Each \\echo says which one it is."""
    numbers = iter(range(len(bits)))
    return b"".join(b"%b%d\n" % (bit, next(numbers)) if bit == ECHO else bit for bit in bits)


TEXTS = st.lists(st.sampled_from(PIECES) | st.just(ECHO), max_size=12).map(numbered)


@dataclass(frozen=True)
class Psql:
    server: Postgres
    database: str

    def ran(self, text: bytes) -> list[int]:
        """The numbers that its \\echo said."""
        address = engine(self.server, self.database).address
        done = subprocess.run(
            [self.server.bin / "psql", "-Xq", "-vON_ERROR_ROLLBACK=on", "-d", address.conninfo()],
            env={"PGPASSWORD": self.server.password},
            input=text,
            capture_output=True,
        )
        return [int(number) for number in re.findall(rb"\bm(\d+)\b", done.stdout)]


@pytest.fixture(scope="module")
def psql(postgres16: Postgres) -> Iterator[Psql]:
    name = f"psql_{secrets.token_hex(4)}"
    postgres16.create(name)
    postgres16.execute("CREATE TABLE t (a text)", name)
    yield Psql(postgres16, name)
    postgres16.execute(f"DROP DATABASE {name} WITH (FORCE)")


@settings(
    max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(TEXTS)
def test_psql_runs_nothing_that_is_not_seen(psql: Psql, text: bytes) -> None:
    """Up to the first command: what is behind it depends on what that one does."""
    ran = psql.ran(text)
    lexer = Lexer([text])
    first = next((e for e in lexer if isinstance(e, Command) and e.text != b"\\."), None)
    if first is None:
        assert ran == []
        return
    before = text[: lexer.offset - len(first.text)].count(ECHO)
    assert all(number >= before for number in ran)
    if first.text.startswith(ECHO):
        assert before in ran
