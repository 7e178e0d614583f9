"""Postgres's own programs: which installation goes with a server, and how they are called. Nothing is run here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from killick.engines.postgres.address import Address
from killick.engines.postgres.session import LOCK_WAIT
from killick.errors import Unsupported
from killick.process import Command
from killick.programs import Program, installed

FOLDER = "postgres"  # inside the archive: what pg_dump wrote


@dataclass(frozen=True)
class Client:
    """One installation of the client programs. `warnings` tell how it differs from the server."""

    program: Program
    warnings: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        return ".".join(str(part) for part in self.program.version)

    @property
    def major(self) -> int:
        return self.program.major

    def dump(
        self, address: Address, folder: Path, jobs: int, snapshot: str, encoding: str, flags: Iterable[str] = ()
    ) -> Command:
        """`encoding` is the database's own: a client_encoding that the database or the role sets would alter rows."""
        return self._command(
            "pg_dump",
            address,
            "--format=directory",
            "--compress=0",
            f"--jobs={jobs}",
            f"--snapshot={snapshot}",
            f"--encoding={encoding}",
            f"--lock-wait-timeout={LOCK_WAIT}",
            "--no-sync",
            *flags,
            f"--file={folder / FOLDER}",
            f"--dbname={address.conninfo()}",
        )

    def dump_schema(self, address: Address, encoding: str) -> Command:
        return self._command(
            "pg_dump",
            address,
            "--schema-only",
            "--no-tablespaces",
            f"--encoding={encoding}",
            f"--lock-wait-timeout={LOCK_WAIT}",
            f"--dbname={address.conninfo()}",
        )

    def restore(self, address: Address, folder: Path, *flags: str) -> Command:
        dbname = f"--dbname={address.conninfo()}"
        return self._command("pg_restore", address, "--exit-on-error", *flags, dbname, str(folder / FOLDER))

    def archive_schema(self, folder: Path) -> Command:
        return self._command("pg_restore", None, "--schema-only", "--no-tablespaces", "--file=-", str(folder / FOLDER))

    def listing(self, folder: Path, *flags: str) -> Command:
        return self._command("pg_restore", None, "--list", *flags, str(folder / FOLDER))

    def text(self, folder: Path, *flags: str, file: str = "-") -> Command:
        return self._command("pg_restore", None, f"--file={file}", *flags, str(folder / FOLDER))

    def script(self, address: Address, path: Path) -> Command:
        """In one transaction, up to the first error; terse: without the rows that DETAIL and CONTEXT quote."""
        flags = ("--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", "--set=VERBOSITY=terse")
        return self._command("psql", address, *flags, f"--file={path}", f"--dbname={address.conninfo()}")

    def _command(self, name: str, address: Address | None, *arguments: str) -> Command:
        """PGTZ: timestamps in a dump are then UTC, whatever the database or the role has set; a script's are not."""
        env = self.program.environment()
        password = ""
        if address is not None:
            env |= address.environment() if name == "psql" else {"PGTZ": "UTC", **address.environment()}
            password = address.password
            arguments = ("--no-password", *arguments)
        return Command((str(self.program.beside(name)), *arguments), env=env, secrets=(password,) if password else ())


def version(number: int) -> str:
    """150020 → 15.20"""
    return f"{number // 10000}.{number % 10000}"


def client_for(server: int, major: int = 0) -> Client:
    """The client for a server of that server_version_num: its own major, else the next newer one.

    `major` asks for a newer one, where it is there. Raises Unsupported when every client is older.
    A newer pg_dump writes settings that an older server rejects, hence the warning; an older minor may write
    options of columns that it does not understand.
    """
    there = installed("pg_dump")
    wanted = server // 10000
    exact = [p for p in there if p.major == max(major, wanted)] or [p for p in there if p.major == wanted]
    if exact:
        return Client(exact[0], _minor(exact[0], server))
    newer = [p for p in there if p.major > wanted]
    if not newer:
        have = ", ".join(sorted({str(p.major) for p in there})) or "none"
        raise Unsupported(
            f"the server is Postgres {version(server)} and every client here is older ({have})",
            f"use an image that has the clients of {wanted}, or name their folder in PROGRAMS",
        )
    nearest = min(newer, key=lambda p: (p.major, tuple(-n for n in p.version)))
    return Client(
        nearest,
        (
            f"pg_dump {'.'.join(map(str, nearest.version))} dumps a server of {version(server)}, since that major is"
            " not installed here: the dump may need a server as new as the client",
        ),
    )


def reader() -> Client:
    """The newest client, which reads what any older one wrote. Raises Unsupported where there is no pg_restore."""
    there = installed("pg_restore")
    if not there:
        raise Unsupported("there is no pg_restore here", "use killick's image, or name its folder in PROGRAMS")
    return Client(there[0])


def _minor(program: Program, server: int) -> tuple[str, ...]:
    if program.major == server // 10000 and program.version[1] < server % 10000:
        said = ".".join(map(str, program.version))
        return (f"pg_dump {said} is an older minor than the server's {version(server)}: update the image",)
    return ()
