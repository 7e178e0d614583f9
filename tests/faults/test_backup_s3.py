"""A backup to S3 on bad days: retried, or failed with nothing left; never a manifest without its archive."""

import secrets

import pytest

from killick import catalog, stores
from killick.stores import Access
from tests.kit import Project
from tests.lab.faults import Answer, CutUpload, Faults
from tests.lab.s3 import S3


@pytest.fixture
def remote(project: Project, s3: S3, faults: Faults) -> Project:
    bucket = f"b{secrets.token_hex(6)}"
    s3.bucket(bucket)
    project.environment.update(faults.environment())
    project.environment["STORE"] = f"s3://{bucket}/backups"
    return project


def found(project: Project, s3: S3, monkeypatch: pytest.MonkeyPatch) -> catalog.Catalog:
    """What is in the bucket, asked past the proxy."""
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    return catalog.read(stores.connect(project.environment["STORE"], Access()), "shop")


def test_whole_way(remote: Project, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    id = remote.back_up()
    assert remote.run("verify", "--json").json["level"] == 5
    assert [b.id for b in found(remote, s3, monkeypatch).backups] == [id]


def test_500_three_times_then_fine(remote: Project, faults: Faults) -> None:
    faults.add(Answer(500), method="PUT", times=3)
    remote.run("backup")


@pytest.mark.parametrize("fault", [Answer(403), CutUpload(after=2000)], ids=["403", "cut"])
def test_an_archive_that_cannot_be_put(
    remote: Project, faults: Faults, s3: S3, monkeypatch: pytest.MonkeyPatch, fault: Answer | CutUpload
) -> None:
    faults.add(fault, method="PUT", path=r".*\.tar")
    done = remote.run("backup", "--json", expect=1)
    assert done.json[0]["error"]
    left = found(remote, s3, monkeypatch)
    assert (left.backups, left.partial) == ((), ())
    assert [f.source for f in left.failures] == ["db"]
    assert s3.client().list_multipart_uploads(Bucket=remote.environment["STORE"].split("/")[2]).get("Uploads", []) == []


def test_a_manifest_that_cannot_be_put_takes_the_archive_with_it(
    remote: Project, faults: Faults, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults.add(Answer(403), method="PUT", path=r".*Z-db\.json")
    remote.run("backup", expect=1)
    left = found(remote, s3, monkeypatch)
    assert (left.backups, left.partial) == ((), ())


def test_503_for_ever_ends(remote: Project, faults: Faults) -> None:
    faults.add(Answer(503))
    done = remote.run("backup", "--json", expect=1)
    assert "503" in done.json[0]["error"] or "slow" in done.json[0]["error"].lower()


def test_a_bucket_that_there_is_not(remote: Project) -> None:
    done = remote.run("backup", "--json", expect=1, STORE="s3://no-such-bucket-here/x")
    assert "no-such-bucket-here" in done.json[0]["error"]


def test_no_right_to_delete(remote: Project, faults: Faults) -> None:
    """Backups go on; pruning says which right is missing."""
    faults.add(Answer(403), method="DELETE")
    ids = [remote.back_up() for _ in range(2)]
    few = {"KEEP_LAST": "1", "KEEP_DAILY": "0", "KEEP_WEEKLY": "0", "KEEP_MONTHLY": "0"}
    refused = remote.run("prune", expect=1, **few)
    assert "s3:DeleteObject" in refused.err
    assert [one["id"] for one in remote.run("list", "--json").json] == ids[::-1]
    assert "✗ store: objects can be deleted" in remote.run("doctor", expect=1).out


def test_the_storage_class_of_the_url_reaches_the_store(remote: Project, s3: S3) -> None:
    remote.environment["STORE"] += "?storage_class=STANDARD_IA"
    id = remote.back_up()
    bucket = remote.environment["STORE"].split("/")[2]
    head = s3.client().head_object(Bucket=bucket, Key=f"backups/shop/{id}.tar.zst")
    assert head.get("StorageClass") == "STANDARD_IA"
    assert "storage_clas" in remote.run("list", expect=2, STORE=f"s3://{bucket}/backups?storage_clas=X").err
