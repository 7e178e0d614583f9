"""The file to send: it says all that the verification found, and nothing in it comes from or goes elsewhere."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from killick import signing
from killick.compare import Mismatch
from killick.contents import Contents, Table
from killick.engines import Source
from killick.manifest import Archive, Manifest
from killick.records import Record
from killick.throwaway import Copy, Ended
from verify.html import render
from verify.html.climbed import FAILED, HELD, UNASKED, UNTRIED, steps
from verify.html.sheet import Sheet
from verify.html.took import lasting, stretches
from verify.report import LEVELS, Report

NIGHT = datetime(2026, 11, 24, 5, 0, 12, tzinfo=UTC)
KEY = signing.private_key(
    Ed25519PrivateKey.generate()
    .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    .decode()
)
HOSTILE = "<script>alert(1)</script>"
TABLES = {"public.orders": Table(5000, "c4ec" * 8), "public.notes": Table(0, "0" * 32), HOSTILE: Table(7, "a" * 32)}
MANIFEST = Manifest(
    "20261124T030000Z-db", "my-shop", "db", "postgres", "2026-11-24T03:00:00Z", "2026-11-24T03:09:00Z",
    "2026-11-24T03:00:01Z", "16.14", "16.14", "7412345678901234567", "shop", Contents(tables=TABLES),
    archive=Archive("my-shop/20261124T030000Z-db.tar.lrz", 123456, "9f" * 32, 1234567, "3a" * 32, "lrzip"),
    warnings=("the publication p is not carried",), killick="0.1.0",
)  # fmt: skip
COPY = Copy(Source("db", "postgres://hush@h/d"), "process", "16.14", "none: a namespace", "its own", "nobody")
PASSED = Report(
    "my-shop", MANIFEST.id, NIGHT, "passed", 4, 4,
    seconds={"download": 41.2, "check": 6.1, "decode": 203.4, "start": 0.5, "restore": 388.2, "compare": 95.1},
    tables=3, rows=5007, warnings=("pg_trgm is 1.6, not 1.5",), notes=("3 indexes",), empty="no such database",
    manifest=MANIFEST, copy=COPY,
)  # fmt: skip
DIFFERS = replace(
    PASSED, result="failed", level=3, failed_level=4, error="2 differences", hint="restore the one before",
    reason="mismatch", mismatches=(
        Mismatch("public.orders", "rows", "5000", "4999", 4), Mismatch("public.gone", "table", "present", "absent", 4),
    ),
)  # fmt: skip
CORRUPT = Report(
    "my-shop", MANIFEST.id, NIGHT, "failed", 0, 4, 0, "it does not match its SHA-256", "another", "corrupt",
    seconds={"download": 1.0, "check": 0.1}, manifest=MANIFEST,
)  # fmt: skip
NO_SERVER = replace(
    PASSED, result="unverifiable", level=1, error="no server", hint="an image", reason="version", copy=None, empty="",
    seconds={"download": 1.0, "check": 0.1, "decode": 3.0, "start": 0.1}, tables=0, rows=0,
)  # fmt: skip
NOTHING = Report("my-shop", MANIFEST.id, NIGHT, "unverifiable", 0, 4, error="no answer", hint="later", reason="network")
LOWER = replace(PASSED, level=2, wanted=2, tables=0, rows=0)
SENSIBLE = replace(
    PASSED, level=5, wanted=5, examined=("amcheck found no damage in 3 tables and 1 index",),
    seconds={**PASSED.seconds, "amcheck": 70.0, "history": 0.1, "checks": 5.0},
)  # fmt: skip
SENSELESS = replace(
    SENSIBLE, result="failed", level=4, failed_level=5, error="newest.sql does not hold", hint="mend it",
    reason="checks", mismatches=(Mismatch("newest.sql", "check", "at most 86400", "90000", 5),),
)  # fmt: skip
EVERY = {
    "sensible": SENSIBLE, "senseless": SENSELESS,
    "passed": PASSED, "differs": DIFFERS, "corrupt": CORRUPT, "no server": NO_SERVER, "nothing": NOTHING,
    "level 2": LOWER, "level 0": replace(LOWER, level=0, wanted=0, copy=None, seconds={"download": 1.0, "check": 0.1}),
}  # fmt: skip
every = pytest.mark.parametrize("report", EVERY.values(), ids=EVERY)

VOID = {"meta", "rect"}  # of those that we use; a <rect> closes itself
TAGS = re.compile(
    "html|head|meta|title|style|body|header|main|section|article|footer|div|h[123]|p|span|small|strong|table|caption"
    "|thead|tbody|tr|th|td|dl|dt|dd|ul|li|pre|code|details|summary|a|svg|rect"
)
ATTRIBUTES = re.compile(
    "lang|charset|name|content|http-equiv|id|class|href|scope|aria-labelledby|aria-hidden|open|focusable|viewbox"
    "|preserveaspectratio|width|height|x"
)


class Page(HTMLParser):
    """Reads strictly: an unknown element or attribute, or one that is not closed in its turn, fails the test."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.style = ""
        self.texts: list[tuple[str, str]] = []  # (innermost element, what stands in it)
        assert text.startswith("<!doctype html>\n")
        self.feed(text)
        self.close()
        assert not self.open
        assert len(self.ids) == len(set(self.ids))
        assert all(link.startswith("#") and link[1:] in self.ids for link in self.links)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert TAGS.fullmatch(tag), tag
        for name, value in attrs:
            assert ATTRIBUTES.fullmatch(name), f"{name} of {tag}"
            assert "://" not in (value or ""), value
            self.ids += [value or ""] if name == "id" else []
            self.links += [value or ""] if name == "href" else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag == "rect"
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += data
        elif data.strip():
            self.texts.append((self.open[-1], data))

    @property
    def shown(self) -> str:
        """What a person reads, but for the record at the end."""
        return " ".join(" ".join(text for tag, text in self.texts if tag != "pre" or "{" not in text).split())

    @property
    def record(self) -> dict[str, object]:
        return dict(json.loads(next(text for tag, text in self.texts if tag == "pre" and text.startswith("{"))))


