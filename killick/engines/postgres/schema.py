"""A fingerprint of the schema from the text that pg_dump writes of it: more than any catalog query would remember.

The text is cut at pg_dump's own headings into entries; each is hashed without what may rightly differ between a
database and its copy. Both texts must come from the same major of the client programs.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping

from killick.process import Command, read_from

_HEADING = re.compile(r"-- (?:Data for )?Name: (.*); Type: (.*?); Schema: (.*?); Owner: ?(.*?)(?:; Tablespace: .*)?")
_BODY = re.compile(r"    AS (\$\w*\$)")
# None of these ends as the last line of an object's own text does: that one has its semicolon, after a quote.
_STATE = re.compile(
    r"SET default_(tablespace|table_access_method|with_oids) = (''|\w+|\".*\");|\\unrestrict \w+|--(.*[^;])?|"
)
_NEVER = ("SEQUENCE SET", "BLOB", "BLOBS", "BLOB METADATA", "LARGE OBJECT", "MATERIALIZED VIEW DATA")
# Releases of November 2026 keep a private option on columns, which an older minor of pg_dump writes out.
_ATTVER = re.compile(
    r"^ALTER (?:FOREIGN )?(?:TABLE|MATERIALIZED VIEW|VIEW)(?: ONLY)? .* ALTER COLUMN .* SET \(pg_attver=\d+\);\n", re.M
)
_ATTVER_AMONG = re.compile(r"pg_attver='?\d+'?, |, pg_attver='?\d+'?(?=\))")
_INHERITS = re.compile(r"^(CREATE (?:UNLOGGED |FOREIGN )?TABLE [^\n]*\(\n)(.*?)(\n\)\n?INHERITS )", re.S | re.M)
_DEPARSED = ("VIEW ", "MATERIALIZED VIEW ", "RULE ", "FOREIGN TABLE ")

Groups = dict[str, dict[str, str]]


def fingerprint(command: Command) -> Groups:
    """The groups schema, owners, grants and subscriptions, from the text that `command` prints."""
    with read_from(command) as chunks:
        text = b"".join(chunks).decode("utf-8", "backslashreplace")
    return entries(text)


def entries(text: str) -> Groups:
    found: dict[str, dict[str, list[str]]] = {"schema": {}, "owners": {}, "grants": {}, "subscriptions": {}}
    for kind, name, owner, body in _cut(_ATTVER_AMONG.sub("", _ATTVER.sub("", text))):
        if kind.endswith(" DATA") or kind in _NEVER:
            continue
        label = f"{kind} {name}"
        statement, owned = _without_owner(body)
        if kind == "SUBSCRIPTION":
            found["subscriptions"].setdefault(label, []).append(body)
            continue
        group = "grants" if kind == "ACL" or kind.endswith(" ACL") else "schema"
        found[group].setdefault(label, []).append(_normal(kind, statement))
        if owned:
            found["owners"].setdefault(label, []).append(owner)
    return {
        group: {
            label: " ".join(sorted(set(parts))) if group == "owners" else _digest(parts)
            for label, parts in sorted(labels.items())
        }
        for group, labels in found.items()
    }


def of_another_major(own: Groups, theirs: Mapping[str, Mapping[str, str]]) -> Groups:
    """For a server of another major, which writes some kinds anew: these are compared by existence only."""
    kept = dict(own)
    for group, kinds in (("schema", _DEPARSED), ("grants", ("",)), ("subscriptions", ("",))):
        there = theirs.get(group, {})
        kept[group] = {
            label: there.get(label, digest) if label.startswith(kinds) else digest
            for label, digest in own.get(group, {}).items()
        }
    return kept


def _cut(text: str) -> Iterable[tuple[str, str, str, str]]:
    """Kind, name with its schema, owner and text of each entry."""
    lines = text.split("\n")
    starts = [
        (i, match)
        for i in _outside(lines)
        if lines[i].startswith("-- ")
        and lines[i - 1 : i] == ["--"]
        and lines[i + 1 : i + 2] == ["--"]
        and (match := _HEADING.fullmatch(lines[i]))
    ]
    ends = [*(i for i, _ in starts), len(lines) + 1][1:]  # none where there is no entry: an empty database
    for (i, match), end in zip(starts, ends, strict=True):
        name, kind, schema, owner = match.groups()
        body = lines[i + 2 : end - 1]
        while body and _STATE.fullmatch(body[-1]):  # what is set for the entry after it
            body.pop()
        yield kind, f"{schema}.{name}" if schema != "-" else name, owner, "\n".join(body).strip()


def _outside(lines: list[str]) -> Iterator[int]:
    """The lines that are not in a function's body, where a heading is its author's; pg_dump quotes it by dollars."""
    tag = ""
    for i, line in enumerate(lines):
        if tag:
            tag = "" if tag in line else tag
        elif (match := _BODY.match(line)) and match[1] not in line[match.end() :]:
            tag = match[1]
        else:
            yield i


def _without_owner(body: str) -> tuple[str, bool]:
    """The statement that gives the object to its owner is always the last one."""
    last = body.rfind("\n\nALTER ")
    if last < 0 or not re.search(r" OWNER TO [^\n]*;\Z", body[last:]):
        return body, False
    return body[:last].strip(), True


def _normal(kind: str, body: str) -> str:
    if kind.endswith("ACL"):
        return "\n".join(sorted(body.split("\n")))
    if kind in ("TABLE", "FOREIGN TABLE"):
        match = _INHERITS.search(body)
        if match:  # a restored child has its inherited columns first
            columns = sorted(line.rstrip(",") for line in match.group(2).split("\n"))
            body = body[: match.start(2)] + "\n".join(columns) + body[match.end(2) :]
        head, gap, tail = body.partition("\n\n\n")  # ALTER TABLE … of single columns follow in the columns' order
        return head + gap + "\n".join(sorted(line for line in tail.split("\n") if line))
    if kind in ("OPERATOR CLASS", "OPERATOR FAMILY"):  # members come in the order of their oids
        return "\n".join(sorted(line.rstrip(" ,;") for line in body.split("\n")))
    return body


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("\n;;\n".join(sorted(parts)).encode()).hexdigest()[:24]
