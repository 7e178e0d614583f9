"""The real parts that tests, demo and bench run on: Postgres, mongod, an S3 server, faults, sample data.

No Docker is needed, root or not. Each part is a module and is imported by its own name:

    from tests.lab.postgres import Postgres
    with Postgres(16) as server:
        server.create("app")
        run("killick", "backup", DATABASE_URL=server.url("app"), PROGRAMS=programs_path())

Programs are fetched once, by pinned SHA-256, into `cache.root()`. A part that cannot be had here raises
`Missing`. Whatever is started dies with the process that started it.
"""


class Missing(RuntimeError):
    """A part cannot be had on this machine; the text says which, and what would bring it."""
