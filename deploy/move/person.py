"""Whoever runs a move: told things, and asked. On a terminal; where there is none, by what the options said before."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager, nullcontext

import click

from killick.errors import Refused


class Person:
    """`given` are the words that were typed beforehand: --yes SITE, --done WORD. `aside` puts a live screen aside while
    a question stands there."""

    def __init__(
        self, given: Collection[str] = (), aside: Callable[[], AbstractContextManager[object]] = nullcontext
    ) -> None:
        self.given = frozenset(given)
        self.aside = aside

    def tell(self, lines: Iterable[str]) -> None:
        with self.aside():
            for line in lines:
                click.echo(line, err=True)

    def types(self, question: str, word: str) -> None:
        """Raises Refused when another word is typed, or when nobody is there and `word` was not given."""
        if word in self.given:
            self.tell([f"{question} {word}, by option"])
            return
        self._ask(question, word, f"--yes {word}")

    def done_by_hand(self, lines: Iterable[str], confirm: str) -> None:
        """Shows lines to paste, and waits until `confirm` is typed: they were done. Raises Refused as `types`."""
        self.tell(lines)
        if confirm in self.given:
            self.tell([f"done by hand: {confirm}, by option"])
            return
        self._ask("When that is done,", confirm, f"--done {confirm}")

    def _ask(self, question: str, word: str, option: str) -> None:
        if not sys.stdin.isatty():
            raise Refused(f"nobody is at a terminal to type {word!r}", f"give it beforehand: {option}")
        with self.aside():
            typed = ""
            while not typed:
                click.echo(f"{question} type {word}: ", err=True, nl=False)
                line = sys.stdin.readline()
                if not line:
                    raise Refused(f"the terminal ended before {word!r} was typed", f"or give it beforehand: {option}")
                typed = line.strip()
        if typed != word:
            raise Refused(f"{typed!r} was typed where {word!r} was asked for", "nothing was agreed to")
