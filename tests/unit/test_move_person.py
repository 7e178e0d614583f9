"""Whoever is asked, on a real terminal and without one."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from deploy.move.person import Person
from killick.errors import Refused
person = Person(sys.argv[2:])
try:
    if sys.argv[1] == "types":
        person.types("It moves. To agree,", "shop.example")
    else:
        person.done_by_hand(["disable shop-prod in Jenkins"], "frozen")
except Refused as error:
    print("REFUSED", error, file=sys.stderr)
    sys.exit(5)
"""
ROOT = Path(__file__).parents[2]


def on_a_terminal(what: str, typed: bytes, *given: str, program: str = PROGRAM) -> tuple[int, str]:
    master, slave = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", program, what, *given],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=ROOT,
        env={**os.environ, "TERM": "xterm"},
    ) as process:
        os.close(slave)
        os.write(master, typed)
        said = b""
        while True:
            try:
                chunk = os.read(master, 4096)
            except OSError:  # EIO: the other end is closed
                break
            if not chunk:
                break
            said += chunk
        process.wait(60)
    os.close(master)
    return process.returncode, said.decode()


def without(what: str, *given: str) -> tuple[int, str]:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, what, *given], input="shop.example\nfrozen\n", capture_output=True, text=True,
        cwd=ROOT, timeout=60,
    )  # fmt: skip
    return ran.returncode, ran.stderr


def test_the_word_is_typed() -> None:
    code, said = on_a_terminal("types", b"shop.example\n")
    assert code == 0 and "It moves. To agree, type shop.example:" in said


def test_an_empty_line_is_asked_again() -> None:
    assert on_a_terminal("types", b"\n\n shop.example \n")[0] == 0


@pytest.mark.parametrize("typed", [b"y\n", b"shop.exampl\n", b"\x04", b"SHOP.EXAMPLE\n"])
def test_another_word_is_a_no(typed: bytes) -> None:
    code, said = on_a_terminal("types", typed)
    assert code == 5 and "REFUSED" in said


def test_what_is_done_by_hand_is_shown_and_confirmed() -> None:
    code, said = on_a_terminal("hand", b"frozen\n")
    assert code == 0 and said.index("disable shop-prod in Jenkins") < said.index("type frozen:")
    assert on_a_terminal("hand", b"no\n")[0] == 5


def test_without_a_terminal_only_options_count() -> None:
    """What comes through a pipe was typed by nobody."""
    for what, word, option in (("types", "shop.example", "--yes"), ("hand", "frozen", "--done")):
        code, said = without(what)
        assert code == 5 and f"give it beforehand: {option} {word}" in said
        assert without(what, "another")[0] == 5
        code, said = without(what, word)
        assert code == 0 and word in said
    assert "disable shop-prod in Jenkins" in without("hand", "frozen")[1]


def test_on_a_terminal_an_option_counts_too() -> None:
    assert on_a_terminal("types", b"", "shop.example")[0] == 0


SCREEN = """
from deploy.move import screen
from deploy.move.journal import Journal
from deploy.move.person import Person
journal = Journal(None, [])
journal.write("opened", "", id="1", site="shop.example")
shown = screen.made(journal, ["freeze", "decide"])
person = Person((), shown.aside)
with shown.shown():
    journal.write("begun", "freeze")
    shown.told("begun", "freeze")
    person.types("It moves. To agree,", "shop.example")
    journal.write("verified", "freeze", says="it is frozen")
    shown.told("verified", "freeze")
print("THE END")
"""


def test_a_question_stands_alone_on_a_live_screen() -> None:
    code, said = on_a_terminal("-", b"shop.example\n", program=SCREEN)
    assert code == 0, said
    asked = said.index("type shop.example:")
    answered = said.index("it is frozen")
    assert "works" in said[:asked] and "\x1b[" in said[:asked]
    drawn = said[asked:answered].partition("\n")[0]
    assert "freeze" not in drawn  # nothing was drawn over the question before its answer
    assert said.rstrip().endswith("THE END")
