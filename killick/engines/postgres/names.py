"""How things are named: to the server in SQL, and to people in the keys of Contents."""

import re

_BARE = re.compile(r"[a-z_][a-z0-9_]*")


def sql(*parts: str) -> str:
    """An identifier, always quoted: "public"."order"."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def literal(text: str) -> str:
    """A string constant that does not depend on standard_conforming_strings."""
    quoted = "'" + text.replace("'", "''").replace("\\", "\\\\") + "'"
    return f" E{quoted}" if "\\" in text else quoted


def key(*parts: str) -> str:
    """public.orders, public."Order Items": bare where [a-z_][a-z0-9_]* matches, whatever the server's keywords are."""
    return ".".join(part if _BARE.fullmatch(part) else sql(part) for part in parts)


def parts(qualified: str) -> list[str]:
    """The schema and name of a key."""
    found = re.findall(r'"((?:[^"]|"")*)"|([^."]+)', qualified)
    return [quoted.replace('""', '"') or bare for quoted, bare in found]


def spellings(qualified: str) -> tuple[str, ...]:
    """Other ways to write a key, with the schema and without: orders, "orders", public.Order Items."""
    schema, name = parts(qualified)
    return name, key(name), sql(name), f"{schema}.{name}", sql(schema, name)
