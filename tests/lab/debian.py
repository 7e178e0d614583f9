"""Debian packages: installed when we are root, else unpacked beside everything (standard library only)."""

import os
import shutil
import tempfile
import time
from pathlib import Path

from tests.lab import Missing
from tests.lab.cache import digest, folder, root, run

CODECS = {"lrzip": "lrzip", "zstd": "zstd", "age": "age"}  # program: Debian package


def install(*packages: str) -> None:
    """Install into the system; only for root. Asks for new package lists only when the known ones fail."""
    command = ("apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *packages)
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        run(*command, env=env)
    except Missing:
        run("apt-get", "update", "--quiet", env=env)
        run(*command, env=env)


def installed(package: str) -> bool:
    return Path(f"/var/lib/dpkg/info/{package}.list").exists()


def unpack(*packages: str) -> Path:
    """A folder that holds these packages and whatever they need that this machine lacks, unpacked.

    Its `bin/` has a wrapper for every program, so that it finds its libraries. No right is needed.
    """
    name = f"debian-{'-'.join(packages)}"[:50] + f"-{digest(*packages)}"
    return folder(name, lambda place: _fill(place, packages))


def libraries(unpacked: Path) -> str:
    """The value of LD_LIBRARY_PATH with which programs find the libraries of an unpacked folder."""
    return ":".join(str(place) for place in _library_folders(unpacked))


def _library_folders(unpacked: Path) -> list[Path]:
    return sorted({path.parent for part in ("lib", "usr/lib") for path in (unpacked / part).rglob("*.so*")})


def _fill(place: Path, packages: tuple[str, ...]) -> None:
    with tempfile.TemporaryDirectory() as downloads:
        try:
            _download(Path(downloads), packages, ())
        except Missing:  # the machine's lists are absent or older than its mirror: make our own
            _download(Path(downloads), packages, private_lists())
        for package in Path(downloads).glob("*.deb"):
            run("dpkg", "-x", str(package), str(place))
    (place / "bin").mkdir()
    found = ":".join(f"$here/{path.relative_to(place)}" for path in _library_folders(place))
    for program in sorted((place / "usr/bin").glob("*")):
        wrapper = place / "bin" / program.name
        wrapper.write_text(
            '#!/bin/sh\nhere=$(dirname "$(dirname "$(readlink -f "$0")")")\n'
            f'LD_LIBRARY_PATH="{found}" exec "$here/usr/bin/{program.name}" "$@"\n'
        )
        wrapper.chmod(0o755)


def _download(downloads: Path, packages: tuple[str, ...], options: tuple[str, ...]) -> None:
    planned = run("apt-get", *options, "--simulate", "--no-install-recommends", "install", *packages)
    missing = {line.split()[1] for line in planned.splitlines() if line.startswith("Inst ")}
    # What is installed already is not in the plan; where it was asked for, it is wanted all the same.
    there = {package for package in packages if installed(package)}
    run("apt-get", *options, "--quiet", "download", *sorted(missing | there), cwd=downloads)


def private_lists(*options: str) -> tuple[str, ...]:
    """Package lists in the cache, fetched at most once a day; the apt options under which they are used.

    No right is needed. More `options` ask for more kinds of lists, which are kept apart.
    """
    place = root() / f"apt-{digest(*options)}"
    own = (
        *("-o", f"Dir::State::lists={place}/lists", "-o", f"Dir::Cache={place}"),
        *("-o", "Debug::NoLocking=true", "-o", "APT::Sandbox::User=root"),
        *options,
    )
    fetched = place / "fetched"
    if not fetched.exists() or time.time() - fetched.stat().st_mtime > 86_400:
        for part in ("lists/partial", "archives/partial"):
            (place / part).mkdir(parents=True, exist_ok=True)
        run("apt-get", *own, "--quiet", "update")
        fetched.touch()
    return own


def programs(**wanted: str) -> Path | None:
    """See that each program is there, given as program="package".

    Returns the folder of those that had to be unpacked, to be put on the PATH; None when there were none.
    """
    missing = [package for program, package in wanted.items() if shutil.which(program) is None]
    if not missing:
        return None
    if os.geteuid() == 0:
        install(*missing)
        return None
    return unpack(*sorted(missing)) / "bin"
