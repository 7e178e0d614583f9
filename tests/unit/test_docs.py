"""What the pages say against what the code does: names, numbers, links."""

import ast
import re
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy import outcome as deploy
from deploy.containers import Container
from killick import errors, schedule, settings, signing
from killick.catalog import Backup, Catalog, Evidence
from killick.cli import EPILOG, program
from killick.compare import Mismatch
from killick.engines import Check
from killick.engines.postgres.failures import _FAILURES
from killick.manifest import Archive, Manifest
from killick.observers import metrics
from killick.observers.log import slug
from killick.retention import Decision
from killick.settings.variables import FAMILIES, FOREIGN, VARIABLES
from killick.state import SourceState, State, Verification
from restore.listing import entries
from restore.result import Result
from sidecar import prune
from sidecar.backup import Outcome
from sidecar.report import document
from verify.foreign import HIGHEST
from verify.outcome import _LACKING, _NOT_ITS_FAULT
from verify.report import EXIT, LEVELS, LEVELS_OLDER, Report

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
TEXT = {str(page.relative_to(ROOT)): page.read_text() for page in PAGES}
WRITTEN = {name: text for name, text in TEXT.items() if name != "docs/settings.md"}  # that one is made from the code
each_page = pytest.mark.parametrize("page", WRITTEN)


def section(page: str, title: str) -> str:
    """What stands under a heading, up to the next of its rank or higher."""
    match = re.search(rf"^(#+) {title}$(.*?)(?=^#{{1,2}} |\Z)", TEXT[page], re.MULTILINE | re.DOTALL)
    assert match, f"{page} has no section {title!r}"
    return match[2]


def rows(text: str) -> list[list[str]]:
    """The cells of its tables, without their heads."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    bars = [i for i, row in enumerate(cells) if set("".join(row)) <= set("-:")]
    return [row for i, row in enumerate(cells) if i not in bars and i + 1 not in bars]


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def first_column(page: str, title: str) -> list[str]:
    return [word for row in rows(section(page, title)) for word in quoted(row[0])]


def subclasses(of: Any) -> set[Any]:
    """Those of killick itself, `of` too."""
    below = {deeper for direct in of.__subclasses__() for deeper in subclasses(direct)}
    return {of} | {kind for kind in below if kind.__module__.startswith("killick.")}


# Links and places


def anchors(text: str) -> set[str]:
    """As GitHub makes them of headings."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@each_page
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", WRITTEN[page]):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        to = (ROOT / page).parent / path if path else ROOT / page
        assert to.resolve().is_relative_to(ROOT), f"{target} leads out of the project"
        assert to.exists(), target
        assert not anchor or anchor in anchors(to.read_text()), f"{target}: no such heading"


def test_every_page_is_linked_from_the_readme() -> None:
    linked = set(re.findall(r"\]\(([^)#\s]+)\)", TEXT["README.md"]))
    assert {name for name in TEXT if name != "README.md"} <= linked


PLACES = (
    # in containers, in examples, in URLs; each with what lies below it
    *(
        "/run/secrets",
        "/proc",
        "/var/lib/killick",
        "/tmp",
        "/uploads",
        "/srv",
        "/app",
        "/opt",
        "/backups",
        "/etc/killick",
        "/run/haproxy",
        "/etc/haproxy",
        "/canary",
        "/health",
    ),
    *("/var/run/docker.sock", "/etc/nginx", "/v", "/images/create"),
    *(
        "/metrics",
        "/healthz",
        "/readyz",
        "/source",
        "/night",
        "/state.json",
        "/badge.svg",
        "/badge",
        "/fail",
        "/",
        "/shop",
        "/copy",
        "/my-shop",
    ),
)


@each_page
def test_no_path_outside_the_project(page: str) -> None:
    unread = re.sub(r"^```(?:nginx|haproxy).*?^```$", "", WRITTEN[page], flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"\w[\w+.-]*://[^\s`)\"]*|arn:aws:\S*", "", unread)
    for path in re.findall(r"(?<![\w.>)…*`}~/-])`?(/[\w.-][\w./-]*)", text):
        assert any(path == place or path.startswith(f"{place}/") for place in PLACES if place != "/"), path
    assert "../" not in text


@each_page
def test_files_that_are_named_are_there(page: str) -> None:
    folders = {entry.name for entry in ROOT.iterdir() if entry.is_dir()} - {"secrets"}
    for word in quoted(WRITTEN[page]):
        path = word.split(" ")[0]
        if path.split("/")[0] in folders and "/" in path and "<" not in path and path != "killick/1":
            assert (ROOT / path).exists(), word


# Variables


