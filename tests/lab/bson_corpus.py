"""The documents of the BSON specification's corpus, out of the driver's source distribution."""

import json
import sys
import tarfile
import tempfile
from pathlib import Path

from tests.lab.cache import folder, run

VERSION = "4.20.0"
SHA256 = "f773b0aec28687587cdeda490463a82debc4566a4a3620dcc8dada9d2c0a1acd"


def valid() -> list[bytes]:
    """Each whole, in its canonical form. Raises Missing without a network."""
    found = []
    for path in sorted(folder(f"bson-corpus-{VERSION}", _fill).glob("*.json")):
        found += [bytes.fromhex(case["canonical_bson"]) for case in json.loads(path.read_text()).get("valid", ())]
    return found


def _fill(place: Path) -> None:
    with tempfile.TemporaryDirectory() as work:
        pins = Path(work, "pins.txt")
        pins.write_text(f"pymongo=={VERSION} --hash=sha256:{SHA256}\n")
        run(
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=pymongo"),
            *("--require-hashes", "--requirement", str(pins), "--dest", work),
        )
        with tarfile.open(next(Path(work).glob("*.tar.gz"))) as archive:
            for member in archive:
                held = archive.extractfile(member) if "/test/bson_corpus/" in member.name else None
                if held:
                    (place / Path(member.name).name).write_bytes(held.read())