def recorded(report: Report, key: str = KEY) -> Report:
    """As `killick verify` leaves it: with its record."""
    place = f"my-shop/{report.id}.evidence/20261124T050012Z-verify-{report.result}-{report.level}.json"
    data = report.to_record()
    return replace(report, record=Record(place, signing.signed(data, place, key) if key else data))


def page(*reports: Report) -> Page:
    return Page(render(reports, NIGHT))


@every
def test_it_is_whole_and_asks_for_nothing_from_elsewhere(report: Report) -> None:
    text = render([recorded(report)], NIGHT)
    read = Page(text)
    assert not re.search(r"url\(|@import|expression|://", read.style)
    assert "default-src 'none'" in text
    assert "prefers-color-scheme: dark" in read.style
    assert "@media print" in read.style


@every
def test_all_that_the_json_says_is_in_it(report: Report) -> None:
    shown = page(recorded(report)).shown
    said = report.to_json()
    words = [said["id"], said["error"], *said["seconds"], *(w for m in said["mismatches"] for w in m.values())]
    words += [
        report.hint,
        *report.warnings,
        *report.notes,
        {"unverifiable": "could not"}.get(report.result, report.result),
    ]
    for word in words:
        assert (word or "") in shown
    for took in said["seconds"].values():
        assert lasting(took) in shown
    if report.level >= 3:
        assert f"{report.tables:,} tables" in shown
    if report.failed_level is not None:
        assert (
            f"Level {report.failed_level} was not reached: it does not hold that {LEVELS[report.failed_level]}" in shown
        )


def test_what_makes_sense() -> None:
    shown = page(SENSIBLE).shown
    assert "can be restored, and its data is the same" in shown
    assert "Found sound amcheck found no damage in 3 tables and 1 index" in shown
    assert "5 the data makes sense held 1 min 15 s" in shown
    shown = page(SENSELESS).shown
    assert "can be restored, but its data does not make sense" in shown
    assert "4 the data is the same held" in shown
    assert "5 the data makes sense failed 1 min 15 s" in shown
    assert "newest.sql check at most 86400 90000" in shown
    assert "1 difference between the copy and what makes sense" in shown
    assert "public.orders 5,000 equal" in shown


