"""Names at Cloudflare: against a fake that has a state, and whose answers the official SDK reads strictly."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.move import dns, purge
from deploy.move.dns.cloudflare import Cloudflare
from deploy.move.spec import Names, Proxy, Spec
from deploy.move.step import Move
from deploy.move.steps.names import STEP
from killick.errors import AccessDenied, KillickError, NotFound, SettingsError, Unreachable
from killick.watch import unwatched
from tests.lab import cloudflare
from tests.lab.cloudflare import TOKEN, ZONE, failed, passed
from tests.lab.moves import move, spec

NAME, OLD, NEW = f"shop.{ZONE}", "192.0.2.1", "192.0.2.2"
THIRD, OLD6, NEW6 = "192.0.2.9", "2001:db8::1", "2001:db8::2"
BODY: object = {"result": {"id": "x"}, "success": False, "errors": [{"code": 1, "message": "no"}], "messages": []}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[cloudflare.Cloudflare]:
    monkeypatch.setenv("THE_TOKEN", TOKEN)
    with cloudflare.Cloudflare() as server:
        monkeypatch.setenv("CLOUDFLARE_BASE_URL", server.url)
        yield server


@pytest.fixture
def api(fake: cloudflare.Cloudflare) -> Cloudflare:
    return Cloudflare(TOKEN, fake.url, sleep=lambda _seconds: None)


def at_cloudflare(*, old: str = OLD, new: str = NEW, names: tuple[str, ...] = (NAME,), proxied: bool = False) -> Spec:
    proxy = Proxy("local", "/socket", "/config", "shop", "old", "new", "/map", "true", "true") if proxied else None
    return spec(old=old, new=new, names=names, proxy=proxy, dns=Names("cloudflare", ZONE, "", "THE_TOKEN"))


def in_the_way(work: Move) -> str:
    return "\n".join(dns.in_the_way(work))


@pytest.fixture
def given() -> Spec:
    return at_cloudflare()


# The judge of the fake


def test_the_official_sdk_reads_the_fake_strictly(
    fake: cloudflare.Cloudflare, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    for variable in ("CLOUDFLARE_EMAIL", "CLOUDFLARE_API_KEY"):  # with an e-mail it drops the token
        monkeypatch.delenv(variable, raising=False)
    sdk = pytest.importorskip("cloudflare")
    id = fake.add("A", NAME, OLD, proxied=True)
    client = sdk.Cloudflare(api_token=TOKEN, base_url=fake.url, max_retries=0, _strict_response_validation=True)
    with client:
        (zone,) = client.zones.list(name=ZONE)
        assert zone.name == ZONE
        assert [found.id for found in client.dns.records.list(zone_id=zone.id)] == [id]
        assert client.dns.records.get(id, zone_id=zone.id).content == OLD
        edited = client.dns.records.edit(
            id, zone_id=zone.id, name=NAME, ttl=1, type="A", content=NEW, proxied=True
        )  # fmt: skip
        assert (edited.content, edited.proxied) == (NEW, True)
        assert client.cache.purge(zone_id=zone.id, hosts=[NAME]).id == zone.id
        assert client.user.tokens.verify().status == "active"
        with pytest.raises(sdk.NotFoundError):
            client.dns.records.get("f" * 32, zone_id=zone.id)


def test_ours_sends_what_the_sdk_sends(
    fake: cloudflare.Cloudflare, api: Cloudflare, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.delenv("CLOUDFLARE_EMAIL", raising=False)
    sdk = pytest.importorskip("cloudflare")
    fake.add("A", NAME, OLD)
    zone = api.zone(ZONE)
    (record,) = api.records(zone)
    fake.asked.clear()
    api.change(zone, record, NEW)
    api.purge(zone, [NAME])
    ours = [call for call in fake.asked if call[0] != "GET"]
    fake.asked.clear()
    with sdk.Cloudflare(api_token=TOKEN, base_url=fake.url, max_retries=0) as client:
        client.dns.records.edit(
            record.id, zone_id=zone, name=NAME, ttl=300, type="A", content=NEW, proxied=False
        )  # fmt: skip
        client.cache.purge(zone_id=zone, hosts=[NAME])
    assert ours == fake.asked


# The step


def test_names_come_to_lead_to_new_and_back(fake: cloudflare.Cloudflare, given: Spec) -> None:
    id = fake.add("A", NAME, OLD, proxied=True)
    other = fake.add("A", f"other.{ZONE}", OLD)
    before = json.loads(json.dumps(fake.records))
    work = move(given)
    assert not STEP.probe(work)
    STEP.act(work, unwatched)
    assert fake.records[id] == {**before[id], "content": NEW}
    assert fake.records[other] == before[other]
    assert STEP.probe(work)
    assert NEW in STEP.verify(work)
    STEP.undo(work)
    assert fake.records == before
    STEP.undo(work)
    assert fake.records == before
    assert TOKEN not in json.dumps(work.journal.events)


def test_names_that_lead_to_a_proxy_stay(fake: cloudflare.Cloudflare) -> None:
    fake.add("A", NAME, THIRD)
    work = move(at_cloudflare(proxied=True))
    assert STEP.probe(work)
    assert "stay" in STEP.verify(work)
    assert in_the_way(work) == ""


@pytest.mark.parametrize("record", [("A", NEW), ("A", OLD), ("CNAME", f"WWW.{ZONE}.")])
def test_a_name_that_leads_to_either_server_is_not_in_the_way(
    fake: cloudflare.Cloudflare, record: tuple[str, str]
) -> None:
    fake.add(record[0], NAME, record[1])
    fake.add("A", f"www.{ZONE}", OLD)
    work = move(at_cloudflare(names=(NAME, f"www.{ZONE}")))
    assert in_the_way(work) == ""
    STEP.act(work, unwatched)
    assert STEP.probe(work)
    assert f"www.{ZONE} A {NEW}" in STEP.verify(work)


@pytest.mark.parametrize(
    ("record", "spec", "said"),
    [
        (("A", THIRD), at_cloudflare(), f"{NAME} is A {THIRD}, and leads neither to {OLD} nor to {NEW}"),
        (("AAAA", OLD6), at_cloudflare(), f"{NAME} is AAAA {OLD6}, and leads neither to"),
        (("A", OLD), at_cloudflare(old="old.example"), "old.address, old.example, is no IP address"),
        (("A", OLD), at_cloudflare(old="old.example", proxied=True), "old.address, old.example, is no IP address"),
        (("A", OLD), at_cloudflare(new="new.example"), "new.address, new.example, is no IP address"),
        (("A", OLD), at_cloudflare(new=f"[{NEW6}]"), f"{NAME} is A {OLD}, and cannot become {NEW6}"),
        (("AAAA", OLD6), at_cloudflare(old=f"[{OLD6}]"), f"{NAME} is AAAA {OLD6}, and cannot become {NEW}"),
        (("A", OLD), at_cloudflare(new=f"[{NEW6}]", proxied=True), f"{NAME} is A {OLD}, and cannot become {NEW6}"),
    ],
)
def test_a_name_that_would_not_come_to_the_new_server_is_in_the_way(
    fake: cloudflare.Cloudflare, record: tuple[str, str], spec: Spec, said: str
) -> None:
    """By the plan, and once more by the step: users would stay on a server that is retired next."""
    fake.add(record[0], NAME, record[1])
    work = move(spec)
    assert said in in_the_way(work)
    assert not STEP.probe(work)
    with pytest.raises(KillickError, match=re.escape(said)):
        STEP.act(work, unwatched)
    assert [call for call in fake.asked if call[0] == "PATCH"] == []


def test_a_name_that_was_led_astray_since_the_plan_is_not_taken_for_proven(
    fake: cloudflare.Cloudflare, given: Spec
) -> None:
    id = fake.add("A", NAME, OLD)
    work = move(given)
    STEP.act(work, unwatched)
    fake.records[id]["content"] = THIRD
    with pytest.raises(KillickError, match=f"{NAME} is A {THIRD}"):
        STEP.verify(work)


def test_an_address_counts_however_it_is_written(fake: cloudflare.Cloudflare) -> None:
    id = fake.add("AAAA", NAME, OLD6)
    work = move(at_cloudflare(old="[2001:DB8:0::1]:8080", new="[2001:DB8:0:0::2]"))
    assert in_the_way(work) == ""
    STEP.act(work, unwatched)
    assert fake.records[id]["content"] == NEW6
    assert STEP.probe(work)
    assert NEW6 in STEP.verify(work)
    STEP.undo(work)
    assert fake.records[id]["content"] == OLD6


def test_two_ports_of_one_host_need_no_change(fake: cloudflare.Cloudflare) -> None:
    fake.add("A", NAME, OLD)
    work = move(at_cloudflare(old=f"{OLD}:8080", new=f"{OLD}:8081"))
    assert in_the_way(work) == ""
    assert STEP.probe(work)
    assert OLD in STEP.verify(work)


def test_what_somebody_else_changed_since_is_not_put_back(fake: cloudflare.Cloudflare, given: Spec) -> None:
    id = fake.add("A", NAME, OLD)
    work = move(given)
    STEP.act(work, unwatched)
    fake.records[id]["content"] = "192.0.2.77"
    STEP.undo(work)
    assert fake.records[id]["content"] == "192.0.2.77"


def test_an_answer_that_lies_is_found_by_reading_back(fake: cloudflare.Cloudflare, given: Spec) -> None:
    fake.add("A", NAME, OLD)
    fake.lying = True
    with pytest.raises(KillickError, match=r"is 192\.0\.2\.1 after it was changed"):
        STEP.act(move(given), unwatched)


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([("A", NAME, OLD), ("AAAA", NAME, "2001:db8::1")], "has an AAAA"),
        ([("A", NAME, OLD), ("A", NAME, "192.0.2.9")], "has 2 records A"),
        ([("A", f"*.{ZONE}", OLD)], "lives by the wildcard"),
        ([("CNAME", NAME, "elsewhere.example.net")], "not in `names`"),
        ([], "has no record"),
    ],
)
def test_what_would_shadow_a_name_is_told(
    fake: cloudflare.Cloudflare, given: Spec, records: list[tuple[str, str, str]], said: str
) -> None:
    for record in records:
        fake.add(*record)
    assert any(said in sentence for sentence in dns.in_the_way(move(given)))


def test_the_shadow_keeps_the_step_from_changing_anything(fake: cloudflare.Cloudflare, given: Spec) -> None:
    fake.add("A", NAME, OLD)
    fake.add("AAAA", NAME, "2001:db8::1")
    with pytest.raises(KillickError, match="AAAA"):
        STEP.act(move(given), unwatched)
    assert [call for call in fake.asked if call[0] == "PATCH"] == []


def test_a_token_that_may_only_read_is_told(fake: cloudflare.Cloudflare, given: Spec) -> None:
    fake.add("A", NAME, OLD)
    assert list(dns.in_the_way(move(given))) == []
    fake.zone["permissions"] = ["#zone:read", "#dns_records:read"]
    assert any("lacks #dns_records:edit" in sentence for sentence in dns.in_the_way(move(given)))
    fake.status = "expired"
    assert any("not active" in sentence for sentence in dns.in_the_way(move(given)))


def test_a_wrong_token_is_told_and_not_quoted(
    fake: cloudflare.Cloudflare, given: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setenv("THE_TOKEN", "another-secret")
    (sentence,) = dns.in_the_way(move(given))
    assert "Authentication error" in sentence
    assert "another-secret" not in sentence


# The calls


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("most", [50, 20])
@pytest.mark.parametrize("number", [100, 105])
def test_pages_are_read_to_the_end(
    fake: cloudflare.Cloudflare, api: Cloudflare, number: int, most: int, counted: bool
) -> None:
    """However short they come."""
    fake.most, fake.counted = most, counted
    for each in range(number):
        fake.add("A", f"n{each}.{ZONE}", OLD)
    zone = api.zone(ZONE)
    fake.asked.clear()
    assert len({record.id for record in api.records(zone)}) == number
    assert len(fake.asked) == -(-number // most) + (not counted)


def test_a_list_without_end_is_given_up(
    fake: cloudflare.Cloudflare, api: Cloudflare, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr("deploy.move.dns.cloudflare._PAGES", 3)
    fake.failures = [passed([{"name": "another"}], result_info={"total_pages": 10**9})] * 4
    with pytest.raises(KillickError, match="does not end"):
        api.zone(ZONE)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_passes_is_asked_again(fake: cloudflare.Cloudflare, status: int) -> None:
    waited: list[float] = []
    api = Cloudflare(TOKEN, fake.url, sleep=waited.append)
    fake.failures = [(status, {"Retry-After": "7"}, b"busy"), (status, {"Retry-After": "9000"}, b"busy")]
    assert api.zone(ZONE)
    assert waited == [7.0, 30.0]


def test_it_is_not_asked_for_ever(fake: cloudflare.Cloudflare, api: Cloudflare) -> None:
    fake.failures = [(503, {}, b"busy")] * 50
    with pytest.raises(KillickError, match="503"):
        api.zone(ZONE)
    assert len(fake.asked) == 5


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (failed(403, 10000, "Authentication error"), AccessDenied),
        (failed(404, 81044, "Record does not exist."), NotFound),
        (failed(400, 9005, "Content for A record is invalid."), KillickError),
        ((200, {}, BODY), KillickError),
        ((200, {}, b"<html>"), KillickError),
        ((302, {"Location": "http://127.0.0.1:9/"}, b""), KillickError),
    ],
)
def test_a_refusal_is_one_whatever_its_status(
    fake: cloudflare.Cloudflare, api: Cloudflare, failure: tuple[int, dict[str, str], object], error: type[KillickError]
) -> None:
    fake.add("A", NAME, OLD)
    zone = api.zone(ZONE)
    (record,) = api.records(zone)
    calls: list[Callable[[], object]] = [
        lambda: api.zone(ZONE),
        lambda: api.records(zone),
        lambda: api.record(zone, record.id),
        lambda: api.change(zone, record, NEW),
        lambda: api.purge(zone, [NAME]),
    ]
    for call in calls:
        fake.failures = [failure]
        with pytest.raises(error):
            call()
    assert fake.records[record.id]["content"] == OLD


def test_nobody_there(api: Cloudflare) -> None:
    with pytest.raises(Unreachable, match="ConnectError"):
        replace(api, base="http://127.0.0.1:9/client/v4").zone(ZONE)


def test_where_the_token_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    assert Cloudflare.of(Names("cloudflare", ZONE, str(path))).token == TOKEN
    assert TOKEN not in repr(Cloudflare.of(Names("cloudflare", ZONE, str(path))))
    monkeypatch.delenv("NOT_THERE", raising=False)
    for names in (Names("cloudflare", ZONE, str(tmp_path / "no")), Names("cloudflare", ZONE, "", "NOT_THERE")):
        with pytest.raises(SettingsError):
            Cloudflare.of(names)


# The purge


def test_a_purge_is_by_names_unless_all_is_meant(fake: cloudflare.Cloudflare, api: Cloudflare) -> None:
    zone = api.zone(ZONE)
    api.purge(zone, [NAME])
    api.purge(zone, None)
    api.purge(zone, [f"n{number}.{ZONE}" for number in range(31)])
    assert fake.purged[:2] == [{"hosts": [NAME]}, {"purge_everything": True}]
    assert [len(each["hosts"]) for each in fake.purged[2:]] == [30, 1]  # type: ignore[index]


def test_a_purge_without_the_provider_is_told(given: Spec) -> None:
    assert any("purge" in sentence for sentence in purge.in_the_way(move(spec(purge="all"))))
    assert list(purge.in_the_way(move(given))) == []
