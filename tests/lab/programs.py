"""What the settings variable PROGRAMS is to be: where database clients and codecs lie on this machine."""

from pathlib import Path

from tests.lab import debian, mongod, postgres


def programs_path(*, mongo: bool = True) -> str:
    """Folders joined by colons: Postgres' clients of every major, MongoDB's, and codecs not on the PATH.

    Fetches what is not there yet. Raises Missing. With mongo=False, MongoDB's are left out (they need Go).
    """
    folders: list[Path] = [postgres.programs(major) for major in postgres.majors()]
    if mongo:
        folders += [mongod.tools(), mongod.servers()]
    codecs = debian.programs(**debian.CODECS)
    if codecs is not None:
        folders.append(codecs)
    return ":".join(str(folder) for folder in folders)
