"""The sources that the environment names: databases first, then folders; `db` first of all."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import quote

from killick import engines
from killick.engines import Source
from killick.errors import SettingsError
from killick.settings import urls, values
from killick.settings.environ import Reader

DEFAULT = "db"
FILES = "file"
"""The scheme of the engine that archives folders: set by FILES_<NAME>, never by a URL."""


class Sources:
    """Collects sources by name; what is wrong with one becomes a problem of the reader's."""

    def __init__(self, read: Reader, schemes: Collection[str]) -> None:
        self._read = read
        self._schemes = sorted(set(schemes) - {FILES})
        self._evidence = read("EVIDENCE") or "dump"
        self._found: dict[str, Source] = {}
        self._by: dict[str, str] = {}

    def all(self) -> tuple[Source, ...]:
        self._databases()
        folders = list(self._read.family("FILES_"))
        if not self._read.given("DATABASE_URL"):
            self._official(wanted=not self._by and not folders)
        excludes = dict(self._read.family("EXCLUDE_"))
        for suffix, folder in folders:
            exclude = excludes.pop(suffix, ())
            self._add(f"FILES_{suffix}", suffix.lower(), f"{FILES}://{quote(str(folder))}", exclude=exclude)
        self._lonely("EXCLUDE_", excludes, "FILES_")
        return tuple(self._found.values())

    def _databases(self) -> None:
        password = self._read("DATABASE_PASSWORD")
        url = self._read("DATABASE_URL")
        if url is not None:
            self._database("DATABASE_URL", DEFAULT, url, password)
        elif password is not None and not self._read.given("DATABASE_URL"):
            self._problem("DATABASE_PASSWORD has no DATABASE_URL: set it, or take the password out")
        passwords = dict(self._read.family("DATABASE_PASSWORD_"))
        for suffix, url in self._read.family("DATABASE_URL_"):
            self._database(f"DATABASE_URL_{suffix}", suffix.lower(), url, passwords.pop(suffix, None))
        self._lonely("DATABASE_PASSWORD_", passwords, "DATABASE_URL_")

    def _database(self, variable: str, name: str, url: str, password: str | None) -> None:
        address = database(self._read, variable, url, password, self._schemes)
        if address is not None:
            self._add(variable, name, address.url, password=password or address.password)
        else:
            self._by.setdefault(name, variable)

    def _official(self, *, wanted: bool) -> None:
        """POSTGRES_HOST and its kin; without a host they are the database's own, read from a shared env_file."""
        if not self._read.given("POSTGRES_HOST"):
            if wanted and any(self._read.given(f"POSTGRES_{part}") for part in ("DB", "USER", "PASSWORD")):
                self._problem("POSTGRES_HOST is not set: give the database's host, as in POSTGRES_HOST=db")
            return
        host, port, user = self._read("POSTGRES_HOST"), self._read("POSTGRES_PORT"), self._read("POSTGRES_USER")
        name, password = self._read("POSTGRES_DB"), self._read("POSTGRES_PASSWORD")
        if host and port and user:
            host = f"[{host}]" if host.count(":") > 1 else quote(host, safe="")
            url = f"postgres://{quote(user, safe='')}@{host}:{port}/{quote(name or user, safe='')}"
            self._add("POSTGRES_HOST", DEFAULT, url, password=password or "")

    def _add(self, variable: str, name: str, url: str, password: str = "", exclude: tuple[str, ...] = ()) -> None:
        if not values.SLUG.fullmatch(name):
            self._problem(f"{variable}: {name!r} is no name for a source: letters, digits and _ only")
        elif name in self._by:
            self._problem(f"{variable} and {self._by[name]} both name the source {name!r}: rename one")
        else:
            self._by[name] = variable
            self._found[name] = Source(name, url, password, exclude=exclude, evidence=self._evidence)

    def _lonely(self, family: str, left: Collection[str], partner: str) -> None:
        for suffix in left:
            if not self._read.given(partner + suffix):
                self._problem(f"{family}{suffix} has no {partner}{suffix}: set it, or take {family}{suffix} out")

    def _problem(self, text: str) -> None:
        self._read.problems.append(text)


def database(
    read: Reader, variable: str, url: str, password: str | None, schemes: Collection[str]
) -> urls.Address | None:
    """None, and a problem more, where the URL is not one that an engine answers to."""
    try:
        address = urls.split(url)
    except ValueError as error:
        read.problems.append(f"{variable} {error}")
        return None
    problem = _problem(address, schemes)
    if password and address.password:
        twin = variable.replace("URL", "PASSWORD", 1)
        problem = f"holds a password, and {twin} is set too: keep one of them"
    if problem:
        read.problems.append(f"{variable} {problem}")
        return None
    return address


def _problem(address: urls.Address, schemes: Collection[str]) -> str:
    if address.scheme not in schemes:
        known = ", ".join(f"{s}://" for s in schemes)
        return f"begins with {address.scheme}://, which no engine answers to: write one of {known}"
    if not address.hosts and "host=" not in address.url:
        return f"names no host: write {address.scheme}://user@host/name"
    if address.scheme.startswith("post") and not address.database and "dbname=" not in address.url:
        return "names no database: write postgres://user@host:5432/name"
    return ""


def folder(text: str) -> str:
    """The URL of a folder that is written as one, or as its path; "" for anything else."""
    return f"file://{quote(text)}" if text.startswith("/") else text if text.startswith("file://") else ""


def target(text: str) -> Source:
    """What --into names: a database's URL, file:///folder or just /folder. Raises SettingsError with the cure."""
    if url := folder(text):
        return Source("restore", url)
    read = Reader({})
    address = database(read, "--into", text, None, sorted(engines.modules().keys() - {"file"}))
    if address is None:
        raise SettingsError(read.problems, "as in --into postgres://user@host/name")
    return Source("restore", address.url, password=address.password)
