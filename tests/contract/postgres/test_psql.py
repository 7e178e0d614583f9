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
from tests.unit.test_plain import BITS

ECHO = b"\\echo "


@dataclass(frozen=True)
class Psql:
    server: Postgres
    database: str

    def ran(self, text: bytes) -> list[int]:
        """The numbers that its \\echo said."""
        done = subprocess.run(
            [
                self.server.bin / "psql",
                "-Xq",
                "-vON_ERROR_ROLLBACK=on",
                "-d",
                engine(self.server, self.database).address.conninfo(),
            ],
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


def numbered(bits: list[bytes]) -> bytes:
    """Each \\echo says which one it is, and some end their line."""
    numbers = iter(range(len(bits)))
    return b"".join(bit + b"m%d " % next(numbers) if bit.strip() == ECHO.strip() else bit for bit in bits)


TEXTS = st.lists(
    st.sampled_from([*BITS, *[ECHO] * 6, b"\\;", b"\n", b"\n", b"U&'", b"::", b"--\r", b"$1"]), max_size=40
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS.map(numbered))
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
    if match := re.match(rb"\\echo m(\d+) *\Z", first.text):
        assert int(match[1]) in ran
