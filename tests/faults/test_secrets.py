"""Every secret that a run was given, looked for wherever it could come to light."""

import os
import secrets
import subprocess
import threading
import time
from pathlib import Path

from tests.kit import Project
from tests.lab.postgres import Postgres
from tests.lab.s3 import S3


class CommandLines(threading.Thread):
    """Collects the command line and, for strangers' eyes, nothing else of every process on this machine."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: set[bytes] = set()
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.is_set():
            for folder in Path("/proc").iterdir():
                if folder.name.isdigit():
                    try:
                        self.seen.add((folder / "cmdline").read_bytes())
                    except OSError:
                        continue
            time.sleep(0.005)


def test_no_secret_comes_to_light(
    project: Project, postgres16: Postgres, database: str, s3: S3, tmp_path: Path
) -> None:
    bucket = f"b{secrets.token_hex(6)}"
    s3.bucket(bucket)
    words = {"database": f"hush-{secrets.token_hex(8)}", "page": f"page-{secrets.token_hex(8)}"}
    role = f"r_{database}"
    postgres16.execute(f"CREATE ROLE {role} SUPERUSER LOGIN PASSWORD '{words['database']}'")
    key = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout
    words["age"] = next(line for line in key.splitlines() if line.startswith("AGE-SECRET-KEY"))
    evidence = subprocess.run(
        ["openssl", "genpkey", "-algorithm", "ed25519"], capture_output=True, text=True, check=True
    ).stdout
    words["evidence"] = evidence.splitlines()[1]
    words["s3"] = s3.environment()["AWS_SECRET_ACCESS_KEY"]
    (tmp_path / "password").write_text(words["database"] + "\n")
    project.environment.update(
        s3.environment(),
        STORE=f"s3://{bucket}/x",
        DATABASE_URL=postgres16.url(database, user=role, password="x").replace(":x@", "@"),
        DATABASE_PASSWORD_FILE=str(tmp_path / "password"),
        AGE_RECIPIENTS=next(line.split()[-1] for line in key.splitlines() if "public key" in line),
        AGE_IDENTITY=words["age"],
        EVIDENCE_KEY=evidence,
        PAGE_PASSWORD=words["page"],
        LOG_LEVEL="debug",
    )
    watcher = CommandLines()
    watcher.start()
    try:
        project.run("doctor")
        project.run("backup", "--json")
        project.run("list", "--json")
        project.run("show", "--json")
        project.run("verify", "--json", "--report", str(tmp_path / "report.html"))
        project.run("restore", "--into", postgres16.url(f"{database}_c", user=role, password="x").replace(":x@", "@"))
        project.run("backup", expect=1, DATABASE_URL=f"postgres://{role}@127.0.0.1:1/{database}")
        project.run("backup", expect=1, AWS_SECRET_ACCESS_KEY=words["s3"][::-1])
        project.run("backup", expect=2, KEEP_LAST="x")
        project.run("show", expect=2, EVIDENCE_PUBLIC_KEY=evidence)
        project.run("show", expect=2, EVIDENCE_KEY=evidence.replace("-----END", "x\n-----END"))
    finally:
        watcher.done.set()
        watcher.join()
        postgres16.execute(f'DROP DATABASE IF EXISTS "{database}_c" WITH (FORCE)')
        postgres16.execute(f"ALTER ROLE {role} NOLOGIN")
    assert any(b"pg_dump" in line for line in watcher.seen), "the watcher saw the children"
    client = s3.client()
    objects = [
        client.get_object(Bucket=bucket, Key=one["Key"])["Body"].read()
        for one in client.list_objects_v2(Bucket=bucket)["Contents"]
        if one["Key"].endswith(".json") or ".lock." in one["Key"]
    ]
    places = {
        "command lines": b"\n".join(line for line in watcher.seen if b"AGE-SECRET" not in line or b"age" in line[:5]),
        "output": "".join(ran.out + ran.err for ran in project.every).encode(),
        "the store": b"\n".join(objects),
        "the report": (tmp_path / "report.html").read_bytes(),
        "scratch": b"\n".join(path.read_bytes() for path in project.scratch.rglob("*") if path.is_file()),
    }
    assert len(objects) >= 3
    for name, secret in words.items():
        for place, text in places.items():
            assert secret.encode() not in text, f"the {name} secret stands in {place}"
    assert os.environ.get("AGE_IDENTITY") is None
