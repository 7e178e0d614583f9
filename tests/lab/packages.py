"""Real data for benches: which file is in which of Debian's packages, and what the packages say of themselves."""

import subprocess
from collections.abc import Iterator
from itertools import islice
from typing import Any

from tests.lab import Missing
from tests.lab.cache import run
from tests.lab.debian import private_lists
from tests.lab.rows import copy

# As apt-file configures it: apt fetches them, from this machine's mirror, and checks the signatures.
CONTENTS = "Acquire::IndexTargets::deb::Contents-deb"
OPTIONS = {
    f"{CONTENTS}::MetaKey": "$(COMPONENT)/Contents-$(ARCHITECTURE)",
    f"{CONTENTS}::ShortDescription": "Contents-$(ARCHITECTURE)",
    f"{CONTENTS}::Description": "$(RELEASE)/$(COMPONENT) $(ARCHITECTURE) Contents (deb)",
    f"{CONTENTS}::KeepCompressed": "true",
}
TABLES = """
CREATE TABLE packages (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL, version text NOT NULL, architecture text NOT NULL, section text, priority text,
    maintainer text, homepage text, installed_kib bigint, bytes bigint, sha256 text, depends text, summary text
);
CREATE TABLE files (path text NOT NULL, section text, package text NOT NULL);
"""
INDEXES = "CREATE INDEX ON packages (name); CREATE INDEX ON files (package);"
FIELDS = {
    "Package": "name",
    "Version": "version",
    "Architecture": "architecture",
    "Section": "section",
    "Priority": "priority",
    "Maintainer": "maintainer",
    "Homepage": "homepage",
    "Installed-Size": "installed_kib",
    "Size": "bytes",
    "SHA256": "sha256",
    "Depends": "depends",
    "Description": "summary",
}


def load(connection: Any, rows: int | None = None) -> dict[str, int]:
    """Make and fill tables `packages` and `files`, the latter with at most `rows` rows; the rows of each.

    All of it (Debian 12, amd64) is 7.4 million rows and 930 MB; a million rows are 160 MB. Fetches the
    indexes (60 MB) once a day. Raises Missing where there is no Debian mirror. `connection` is psycopg2's,
    of somebody who may create tables.
    """
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(TABLES)
        options = _indexes()
        counts = {
            "packages": copy(cursor, f"packages ({', '.join(FIELDS.values())})", _packages(options)),
            "files": copy(cursor, "files (path, section, package)", islice(_files(options), rows)),
        }
        cursor.execute(INDEXES)
        cursor.execute("ANALYZE")
    return counts


def _indexes() -> tuple[str, ...]:
    """The apt options under which the indexes are there."""
    options = tuple(part for name, value in OPTIONS.items() for part in ("-o", f"{name}={value}"))
    return private_lists(*options)


def _packages(options: tuple[str, ...]) -> Iterator[tuple[object, ...]]:
    fields: dict[str, str] = {}
    for line in _lines(options, "Created-By: Packages"):
        if not line:
            yield tuple(fields.get(field) for field in FIELDS)
            fields = {}
        elif not line.startswith(" "):
            name, _, value = line.partition(": ")
            fields[name] = value


def _files(options: tuple[str, ...]) -> Iterator[tuple[object, ...]]:
    for line in _lines(options, "Created-By: Contents-deb"):
        path, _, owners = line.rpartition(" ")
        for owner in owners.split(","):
            section, _, package = owner.rpartition("/")
            yield path.rstrip(), section or None, package


def _lines(options: tuple[str, ...], kind: str) -> Iterator[str]:
    found = run("apt-get", *options, "indextargets", "--format", "$(FILENAME)", kind).split()
    if not found:
        raise Missing(f"apt knows no index of this kind here: {kind}")
    for index in sorted(found):
        reader = ["/usr/lib/apt/apt-helper", "cat-file", index]
        with subprocess.Popen(reader, stdout=subprocess.PIPE, text=True, errors="replace") as process:
            assert process.stdout is not None
            for line in process.stdout:
                yield line.rstrip("\n")