def test_what_was_restored_and_where() -> None:
    shown = page(recorded(PASSED)).shown
    archive = MANIFEST.archive
    assert archive is not None
    for word in (
        "7412345678901234567", "postgres 16.14", "version 16.14", archive.key, archive.sha256, archive.raw_sha256,
        "123,456 bytes", "a throwaway process", "none: a namespace", "no such database", "nobody", "10 min 39 s",
        "2 h old", "the publication p is not carried", "2026-11-24 05:00:12 UTC",
        f"killick verify {MANIFEST.id} --level 4 --in process",
    ):  # fmt: skip
        assert word in shown, word
    assert "hush" not in render([recorded(PASSED)], NIGHT)


def test_table_by_table_with_no_checksum_of_rows() -> None:
    text = render([replace(recorded(DIFFERS), notes=())], NIGHT)
    shown = Page(text).shown
    assert "public.orders rows 5000 4999 public.gone table present absent" in shown
    assert "public.orders 5,000 differs: rows 4999, not 5000" in shown
    assert "public.gone 0 differs: table absent, not present" in shown
    assert "public.notes 0 equal" in shown
    assert not any(table.checksum in text for table in TABLES.values()), "a small table can be guessed from it"
    assert "table by table" not in page(recorded(LOWER)).shown, "at level 2 nothing was compared"


def test_of_very_many_tables_those_that_differ_and_the_largest_are_listed() -> None:
    many = {f"t{n:05}": Table(n, "c") for n in range(3000)} | {"zero": Table(0, "c")}
    report = replace(
        PASSED, manifest=replace(MANIFEST, contents=Contents(tables=many)), result="failed", level=3, failed_level=4,
        mismatches=(Mismatch("zero", "rows", "0", "1", 4),),
    )  # fmt: skip
    shown = page(recorded(report)).shown
    assert "zero 0 differs" in shown
    assert "t02999 2,999 equal" in shown
    assert "t00001" not in shown
    assert "2,001 more were compared and are equal" in shown