NOT_OURS = {
    "CI",
    "AWS_MAX_ATTEMPTS",
    "GRANT",
    "ON_ERROR_STOP",
    "DAC_READ_SEARCH",
    "CODECS",
    "SCHEMES",
    "TRIAL",
    "HEALTHCHECK",
    *(f"KILLICK_{name}" for name in ("PROJECT", "SOURCE", "BACKUP", "TARGET")),
    "COMPOSE_PROJECT_NAME",
    "ENV",
    *("PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "MONGO_URL", "MONGO_DATABASE", "SECRET_KEY", "HOME"),
    "DOCKER_HOST",
    "DOCKER_TLS_VERIFY",
    "GET",
    "POST",
    "XDG_STATE_HOME",
    "AAAA",
}
"""Words of SQL, Linux, Docker, other programs and the code."""


@each_page
def test_variables_exist(page: str) -> None:
    known = {v.name for v in VARIABLES} | FOREIGN | NOT_OURS | {"NAME"}
    words = set(re.findall(r"(?<![\w./$<-])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?![\w<])", WRITTEN[page]))
    words |= {word.split("=")[0] for word in quoted(WRITTEN[page]) if re.fullmatch(r"[A-Z]{2,}(=.*)?", word)}
    for word in words:
        name = word.removesuffix("_FILE")
        assert name in known or any(name.startswith(family) for family in FAMILIES), word


def test_variables_without_effect_are_told() -> None:
    """Read by nothing but the settings themselves: the list goes when one of them works."""
    unused = "These variables are read and checked, and have no effect:"
    told = set(quoted(" ".join(TEXT["CHANGELOG.md"].split()).partition(unused)[2]))
    attributes = {
        "CACHE_DIR": "cache", "MASK": "mask", "SEED": "seed", "RTO": "rto",
        "EVIDENCE_KEY": "evidence_key", "VERIFY_COMMAND": "commands", "VERIFY_CPUS": "cpus",
        "VERIFY_MAX_AGE": "max_age", "VERIFY_MEMORY": "memory",
    }  # fmt: skip
    holders = {"settings", "given", "verify", "_settings", "session"}
    read = {
        node.attr
        for package in ("killick", "sidecar", "restore", "verify")
        for file in (ROOT / package).rglob("*.py")
        if file.parent.name != "settings"
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and _holder(node.value) in holders
    }
    assert told == {name for name, attribute in attributes.items() if attribute not in read}
    known = {field.name for kind in (settings.Settings, settings.Verify) for field in fields(kind)}
    assert set(attributes.values()) <= known


def _holder(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


# Metrics, errors, events, JSON


def exposed() -> dict[str, set[str]]:
    """Each metric's labels, of a state that has everything."""
    full = SourceState(
        "db", engine="postgres", interval=1.0, last_attempt=1.0, last_success=1.0, seconds={"dump": 1.0}, raw_bytes=1,
        archive_bytes=1, backups={"proven": 1, "unverified": 0, "failed": 0, "partial": 0}, bytes=1,
        verification=Verification(1.0, 1.0, "passed", 4, 1.0, 1, 0, 1.0, restore_target=2.0, proven=1.0, max_age=1.0),
    )  # fmt: skip
    text = metrics.exposition(State("shop", 1.0, (full,))).decode()
    return {family.name: set(family.samples[0].labels) for family in text_string_to_metric_families(text)}


def test_metrics() -> None:
    there = exposed()
    told = {quoted(row[0])[0]: row[1] for row in rows(section("docs/operating.md", "Metrics"))}
    assert set(told) == set(there)
    for name, more in told.items():
        assert set(quoted(more)) == there[name] - {"project", "source", "engine"}, name
    for page, text in WRITTEN.items():
        for word in re.findall(r"\bkillick_[a-z_]+", text):
            assert word in there or word == "killick_restore", f"{page}: {word}"


def test_exit_codes() -> None:
    codes = {0} | {kind.exit_code for kind in subclasses(errors.KillickError)}
    told = {int(row[0]): row[1] for row in rows(section("docs/operating.md", "Exit codes"))}
    assert set(told) == codes
    for code, words in told.items():
        first = re.split(r"[:,]| or ", words)[0]
        assert re.search(rf"{code} {first}", EPILOG), f"killick --help tells {code} otherwise"


def test_every_error_has_its_cure() -> None:
    kinds = subclasses(errors.KillickError) - {errors.KillickError}
    made = {_kind(kind): kind.exit_code for kind in kinds if not kind.__name__.startswith("_")}
    told = {quoted(row[0])[0]: row for row in rows(section("docs/operating.md", "Errors"))}
    assert {name: int(row[1]) for name, row in told.items()} == made
    assert all(len(row) == 4 and row[2] and row[3] for row in told.values())


def _kind(of: Any) -> str:
    return str(of.__new__(of).kind)


def test_events() -> None:
    from killick import events

    made = {slug(kind.__new__(kind)) for kind in subclasses(events.Event) - {events.Event}}
    literal = {
        word
        for file in ("sidecar/cli.py", "sidecar/loop.py", "killick/observers/log.py")
        for word in re.findall(r'\.line\("\w+", "([a-z-]+)"', (ROOT / file).read_text())
    }
    told = set(quoted(section("docs/operating.md", "Logs").partition("Events:")[2]))
    assert told == made | literal


def test_every_json_is_told() -> None:
    told = {word.split()[0] for word in first_column("docs/operating.md", "JSON")}
    verbs = {name: verb for name, verb in program().commands.items() if not verb.hidden}
    assert told == {name for name, verb in verbs.items() if any("--json" in p.opts for p in verb.params)}


def test_the_fields_of_every_json() -> None:
    now = datetime(2026, 11, 23, 3, tzinfo=UTC)
    seen = Backup("shop", "i", "db", now, manifest=True, evidence=(Evidence(now, "verify", "passed", 4),))
    report = Report("shop", "i", now, "failed", 3, 4, mismatches=(Mismatch("t", "rows", "1", "2", 4),))
    made: dict[str, Any] = {
        "backup": Outcome("db", None, None, 0.0, 0).to_json(),
        "list": entries(None, Catalog("shop", (replace(seen, older=True, manifest=False),)), "")[0],  # type: ignore[arg-type]
        **dict.fromkeys(("restore", "seed", "snapshot", "reset"), Result("i", "there", {}).to_json()),
        "verify": report.to_json(),
        "prune": prune.to_json(Decision(seen, True, "newest")),
        "fleet": document([State("shop", 0.0, (SourceState("db", verification=Verification(result="passed")),))], 0.0),
        "doctor": asdict(Check("a", True)),
        "deploy": deploy.Outcome("shop", "", True, [], {}, [Container("a", "", "", "", "", 0, 0, "")]).to_json(),
    }
    table = {quoted(row[0])[0].split()[0]: row[1] for row in rows(section("docs/operating.md", "JSON"))}
    assert "evidence" in table.pop("show")
    assert {verb: set(re.findall(r'"(\w+)"', cell)) for verb, cell in table.items()} == {
        verb: _keys(document) for verb, document in made.items()
    }


def _keys(document: Any) -> set[str]:
    """Those of a document and of what it holds."""
    if isinstance(document, dict):
        return set(document) | {key for value in document.values() for key in _keys(value)}
    return {key for value in document for key in _keys(value)} if isinstance(document, list) else set()


@each_page
def test_verbs_and_options_exist(page: str) -> None:
    commands = program().commands
    fenced = [line for block in re.findall(r"^```.*?^```$", WRITTEN[page], re.M | re.S) for line in block.splitlines()]
    inline = re.findall(r"`([^`\n]+)`", WRITTEN[page])
    for line in (*fenced, *inline):
        verb, rest = re.match(r"(?:.*sidecar )?killick ([a-z]+)(.*)|", line).groups()  # type: ignore[union-attr]
        if verb is None:
            continue
        assert verb in commands, f"killick {verb}"
        command = commands[verb]
        if isinstance(command, click.Group) and (below := re.match(r" ([a-z]+)", rest)):
            assert below[1] in command.commands, f"killick {verb} {below[1]}"
            command = command.commands[below[1]]
        options = {opt for p in command.params if isinstance(p, click.Option) for opt in p.opts}
        assert set(re.findall(r"(?<!\w)--[a-z-]+", rest)) <= options, f"killick {verb}{rest}"


# Verification, the manifest, schedules


def test_levels() -> None:
    def told(title: str) -> dict[int, str]:
        return {int(row[0]): row[1] for row in rows(section("docs/verify.md", title))}

    assert told("Levels") == dict(enumerate(LEVELS))
    older = {level: LEVELS_OLDER.get(level, LEVELS[level]) for level in range(HIGHEST + 1)}
    assert told("Older scripts' archives") == older


def test_results_and_reasons() -> None:
    text = section("docs/verify.md", "Results")
    tables = rows(text)
    assert {quoted(row[0])[0]: int(row[1]) for row in tables if row[1].isdigit()} == EXIT
    told = {word for row in tables if not row[1].isdigit() for word in quoted(row[0])}
    named = {
        word
        for folder in ("verify", "killick/throwaway")
        for file in (ROOT / folder).glob("*.py")
        for word in re.findall(r'reason="([a-z-]+)"', file.read_text())
    }
    assert told == {*_LACKING.values(), *_NOT_ITS_FAULT.values(), *named, "environment"}
    failed = set(quoted(" ".join(text.split()).partition("Reasons of `failed` are")[2])) - {
        "mismatch",
        "no-manifest",
        "damaged",
        "vanished",
        "checks",
    }
    assert failed == {failure.reason for failure in _FAILURES} - set(_LACKING) | {"restore", "command"}


def test_what_signatures_are_worth() -> None:
    told = [row[0].strip("`") for row in rows(section("docs/verify.md", "Signed evidence"))]
    assert told == [signing.GOOD, signing.BAD, signing.UNKNOWN, signing.UNCHECKED, "null"]


def test_the_manifests_fields() -> None:
    told = first_column("docs/archive.md", "The manifest")
    top = {field.name for field in fields(Manifest)} | {"format"}
    assert top <= set(told)
    archive = next(row[1] for row in rows(section("docs/archive.md", "The manifest")) if row[0] == "`archive`")
    assert set(quoted(archive)) == {field.name for field in fields(Archive)}


def test_schedules_can_be_written_so() -> None:
    table = first_column("docs/schedule.md", "When it runs")
    assert len(table) > 10
    for words in table:
        schedule.parse(words)
