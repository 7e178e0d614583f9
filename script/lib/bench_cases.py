"""What `script/bench` measures: killick's verbs, and the tools that they are made of, each as whole processes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from killick.codecs import CODECS, Choice, decode_command, encode_command
from script.lib.project import ROOT, Project
from script.lib.usage import Usage, use

JOBS = len(os.sched_getaffinity(0))
KILLICK = ROOT / ".venv/bin/killick"
LRZIP = Choice.of("lrzip")
DUMP = "dump.tar"
VARIANTS = {
    "lrzip, as it comes (lzma, -L7)": (),
    "lrzip -b -L3": ("-b", "-L3"),
    "lrzip -b -L3 -w1": ("-b", "-L3", "-w1"),
    "lrzip -g -L3 -w1": ("-g", "-L3", "-w1"),
}


@dataclass
class Bench:
    """`folder` is scratch; `sizes` holds the bytes of whatever was made, by the name of its case."""

    project: Project
    folder: Path
    sizes: dict[str, int] = field(default_factory=dict)
    copies: int = 0

    @property
    def env(self) -> dict[str, str]:
        env = {name: value for name, value in self.project.environment.items() if name != "FILES_UPLOADS"}
        return {**env, "SCRATCH_DIR": str(self.folder / "scratch"), "METRICS_PORT": "off"}

    def run(self, *argv: str | Path, env: dict[str, str] | None = None) -> Usage:
        return use(argv, env={**self.env, **(env or {})}, cwd=self.folder)

    def killick(self, *argv: str, env: dict[str, str] | None = None) -> Usage:
        return self.run(KILLICK, *argv, env=env)

    def shell(self, command: str) -> Usage:
        return self.run("bash", "-euo", "pipefail", "-c", command)

    # The parts, as killick calls them: same programs, same flags, same bytes.

    def dump(self) -> Usage:
        self.forget("dump")
        flags = ("--format=directory", "--compress=0", f"--jobs={JOBS}", "--no-sync", f"--file={self.folder}/dump")
        return self.run("pg_dump", *flags, "shop")

    def tar(self) -> Usage:
        self.forget("dump.tar")
        took = self.run("tar", "-cf", "dump.tar", "dump")
        self.sizes["raw"] = self.size("dump.tar")
        return took

    def codec(self) -> Usage:
        command = encode_command(LRZIP, self.folder / "dump.tar", self.folder / "dump.tar.lrz")
        took = self.run(*command.argv)
        self.sizes["codec"] = self.size("dump.tar.lrz")
        return took

    def decode(self) -> Usage:
        """As a user does."""
        return self.run("lrzip", "-q", "-f", "-d", "-o", "back.tar", "dump.tar.lrz")

    def decode_through(self) -> Usage:
        """As killick does."""
        command = decode_command(CODECS["lrzip"], self.folder / "dump.tar.lrz", self.folder)
        with (self.folder / "back.tar").open("wb") as out:
            return use(command.argv, env=self.env, cwd=self.folder, stdout=out)

    def untar(self) -> Usage:
        self.forget("back")
        (self.folder / "back").mkdir()
        return self.run("tar", "-xf", "back.tar", "-C", "back")

    def pg_restore(self) -> Usage:
        into = self._fresh()
        took = self.run("pg_restore", f"--jobs={JOBS}", f"--dbname={into}", "back/dump")
        self.run("dropdb", into)
        return took

    # killick, whole

    def backup(self, **settings: str) -> Usage:
        return self.killick("backup", env=settings)

    def restore(self) -> Usage:
        into = f"copy{self.copies}"
        self.copies += 1
        url = self.project.environment["DATABASE_URL"].removesuffix("shop") + into
        took = self.killick("restore", "--into", url)
        self.run("dropdb", into)
        return took

    def verify(self) -> Usage:
        return self.killick("verify", "--level", "4")

    # what else one would use

    def pipe_zstd(self) -> Usage:
        took = self.shell("pg_dump shop | zstd -q -3 -T0 -f -o pipe.zst")
        self.sizes["pipe"] = self.size("pipe.zst")
        return took

    def older_scripts(self) -> Usage:
        """pg_dump into a file, `docker cp` of it (here cp), lrzip as it comes."""
        took = self.shell("pg_dump -f db.sql shop && cp db.sql site.sql") + self.variant("older", (), "site.sql")
        for name in ("db.sql", "site.sql"):
            self.forget(name)
        return took

    def variant(self, name: str, flags: Sequence[str], file: str) -> Usage:
        argv = ("lrzip", "-q", "-f", *flags, "-o", "variant.lrz", file)
        took = use(argv, env=self.env, cwd=self.folder, sampled=True)
        self.sizes[name] = self.size("variant.lrz")
        return took

    def paths(self) -> str:
        """A file of the paths alone."""
        self.shell("psql -qXd shop -c 'COPY (SELECT path, section, package FROM files) TO STDOUT' >paths.txt")
        return "paths.txt"

    def decode_variant(self) -> Usage:
        return self.run("lrzip", "-q", "-f", "-d", "-o", "back.tar", "variant.lrz")

    def part(self, name: str, rows: int) -> None:
        """A database with the first so many of the files."""
        self.run("createdb", "-T", "template0", name)
        self.shell(
            f"pg_dump -st files shop | psql -qXd {name} >/dev/null\n"
            f"psql -qXd shop -c 'COPY (SELECT * FROM files LIMIT {rows}) TO STDOUT' |"
            f" psql -qXd {name} -c 'COPY files FROM STDIN'"
        )

    def size(self, name: str) -> int:
        return (self.folder / name).stat().st_size

    def forget(self, name: str) -> None:
        path = self.folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def _fresh(self) -> str:
        name = f"copy{self.copies}"
        self.copies += 1
        self.run("createdb", "-T", "template0", name)
        return name


def rounds(bench: Bench) -> dict[str, Callable[[], Usage]]:
    """The cases of one round, in an order in which each finds what it needs: a restore the newest backup.

    A whole stands right behind its parts, so that both find the machine alike: after a restore the disk is still
    being written to for a while.
    """
    return {
        "dump": bench.dump,
        "tar": bench.tar,
        "codec": bench.codec,
        "backup off": lambda: bench.backup(READ_BACK="off"),
        "pipe": bench.pipe_zstd,
        "backup zstd": lambda: bench.backup(READ_BACK="off", CODEC="zstd"),
        "restore zstd": bench.restore,
        "decode": bench.decode,
        "decode through": bench.decode_through,
        "backup on": bench.backup,
        "untar": bench.untar,
        "pg_restore": bench.pg_restore,
        "restore": bench.restore,
        "verify": bench.verify,
        "help": lambda: bench.killick("--help"),
    }