NAMES = (
    HOSTILE, '"><img src=x onerror=alert(1)>', "' onload='x", "</pre></style><svg/onload=x>", "{{ 7 * 7 }}", "{% x %}",
    "&lt;b&gt;", "javascript:alert(1)", "https://elsewhere.example/x.js", "<!--", "]]>",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_hostile_names_are_text(name: str) -> None:
    archive = Archive(name, 1, name, 1, name, name)
    manifest = replace(
        MANIFEST, engine=name, server_version=name, client_version=name, identity=name, database=name, snapshot=name,
        started=name, finished=name, warnings=(name,), recipients=(name,), killick=name, archive=archive,
        contents=Contents(tables={name: Table(1)}),
    )  # fmt: skip
    copy = Copy(COPY.source, name, name, name, name, name)
    report = replace(
        PASSED, result="failed", level=3, failed_level=4, error=name, hint=name, empty=name, warnings=(name,),
        notes=(name,), manifest=manifest, copy=copy, mismatches=(Mismatch(name, name, name, name, 4),),
        seconds={name: 1.0},
    )  # fmt: skip
    read = page(recorded(report))
    assert read.shown.count(name) > 15
    assert read.record["error"] == name


def test_characters_that_cannot_be_seen_are_shown() -> None:
    mismatch = Mismatch("turned\u202eround\x1b[2J\xa0\udcff", "rows", "1", "2", 4)
    text = render([replace(DIFFERS, mismatches=(mismatch,))], NIGHT)
    text.encode()
    assert r"turned\u202eround\x1b[2J\xa0\udcff" in Page(text).shown
    assert all(c.isprintable() or c == "\n" for c in text)


def test_the_signed_record_can_be_checked_from_the_file_alone() -> None:
    report = recorded(PASSED)
    read = page(report)
    assert report.record is not None
    assert report.record.key in read.shown
    assert signing.judge(read.record, report.record.key, signing.trusted(KEY, ())) == signing.GOOD
    assert f"the public key is {signing.public_half(KEY)}" in read.shown


def test_what_is_not_signed_or_not_recorded_says_so() -> None:
    assert "It is not signed" in page(recorded(PASSED, key="")).shown
    assert "could not be written beside the backup" in page(PASSED).shown


def test_several_sources_have_a_summary_that_leads_to_each() -> None:
    files = replace(DIFFERS, id="20261124T030000Z-uploads")
    read = page(recorded(PASSED), recorded(files), NOTHING)
    assert "1 of 3 passed, 1 failed, 1 could not be verified" in read.shown
    assert read.links == ["#r1", "#r2", "#r3"]
    assert "uploads ✗ failed 3 of 4" in read.shown
    assert "? could not be verified none of 4 not known not measured" in read.shown


def states(report: Report) -> list[str]:
    return [step.state for step in steps(report)][:5]


def test_each_level_has_its_own_result() -> None:
    assert states(PASSED) == [HELD] * 5
    assert states(LOWER) == [HELD] * 3 + [UNASKED] * 2
    assert states(DIFFERS) == [HELD] * 4 + [FAILED]
    assert states(CORRUPT) == [FAILED] + [UNTRIED] * 4
    assert states(NO_SERVER) == [HELD] * 2 + [UNTRIED] * 3
    assert states(NOTHING) == [UNTRIED] * 5
    encrypted = replace(NOTHING, reason="key", seconds={"download": 1.0, "check": 0.1, "decrypt": 0.0})
    assert states(encrypted) == [HELD] + [UNTRIED] * 4
    both = replace(DIFFERS, level=2, failed_level=3)
    assert states(both) == [HELD] * 3 + [FAILED] * 2
    assert [step.seconds for step in steps(PASSED)][:5] == [
        "47.3 s",
        "3 min 23 s",
        "6 min 29 s",
        "1 min 35 s",
        "with level 3",
    ]


@pytest.mark.parametrize(
    ("level", "says"),
    [(0, "is whole; a restore was not tried"), (1, "a restore was not tried"), (2, "its data was not compared"),
     (3, "its data was not compared"), (4, "its data is the same")],
)  # fmt: skip
def test_the_headline_claims_no_more_than_was_proven(level: int, says: str) -> None:
    assert says in Sheet(replace(PASSED, level=level, wanted=level), "r1").headline
    refused = replace(PASSED, result="failed", level=5, wanted=6, failed_level=6)
    assert Sheet(refused, "r1").headline.startswith("can be restored, but the project's own command")
    assert "restored" not in Sheet(DIFFERS, "r1").headline + Sheet(NOTHING, "r1").headline


def test_the_bar() -> None:
    found = stretches({"download": 1.0, "check": 0.0, "restore": 2.0, "compare": 1.0})
    assert [(s.start, s.width, s.counts) for s in found] == [
        (0.0, 25.0, True), (25.0, 0.4, True), (25.0, 50.0, True), (75.0, 25.0, False),
    ]  # fmt: skip
    assert all(s.start + s.width <= 100 for s in stretches({"restore": 1.0, "compare": 0.0}))
    assert stretches({"download": 0.0})[0].start == 0.0
    assert [lasting(s) for s in (0.04, 59.94, 60, 3599, 3600, 7500)] == [
        "0.0 s", "59.9 s", "1 min 0 s", "59 min 59 s", "1 h 0 min", "2 h 5 min",
    ]  # fmt: skip


def test_what_makes_it_is_loaded_only_when_it_is_asked_for() -> None:
    code = "import sys, verify.verify, verify.cli, verify.html.file; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"jinja2", "cryptography"} & set(done.stdout.split())


def test_level_6_and_the_target_of_a_restore() -> None:
    ended = Ended(0, "in a container of shop:1", "the copy's own", "its own only")
    took = {"restore": 61.0, "command": 2.0}
    sheet = Sheet(replace(PASSED, level=6, wanted=6, command=ended, target=60.0, seconds=took), "r1")
    assert ("command", "ended with 0, in a container of shop:1") in list(sheet.place)
    assert sheet.restore.endswith(", longer than the target of 1 min")
    assert (sheet.steps[6].state, sheet.steps[6].seconds) == ("held", "2.0 s")
