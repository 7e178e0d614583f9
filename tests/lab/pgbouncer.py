"""pgbouncer before a Postgres server: every database of it, pooled by transaction."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import psycopg2

from tests.lab import debian
from tests.lab.postgres import Postgres
from tests.lab.server import HOST, Server, free_ports


class Pgbouncer(Server):
    name = "pgbouncer"
    unprivileged = True  # it refuses root

    def __init__(self, behind: Postgres) -> None:
        self.unpacked = debian.unpack("pgbouncer")
        super().__init__()
        self.behind = behind
        (self.port,) = free_ports(1)

    def prepare(self) -> None:
        (self.folder / "users").write_text(f'"{self.behind.user}" "{self.behind.password}"\n')
        (self.folder / "pgbouncer.ini").write_text(
            f"[databases]\n* = host={HOST} port={self.behind.port}\n"
            f"[pgbouncer]\nlisten_addr = {HOST}\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = scram-sha-256\nauth_file = {self.folder}/users\npool_mode = transaction\n"
            "ignore_startup_parameters = extra_float_digits,options\n"
        )
        for file in self.folder.iterdir():
            file.chmod(0o644)

    def argv(self) -> Sequence[str | Path]:
        return [self.unpacked / "usr/sbin/pgbouncer", self.folder / "pgbouncer.ini"]

    def surroundings(self) -> dict[str, str]:
        return {**super().surroundings(), "LD_LIBRARY_PATH": debian.libraries(self.unpacked)}

    def ready(self) -> None:
        psycopg2.connect(self.url("postgres")).close()

    def url(self, database: str) -> str:
        """With the password in it."""
        user, secret = (quote(text, safe="") for text in (self.behind.user, self.behind.password))
        return f"postgresql://{user}:{secret}@{HOST}:{self.port}/{quote(database)}"
