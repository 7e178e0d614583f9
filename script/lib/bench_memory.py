"""How much memory killick takes: at three sizes of data, while it idles, and in 256 MB."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from script.lib.bench_cases import KILLICK, Bench
from script.lib.usage import Usage, resident, use

LIMIT = 256 << 20
IMAGE = "killick:sidecar"


def at_size(bench: Bench, rows: int) -> tuple[Usage, dict[str, float]]:
    """A backup of the first `rows` rows, its programs' peaks, and the seconds of its phases."""
    name = f"part{rows}"
    bench.part(name, rows)
    url = bench.project.environment["DATABASE_URL"].removesuffix("shop") + name
    env = {**bench.env, "DATABASE_URL": url, "PROJECT": f"part{rows}"}
    took = use([KILLICK, "backup"], env=env, cwd=bench.folder, sampled=True)
    seconds = phases(bench, env)
    bench.run("dropdb", name)
    return took, seconds


def phases(bench: Bench, env: dict[str, str] | None = None) -> dict[str, float]:
    """Of the newest backup, as its manifest tells."""
    shown = subprocess.run(
        [KILLICK, "show", "latest", "--json"], env=env or bench.env, cwd=bench.folder, capture_output=True, check=True
    )
    return dict(json.loads(shown.stdout)["seconds"])


def idle(bench: Bench) -> int:
    """Bytes that the sidecar's loop holds after some seconds of doing nothing."""
    env = {**bench.env, "SCHEDULE": "off", "VERIFY_SCHEDULE": "off"}
    env["METRICS_PORT"] = bench.project.environment["METRICS_PORT"]
    process = subprocess.Popen([KILLICK, "run"], env=env, cwd=bench.folder, stderr=subprocess.DEVNULL)
    try:
        time.sleep(6)
        return resident(process.pid)
    finally:
        process.terminate()
        process.wait()


def confined(bench: Bench) -> str:
    """Where a backup with READ_BACK was made within 256 MB; "" where this machine cannot tell.

    In a container where Docker answers and has the image, without swap; else, as root, in a control group.
    Raises Failed when the backup failed.
    """
    if _has_image():
        _in_container(bench)
        return f"container, --memory {LIMIT >> 20}m --memory-swap {LIMIT >> 20}m"
    if os.geteuid() == 0:
        with suppress(OSError), _group() as group:
            joined = f'echo $$ >{group}/cgroup.procs; exec "$0" backup'
            bench.run("bash", "-c", joined, KILLICK)
            return f"control group of {LIMIT >> 20} MB"
    return ""


def _has_image() -> bool:
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, check=False).returncode == 0


def _in_container(bench: Bench) -> None:
    """On the host's network, since the servers listen on 127.0.0.1; scratch is a folder of the host's disk."""
    env = {
        name: value
        for name, value in bench.env.items()
        if name.startswith(("AWS_", "DATABASE_")) or name in ("PROJECT", "STORE", "METRICS_PORT")
    }
    env.pop("AWS_SHARED_CREDENTIALS_FILE", None)
    scratch = bench.folder / "container"
    scratch.mkdir()
    flags = [part for name, value in env.items() for part in ("--env", f"{name}={value}")]
    secrets = bench.project.folder / "secrets"
    limits = (f"--memory={LIMIT}", f"--memory-swap={LIMIT}")
    bench.run(
        *("docker", "run", "--rm", "--network=host", "--user=0:0", *limits, *flags, "--env=SCRATCH_DIR=/scratch"),
        *(f"--volume={secrets}:{secrets}:ro", f"--volume={scratch}:/scratch", IMAGE, "backup"),
    )


@contextmanager
def _group() -> Iterator[Path]:
    """A control group of its own, v1 or v2, that has 256 MB and no swap."""
    root = Path("/sys/fs/cgroup")
    v1 = (root / "memory").is_dir()
    group = (root / "memory" if v1 else root) / f"killick-bench-{os.getpid()}"
    group.mkdir()
    try:
        if v1:
            (group / "memory.limit_in_bytes").write_text(str(LIMIT))
            with suppress(OSError):
                (group / "memory.memsw.limit_in_bytes").write_text(str(LIMIT))
        else:
            (group / "memory.max").write_text(str(LIMIT))
            with suppress(OSError):
                (group / "memory.swap.max").write_text("0")
        yield group
    finally:
        group.rmdir()
