"""Which statements of a dump go to the server, and what is said of those that do not. Pure."""

from __future__ import annotations

from collections.abc import Collection

from killick.contents import Contents
from killick.engines.postgres.plain import statements
from killick.engines.postgres.plain.statements import Kind, Words


class Choice:
    """`settings` and `tablespaces` are those that the server has, `major` is its own.

    `owners` and `rows` as in killick.engines.Source. `clearing` is to be set to False when the first thing is made.
    """

    def __init__(
        self, major: int, settings: Collection[str], tablespaces: Collection[str], *, owners: bool, rows: bool
    ) -> None:
        self.major, self.settings, self.tablespaces = major, settings, tablespaces
        self.owners, self.rows = owners, rows
        self.clearing = True
        self._left: dict[Kind, dict[str, None]] = {}
        self._no_tablespace: dict[str, None] = {}

    def kind(self, said: Words) -> Kind:
        return statements.kind(said, clearing=self.clearing)

    def takes(self, kind: Kind, said: Words) -> bool:
        """Whether such a statement is to be run; what is not is remembered for `notes`."""
        match kind:
            case Kind.OTHER:
                return True
            case Kind.ROWS:
                return self.rows
            case Kind.OWNER | Kind.SUBSCRIPTION if self.owners:
                return True
            case Kind.SETTING:
                name, value = statements.setting(said)
                if name == "default_tablespace":
                    return self._has_tablespace(value)
                if name in self.settings:
                    return True
                self._left.setdefault(kind, {})[name] = None
            case _:
                self._left.setdefault(kind, {})[statements.title(said)] = None
        return False

    def _has_tablespace(self, value: Words) -> bool:
        name = statements.value(value)
        if name in ("", "default") or name in self.tablespaces:
            return True
        self._no_tablespace[name] = None
        return False

    def notes(self, contents: Contents) -> list[str]:
        """Sentences on what is not as the dump says."""
        of = int(contents.loose.get("versions", {}).get("server", 0))
        found = [f"the dump is of Postgres {of}, and the server here is {self.major}"] if of > self.major else []
        for kind, sentence in (
            (Kind.SETTING, f"left out, since Postgres {self.major} has no such setting: {{}}"),
            (Kind.CLEARING, "left out, since the database is empty: what --clean drops first"),
            (Kind.SUBSCRIPTION, "left out, since a copy must not fetch from elsewhere: subscriptions"),
        ):
            if kind in self._left:
                found.append(sentence.format(", ".join(self._left[kind])))
        if Kind.OWNER in self._left:
            named = f"; they name {', '.join(contents.roles)}" if contents.roles else ""
            found.append(f"owners and grants are left out{named}")
        if self._no_tablespace:
            found.append(f"no tablespace {', '.join(self._no_tablespace)} here: all lies in the default one")
        return found
