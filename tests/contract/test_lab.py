"""The lab is what it says: servers that answer, faults that happen, nothing left behind."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionError,
    HTTPClientError,
    IncompleteReadError,
    ResponseStreamingError,
)

from tests.lab import mongod as mongo_parts
from tests.lab import postgres, sample
from tests.lab.faults import Answer, CutDownload, CutUpload, Fault, Faults, Flip, Ignore, Lie, LoseAnswer, Skew, Slow
from tests.lab.mongod import Mongod
from tests.lab.postgres import Postgres
from tests.lab.s3 import S3
from tests.lab.server import workspace

BODY = bytes(range(256)) * 4096


def test_each_postgres_dumps_with_its_own_programs(any_postgres: Postgres) -> None:
    url = any_postgres.create("lab_own_programs")
    any_postgres.execute("CREATE TABLE t AS SELECT generate_series(1, 10) AS n", "lab_own_programs")
    for program in ("pg_dump", "psql", "pg_restore", "pg_amcheck"):
        version = subprocess.check_output([any_postgres.bin / program, "--version"], text=True)
        assert f" {any_postgres.major}." in version
    dump = subprocess.check_output([any_postgres.bin / "pg_dump", "--dbname", url], text=True, env={})
    assert f"Dumped by pg_dump version {any_postgres.major}." in dump
    assert "CREATE TABLE public.t" in dump


def test_postgres_wants_its_password(postgres16: Postgres) -> None:
    wrong = postgres16.url(password="wrong")
    refused = subprocess.run(
        [postgres16.bin / "psql", "--dbname", wrong, "--command", "SELECT 1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2
    assert "password authentication failed" in refused.stderr


def test_a_killed_postgres_comes_back_with_its_data() -> None:
    with Postgres(16, settings={"wal_level": "logical"}) as server:
        server.create("app")
        server.execute("CREATE TABLE t (n int); INSERT INTO t VALUES (7)", "app")
        server.execute("CHECKPOINT")
        server.stop(kill=True)
        server.start()
        assert server.execute("SELECT n FROM t", "app") == [(7,)]
        assert server.execute("SHOW wal_level") == [("logical",)]


@pytest.mark.parametrize("major", postgres.majors())
def test_a_server_with_the_contrib_modules(major: int) -> None:
    with Postgres(major, contrib=True) as server:
        for name in ("hstore", "amcheck", "citext"):
            server.execute(f"CREATE EXTENSION {name}")
        check = [str(server.bin / "pg_amcheck"), "--host=127.0.0.1", f"--port={server.port}", "--username=postgres"]
        subprocess.run([*check, "postgres"], env={"PGPASSWORD": server.password}, check=True)


def test_two_clusters_have_two_identities(postgres16: Postgres) -> None:
    ask = "SELECT system_identifier FROM pg_control_system()"
    with Postgres(16) as other:
        assert other.execute(ask) != postgres16.execute(ask)


def test_a_replica_set_has_an_oplog_and_a_standalone_has_not(mongod: Mongod, mongo_set: Mongod, tmp_path: Path) -> None:
    exits = {}
    for server in (mongod, mongo_set):
        with server.client() as client:
            client.lab.things.insert_one({"n": 1})
        dump = [
            str(mongo_parts.tools() / "mongodump"),
            "--oplog",
            "--uri",
            server.url(),
            "--out",
            str(tmp_path / str(server.port)),
        ]
        exits[server] = subprocess.run(dump, capture_output=True, check=False).returncode
    assert exits == {mongod: 1, mongo_set: 0}


def test_conditional_puts_are_real(s3: S3) -> None:
    s3.bucket("conditional")
    client = s3.client()
    client.put_object(Bucket="conditional", Key="k", Body=b"first", IfNoneMatch="*")
    with pytest.raises(ClientError) as refused:
        client.put_object(Bucket="conditional", Key="k", Body=b"second", IfNoneMatch="*")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    assert client.get_object(Bucket="conditional", Key="k")["Body"].read() == b"first"


def test_signatures_are_real(s3: S3) -> None:
    s3.bucket("signed")
    s3.secret_key, right = "wrong", s3.secret_key
    try:
        with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
            s3.client().list_objects_v2(Bucket="signed")
    finally:
        s3.secret_key = right


@pytest.fixture
def bucket(s3: S3, faults: Faults) -> str:
    name = f"faults-{faults.endpoint.rsplit(':', 1)[1]}"
    s3.bucket(name)
    s3.client().put_object(Bucket=name, Key="there", Body=BODY)
    return name


def test_without_a_fault_everything_passes(faults: Faults, bucket: str) -> None:
    client = faults.client()
    client.put_object(Bucket=bucket, Key="ünï code/k", Body=BODY)
    assert client.get_object(Bucket=bucket, Key="ünï code/k")["Body"].read() == BODY
    assert [item["Key"] for item in client.list_objects_v2(Bucket=bucket)["Contents"]] == ["there", "ünï code/k"]
    client.delete_object(Bucket=bucket, Key="ünï code/k")
    assert faults.seen == {"PUT": 1, "GET": 2, "DELETE": 1}


def test_a_server_that_does_not_know_a_header(faults: Faults, bucket: str) -> None:
    client, asked = faults.client(), {"Bucket": bucket, "Key": "there", "Range": "bytes=10-19"}
    assert client.get_object(**asked)["Body"].read() == BODY[10:20]
    faults.add(Ignore("Range"), ranged=True, times=1)
    answer = client.get_object(**asked)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert "ContentRange" not in answer
    assert answer["Body"].read() == BODY
    assert [(r.range, r.sent) for r in faults.requests] == [("bytes=10-19", 10), ("bytes=10-19", len(BODY))]
    for fault, status in ((Fault(), 412), (Ignore("if-match"), 206)):
        faults.add(fault, times=1)
        with suppress(ClientError):
            client.get_object(**asked, IfMatch='"another"')["Body"].close()
        assert faults.requests[-1].status == status


def test_an_answer_n_times(faults: Faults, bucket: str) -> None:
    faults.add(Answer(503), method="PUT", times=2)
    client = faults.client(retries=0)
    for expected in (503, 503, 200):
        try:
            status = client.put_object(Bucket=bucket, Key="k", Body=b"x")["ResponseMetadata"]["HTTPStatusCode"]
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        assert status == expected
    assert [request.status for request in faults.requests] == [503, 503, 200]


def test_a_refusal_of_deletes_only(faults: Faults, s3: S3, bucket: str) -> None:
    faults.add(Answer(403), method="DELETE")
    with pytest.raises(ClientError, match="AccessDenied"):
        faults.client().delete_object(Bucket=bucket, Key="there")
    assert s3.client().head_object(Bucket=bucket, Key="there")["ContentLength"] == len(BODY)


def test_an_upload_that_is_cut_leaves_no_object(faults: Faults, s3: S3, bucket: str) -> None:
    faults.add(CutUpload(after=100_000), method="PUT")
    with pytest.raises((ConnectionError, HTTPClientError)):
        faults.client(retries=0).put_object(Bucket=bucket, Key="cut", Body=BODY)
    with pytest.raises(ClientError, match="404"):
        s3.client().head_object(Bucket=bucket, Key="cut")


def test_a_download_that_is_cut_says_so(faults: Faults, bucket: str) -> None:
    faults.add(CutDownload(after=100_000), method="GET")
    body = faults.client().get_object(Bucket=bucket, Key="there")["Body"]
    with pytest.raises((IncompleteReadError, ResponseStreamingError)):
        body.read()


def test_a_lost_answer_is_a_done_deed(faults: Faults, s3: S3, bucket: str) -> None:
    faults.add(LoseAnswer(), method="PUT", times=1)
    with pytest.raises((ConnectionError, HTTPClientError)):
        faults.client(retries=0).put_object(Bucket=bucket, Key="done", Body=b"x")
    assert s3.client().head_object(Bucket=bucket, Key="done")["ContentLength"] == 1


def test_a_flipped_byte(faults: Faults, bucket: str) -> None:
    faults.add(Flip(at=70_000), method="GET")
    # A part of an object comes without the checksum that boto3 would compare.
    got = faults.client().get_object(Bucket=bucket, Key="there", Range=f"bytes=0-{len(BODY) - 1}")["Body"].read()
    assert [at for at, (a, b) in enumerate(zip(got, BODY, strict=True)) if a != b] == [70_000]


@pytest.mark.parametrize(("header", "value", "told"), [("Content-Length", "5", 5), ("ETag", '"0"', '"0"')])
def test_a_lie(faults: Faults, bucket: str, header: str, value: str, told: object) -> None:
    faults.add(Lie(header, value), method="HEAD")
    head = faults.client().head_object(Bucket=bucket, Key="there")
    assert head[header.replace("-", "")] == told


def test_a_clock_that_is_ahead(faults: Faults, s3: S3, bucket: str) -> None:
    faults.add(Skew(seconds=3600))
    told, true = (
        client.list_objects_v2(Bucket=bucket)["Contents"][0]["LastModified"]
        for client in (faults.client(), s3.client())
    )
    assert (told - true).total_seconds() == pytest.approx(3600, abs=1)
    told, true = (
        client.head_object(Bucket=bucket, Key="there")["LastModified"] for client in (faults.client(), s3.client())
    )
    assert (told - true).total_seconds() == 3600


def test_a_slow_server_is_the_clients_timeout(faults: Faults, bucket: str) -> None:
    faults.add(Slow(seconds=0.3), times=1)
    faults.add(Slow(rate=50_000_000))
    client = faults.client()
    assert client.get_object(Bucket=bucket, Key="there")["Body"].read() == BODY
    assert client.get_object(Bucket=bucket, Key="there")["Body"].read() == BODY


def test_servers_and_their_folders_go_with_the_process_that_started_them() -> None:
    script = """
        import time
        from tests.lab.mongod import Mongod
        from tests.lab.postgres import Postgres
        from tests.lab.s3 import S3
        with Postgres(18) as postgres, Mongod() as mongo, S3() as s3:
            print(*(server.process.pid for server in (postgres, mongo, s3)))
            print(postgres.port, mongo.port, *s3.ports)
            print(postgres.folder, mongo.folder, s3.folder, flush=True)
            time.sleep(600)
    """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert child.stdout is not None
    with child.stdout:
        pids, ports, folders = (child.stdout.readline().split() for _ in range(3))
    assert (len(pids), len(ports), len(folders)) == (3, 10, 3)
    for port in ports:
        assert answers(int(port))
    child.send_signal(signal.SIGKILL)
    child.wait()
    left = [*map(int, ports)]
    end = time.monotonic() + 60
    while left and time.monotonic() < end:  # each thread of a killed process ends in its own time
        left = [port for port in left if answers(port)]
        time.sleep(0.05)
    for pid in pids if left else []:
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    assert left == []
    shutil.rmtree(workspace("sweeps"))
    assert not [folder for folder in folders if Path(folder).exists()]


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_large_upload_in_parts_passes_and_one_refused_part_is_tried_again(
    faults: Faults, bucket: str, tmp_path: Path
) -> None:
    (tmp_path / "large").write_bytes(BODY * 20)
    faults.add(Answer(500), method="PUT", path="partNumber=2", times=1)
    client = faults.client()
    client.upload_file(str(tmp_path / "large"), bucket, "large")
    client.download_file(bucket, "large", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == BODY * 20
    parts = [request.status for request in faults.requests if "partNumber=2" in request.path]
    assert parts == [500, 200]
    assert faults.seen["POST"] == 2


def test_the_sample_has_the_rows_it_promises_and_every_run_the_same(postgres16: Postgres) -> None:
    dumps = []
    for name in ("lab_sample_1", "lab_sample_2"):
        url = postgres16.create(name)
        with closing(postgres16.connect(name)) as connection:
            counts = sample.load(connection, rows=5_000)
        for table, count in counts.items():
            assert postgres16.execute(f"SELECT count(*) FROM {table}", name) == [(count,)]
        assert sum(counts.values()) >= 5_000
        assert len(counts) >= 8
        dump = subprocess.check_output([postgres16.bin / "pg_dump", "--dbname", url, "--restrict-key=x"], env={})
        # Rows written by parallel hands come in any order.
        dumps.append(sorted(dump.splitlines()))
    assert dumps[0] == dumps[1]


def test_the_sample_restores(postgres16: Postgres) -> None:
    url, copy = postgres16.create("lab_sample"), postgres16.create("lab_sample_copy")
    with closing(postgres16.connect("lab_sample")) as connection:
        sample.load(connection, rows=3_000)
    dump = subprocess.check_output([postgres16.bin / "pg_dump", "--dbname", url], env={})
    psql = [str(postgres16.bin / "psql"), "--quiet", "--set=ON_ERROR_STOP=1", "--dbname", copy]
    assert subprocess.run(psql, input=dump, capture_output=True, env={}, check=False).stderr == b""
    for ask in (
        "SELECT count(*) FROM orders",
        "SELECT sum(sold) FROM bestsellers",
        "SELECT max(invoice) FROM payments",
    ):
        assert postgres16.execute(ask, "lab_sample") == postgres16.execute(ask, "lab_sample_copy")


def test_the_sample_of_uploads(tmp_path: Path) -> None:
    counted = [sample.uploads(tmp_path / name) for name in ("a", "b")]
    assert counted == [311, 311]
    subprocess.run(["diff", "--recursive", "--no-dereference", tmp_path / "a", tmp_path / "b"], check=True)
    sparse = (tmp_path / "a/odd/sparse").stat()
    assert sparse.st_blocks * 512 < sparse.st_size
    assert (tmp_path / "a/odd/link").is_symlink()


def test_the_sample_of_documents(mongod: Mongod) -> None:
    with mongod.client() as client:
        counts = sample.mongo(client, documents=500, database="lab_sample")
        assert sum(counts.values()) >= 500
        assert {name: client.lab_sample[name].count_documents({}) for name in counts} == counts
        assert client.lab_sample["big baskets"].count_documents({}) > 0
