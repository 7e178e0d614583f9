"""What a program of the project's is told of a copy: where it is, by the names that clients and frameworks read."""

from __future__ import annotations

from urllib.parse import quote


def postgres(database: str, host: str, port: int, user: str, password: str) -> dict[str, str]:
    """`host` is a name, or the folder of a socket."""
    name = quote(database, safe="")
    place = f"/{name}?host={quote(host, safe='')}&port={port}" if host.startswith("/") else f"{host}:{port}/{name}"
    return {
        "DATABASE_URL": f"postgresql://{user}:{password}@{place}",  # every client knows this scheme, not all postgres://
        "PGHOST": host, "PGPORT": str(port), "PGUSER": user, "PGPASSWORD": password, "PGDATABASE": database,
    }  # fmt: skip


def mongodb(database: str, host: str, user: str = "", password: str = "") -> dict[str, str]:
    """`host` is a name with its port, or the path of a socket."""
    place = quote(host, safe="") if host.startswith("/") else host
    login, known = (f"{user}:{password}@", "&authSource=admin") if user else ("", "")
    url = f"mongodb://{login}{place}/{quote(database, safe='')}?directConnection=true{known}"
    return {"DATABASE_URL": url, "MONGO_URL": url, "MONGO_DATABASE": database}
