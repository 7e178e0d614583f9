"""Groovy, of the version that Jenkins has inside: its parser reads a Jenkinsfile as Jenkins' own does."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from tests.lab import Missing, debian
from tests.lab.cache import folder, run

VERSION = "2.4.21"
SHA256 = "de65260cf2070442e99882f2f3d72e7531725c1e6a257446cc0cea525c607bd0"
_JAR = f"groovy-all-{VERSION}.jar"
_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:2.8"


def groovy(script: Path, *args: str | Path) -> str:
    """What the script prints. Raises Missing where there is no Groovy, or with its last words where it fails."""
    jar = folder(f"groovy-{VERSION}-{SHA256[:8]}", _fetch) / _JAR
    quick = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
    found = debian.programs(java="default-jre-headless")
    return _run(found, "java", *quick, "-cp", str(jar), "groovy.ui.GroovyMain", str(script), *map(str, args))


def _fetch(place: Path) -> None:
    """By Maven; other bytes than the pinned ones are refused."""
    artifact = f"org.codehaus.groovy:groovy-all:{VERSION}"
    found = debian.programs(java="default-jre-headless", mvn="maven")
    _run(found, "mvn", "-q", "-B", f"{_PLUGIN}:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={place}")
    got = hashlib.sha256((place / _JAR).read_bytes()).hexdigest()
    if got != SHA256:
        raise Missing(f"{artifact} has the SHA-256 {got}, and not {SHA256}")


def _run(programs: Path | None, *argv: str) -> str:
    path = os.environ["PATH"]
    return run(*argv, env={**os.environ, "PATH": f"{programs}:{path}" if programs else path})
