"""The climb of an archive that a script made: what can be known without a manifest.

0  it is there, and of the size that the store's listing says: nobody took a checksum
1  every layer decodes, and what is inside is one whole dump
2  it restores without an error
3  every table (collection, extension) that the dump names is in the copy, with as many rows as the dump holds
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace

from killick import throwaway
from killick.bring import Opened
from killick.catalog import Backup
from killick.compare import Mismatch
from killick.contents import Contents
from killick.engines import connect
from killick.errors import Unverifiable
from killick.manifest import Manifest
from killick.older.opening import fetch_older, open_older
from killick.programs import installed, numbers
from killick.stores import Store
from killick.stream import Scratch
from killick.watch import Phases
from verify.climb import proven_empty
from verify.deadline import Deadline
from verify.found import Found
from verify.options import Options

HIGHEST = 3
_SERVERS = {"postgres": ("postgres", "18"), "mongodb": ("mongod", "6.0")}
"""By engine: its server's program, and which version's image is taken where the dump tells none."""


def climb(
    store: Store, backup: Backup, options: Options, level: int, found: Found, phases: Phases, deadline: Deadline
) -> None:
    """As verify.climb. Refused is for the caller to tell from a failure: a dump that must not be loaded."""
    with Scratch(options.scratch).folder() as folder:
        path = fetch_older(store, backup, folder, phases)
        found.reached = 0
        if level == 0:
            return
        opened = open_older(path, backup, folder, phases)
        found.manifest = opened.manifest
        found.warnings += opened.manifest.warnings
        found.reached = 1
        if level > 1:
            _in_throwaway(opened, options, level, found, phases, deadline)


def _in_throwaway(
    opened: Opened, options: Options, level: int, found: Found, phases: Phases, deadline: Deadline
) -> None:
    with ExitStack() as stack:
        with phases.phase("start"):
            fitting = _fitting(opened.manifest, options.where)
            copy = stack.enter_context(throwaway.throwaway(fitting, options.scratch, options.where, options.terms))
            found.copy = copy
            found.warnings += [*_of_another(opened.manifest, copy.version), *copy.notes]
            stack.enter_context(deadline.ends(copy.kill))
            engine = connect(copy.source)
            found.empty = proven_empty(engine)
        with phases.phase("restore") as watch:
            found.notes += engine.load(opened.folder, options.jobs, opened.contents, watch)
        found.reached = 2
        if level > 2:
            with phases.phase("compare"):
                found.tables, found.rows = len(opened.contents.tables), opened.contents.rows
                found.mismatches += missing(opened.contents, engine.contents())
            found.reached = 2 if found.mismatches else HIGHEST


def _fitting(manifest: Manifest, where: str) -> Manifest:
    """What the throwaway is to be like: of the dump's own series, else of the next one that there is a server of.

    A dump of 2016 goes into today's servers; the older they are the better the chance. Raises Unverifiable.
    """
    name = "copy" if manifest.engine == "postgres" else manifest.database  # the dump's may be that of a template
    lacking: Unverifiable | None = None
    for version in _versions(manifest):
        fitting = replace(manifest, server_version=version, database=name)
        try:
            throwaway.pick(fitting, where)
        except Unverifiable as error:
            if error.reason != "version":
                raise
            lacking = lacking or error
        else:
            return fitting
    raise lacking or Unverifiable(f"no server for a dump of {manifest.engine}", reason="version")


def _versions(manifest: Manifest) -> list[str]:
    """In the order in which they are tried."""
    program, untold = _SERVERS[manifest.engine]
    told = numbers(manifest.server_version)
    here = [one.version for one in installed(program)]
    if not told:
        return [*map(_dotted, here), untold]
    newer = sorted(version for version in here if version >= told)
    return [manifest.server_version, *map(_dotted, newer), *(_dotted(v) for v in here if v < told)]


def _of_another(manifest: Manifest, version: str) -> Iterator[str]:
    told = numbers(manifest.server_version)
    if not told:
        yield f"the dump does not tell its server's version: {version} was taken"
    elif told[0] != numbers(version)[0]:
        yield f"the dump is of a server {_dotted(told)}, and was restored into {version}"


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def missing(dump: Contents, copy: Contents) -> Iterator[Mismatch]:
    """What the dump names and the copy lacks, or has another number of rows of.

    Rows are counted by family, under the topmost table: which partition takes a row is the server's to say.
    """
    for name in dump.groups.get("extensions", {}):
        if name not in copy.groups.get("extensions", {}):
            yield Mismatch(name, "extensions", "present", "absent", HIGHEST)
    tops = {name: table.ancestors[-1] for name, table in copy.tables.items() if table.ancestors}
    expected, got = _families(dump, tops), _families(copy, tops)
    for name in sorted(expected):
        if name not in got:
            yield Mismatch(name, "table", "present", "absent", HIGHEST)
        elif expected[name] != got[name]:
            yield Mismatch(name, "rows", str(expected[name]), str(got[name]), HIGHEST)


def _families(contents: Contents, tops: Mapping[str, str]) -> Counter[str]:
    rows: Counter[str] = Counter()
    for name, table in contents.tables.items():
        rows[tops.get(name, name)] += table.rows
    return rows
