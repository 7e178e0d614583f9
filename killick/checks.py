"""The project's own checks (`checks.d`): files that each ask a database for one value, and how that has to be.

In the first lines of a file, which are comments, stand its bounds and what is told when it does not hold:
    -- says: the newest order is more than a day old
    -- max: 86400
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

from killick import dropins
from killick.engines import Answer
from killick.errors import SettingsError, SourceError
from killick.settings.values import duration

_COMMENTS = {".sql": "--", ".js": "//"}
SECONDS = 60.0


@dataclass(frozen=True)
class Check:
    """`name` is the file's below the folder; `least` and `most` are None where the answer is to be true.

    `says` is told when it does not hold, `seconds` are what its answer may take.
    """

    name: str
    text: str
    least: Decimal | None = None
    most: Decimal | None = None
    says: str = ""
    seconds: float = SECONDS

    @property
    def suffix(self) -> str:
        return Path(self.name).suffix

    @property
    def own(self) -> bool:
        """Whether it lies in its source's own folder."""
        return "/" in self.name

    @property
    def expected(self) -> str:
        if self.least is not None and self.most is not None:
            return f"between {self.least} and {self.most}"
        if self.least is not None:
            return f"at least {self.least}"
        return "true" if self.most is None else f"at most {self.most}"

    def holds(self, answer: Answer) -> bool:
        """Raises SourceError, with a sentence about "it", for an answer that cannot be held against the bounds."""
        bounds = [bound for bound in (self.least, self.most) if bound is not None]
        if isinstance(answer, bool):
            if bounds:
                raise SourceError("it gives a boolean, and has bounds", "take the bounds out, or let it give a number")
            return answer
        if not bounds:
            mark = _COMMENTS[self.suffix]
            raise SourceError("it gives a number, and has no bounds", f"begin it with {mark} min: or {mark} max:")
        # a bound is decimal, and a float of the same digits is not: 0.1 is above 0.1 then
        number = Decimal(answer) if isinstance(answer, int) else Decimal(str(answer))
        if number.is_nan():
            return False
        return (self.least is None or number >= self.least) and (self.most is None or number <= self.most)


def read(folder: Path, source: str) -> tuple[Check, ...]:
    """Those of `folder`, for every source, and of the folder in it that is named like the source; by their names.

    None where there is no such folder. Raises SettingsError with every file that cannot be one.
    """
    checks, problems = [], []
    for path in sorted((*dropins.files(folder), *dropins.files(folder / source)), key=lambda path: (path.name, path)):
        try:
            checks.append(_check(path, str(path.relative_to(folder))))
        except ValueError as error:
            problems.append(f"{path}: {error}")
    if problems:
        raise SettingsError(problems, "docs/verify.md says how a check is written")
    return tuple(checks)


def _check(path: Path, name: str) -> Check:
    """Raises ValueError with a sentence."""
    mark = _COMMENTS.get(path.suffix)
    if mark is None:
        raise ValueError(f"it is no check ({', '.join(_COMMENTS)}): rename it, or move it elsewhere")
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise ValueError(f"it cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    said = _said(text, mark)
    check = Check(
        name, text, _bound(said, "min"), _bound(said, "max"), said.get("says", ""),
        duration(said["timeout"]) if "timeout" in said else SECONDS,
    )  # fmt: skip
    if check.least is not None and check.most is not None and check.least > check.most:
        raise ValueError("its min is above its max")
    return check


def _said(text: str, mark: str) -> dict[str, str]:
    """What stands in the comments before the first line that is none, by the word before the colon."""
    found = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        if not line.startswith(mark):
            break
        word, colon, value = line.removeprefix(mark).partition(":")
        if colon:
            found[word.strip().lower()] = value.strip()
    return found


def _bound(said: dict[str, str], word: str) -> Decimal | None:
    if word not in said:
        return None
    try:
        bound = Decimal(said[word])
    except InvalidOperation:
        bound = Decimal("NaN")
    if not bound.is_finite():
        raise ValueError(f"its {word} is no number: {said[word]!r}")
    return bound
