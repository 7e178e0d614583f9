"""monitoring/: rules, routes and dashboard by their own programs, and against what killick exposes and the docs say."""

import json
import re
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import apprise
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.blocks import ROOT, blocks
from tests.lab import debian
from tests.unit.test_docs import anchors, exposed, first_column, rows, section

FOLDER = ROOT / "monitoring"
RULES = {
    rule["alert"]: rule
    for group in yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"]
    for rule in group["rules"]
}
TESTS = yaml.safe_load((FOLDER / "rules_test.yml").read_text())["tests"]
DASHBOARD = json.loads((FOLDER / "grafana/killick.json").read_text())
PAGE = "docs/monitoring.md"
each_rule = pytest.mark.parametrize("name", RULES)


@pytest.fixture(scope="module")
def promtool() -> Path:
    return debian.unpack("prometheus") / "bin/promtool"


def run(*argv: str | Path) -> tuple[int, str]:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


# Rules


def test_promtool_takes_rules_and_configuration(promtool: Path) -> None:
    code, said = run(promtool, "check", "config", FOLDER / "prometheus.yml")
    assert code == 0, said
    assert f"SUCCESS: {len(RULES)} rules found" in said


def test_every_rule_as_its_tests_say(promtool: Path) -> None:
    code, said = run(promtool, "test", "rules", FOLDER / "rules_test.yml")
    assert code == 0, said


@each_rule
def test_a_rule_has_a_test_in_which_it_is_silent_fires_and_recovers(name: str) -> None:
    seen = [one["exp_alerts"] for test in TESTS for one in _of(test, name)]
    firing = [{alert["exp_labels"]["source"] for alert in alerts} for alerts in seen]
    assert firing, f"{name} has no test"
    assert not firing[0], "silent before"
    assert any(earlier - later for earlier, later in pairwise(firing)), "recovers"


def _of(test: dict[str, Any], name: str) -> list[Any]:
    return [one for one in test["alert_rule_test"] if one["alertname"] == name]


@each_rule
def test_another_threshold_would_be_found_out(name: str, promtool: Path, tmp_path: Path) -> None:
    """By the rule's own tests: each of its numbers one or a fifth more or less, and without its patience."""
    mine = [{**test, "alert_rule_test": _of(test, name)} for test in TESTS if _of(test, name)]
    document = {"rule_files": ["rules.yml"], "evaluation_interval": "5m", "tests": mine}
    (tmp_path / "tests.yml").write_text(json.dumps(document))
    for changed in ({}, *_changed(RULES[name])):
        given = {"name": "killick", "rules": [{**RULES[name], **changed}]}
        (tmp_path / "rules.yml").write_text(json.dumps({"groups": [given]}))
        code, said = run(promtool, "test", "rules", tmp_path / "tests.yml")
        assert (code == 0) == (changed == {}), (changed, said)


def _step(value: float) -> float:
    return 1 if value == int(value) < 10 else value / 5


def _changed(rule: dict[str, Any]) -> Iterator[dict[str, str]]:
    expr = rule["expr"]
    for number in re.finditer(r"(?<![\w.])(\d+(?:\.\d+)?)(?![\w.\]])", expr):
        value = float(number[0])
        for other in (value - _step(value), value + _step(value)) if value else ():
            yield {"expr": f"{expr[: number.start()]}{other}{expr[number.end() :]}"}
    yield {"expr": f"({expr}) and vector(0) == 1"}
    if "for" in rule:
        yield {"for": "0s"}


@each_rule
def test_a_rule_says_whose_it_is_and_what_to_do(name: str) -> None:
    rule = RULES[name]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    notes = rule["annotations"]
    assert notes.keys() == {"summary", "description", "runbook"}
    assert notes["description"].startswith("{{ $labels.project }}/{{ $labels.source }}: ")
    page, _, anchor = re.search(r"(docs/\S+)$", notes["runbook"])[1].partition("#")  # type: ignore[index]
    assert anchor == name.lower()
    assert anchor in anchors((ROOT / page).read_text())


def test_the_page_tells_of_every_alert() -> None:
    table = {re.search(r"\w+", row[0])[0]: row[2] for row in rows(section(PAGE, "Alerts"))}  # type: ignore[index]
    assert table == {name: rule["labels"]["severity"] for name, rule in RULES.items()}


# Metrics and labels


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in RULES.values())
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    yield from (one["query"] for one in DASHBOARD["templating"]["list"] if one["type"] == "query")


def test_metrics_and_labels_are_those_that_killick_exposes() -> None:
    there = exposed()
    for text in expressions():
        metrics = re.findall(r"\bkillick_\w+", text)
        assert metrics, text
        assert set(metrics) <= there.keys(), text
        for metric, selector in re.findall(r"\b(killick_\w+)\{([^}]*)\}", text):
            assert set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", selector)) <= there[metric], text
        for labels in re.findall(r"\bby \(([^)]*)\)", text):
            assert set(labels.split(", ")) <= set.intersection(*(there[metric] for metric in metrics)), text


def test_legends_are_of_labels_that_the_expression_keeps() -> None:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            kept = {label for by in re.findall(r"\bby \(([^)]*)\)", target["expr"]) for label in by.split(", ")}
            assert set(re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", ""))) <= kept, target["expr"]


# The dashboard


def test_the_dashboard_is_of_grafanas_schema() -> None:
    """Read into Grafana's own model and written again: what the model does not know would be lost."""
    register_default_plugins()
    again = json.loads(JSONEncoder().encode(Dashboard.from_json(DASHBOARD)))
    assert list(_lost(DASHBOARD, again)) == []
    assert list(_lost({"panels": [{"unheard": 1}]}, {"panels": [{}]})) == ["/panels/0/unheard"]


def _lost(given: Any, again: Any, path: str = "") -> Iterator[str]:
    if isinstance(given, dict) and isinstance(again, dict):
        for key, value in given.items():
            yield from _lost(value, again[key], f"{path}/{key}") if key in again else [f"{path}/{key}"]
    elif isinstance(given, list) and isinstance(again, list) and len(given) == len(again):
        for index, (one, other) in enumerate(zip(given, again, strict=True)):
            yield from _lost(one, other, f"{path}/{index}")
    elif given != again:
        yield path


def test_every_expression_of_the_dashboard_is_promql(promtool: Path, tmp_path: Path) -> None:
    found = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
    written = [{"record": f"panel:{index}", "expr": expr} for index, expr in enumerate(found)]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": written}]}))
    code, said = run(promtool, "check", "rules", tmp_path / "rules.yml")
    assert code == 0, said
    assert len(found) > 15


def test_the_dashboard_has_what_it_promises() -> None:
    titles = [panel["title"] for panel in DASHBOARD["panels"]]
    assert {"Fleet", "$project", "The worst", "Recovery point (RPO)", "Restore time (RTO)"} <= set(titles)
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells


# Alertmanager, compose, addresses


def test_amtool_takes_the_routes() -> None:
    amtool = debian.unpack("prometheus-alertmanager") / "bin/amtool"
    code, said = run(amtool, "check-config", FOLDER / "alertmanager.yml")
    assert code == 0, said
    for severity, receivers in {"critical": "chat,mail", "warning": "mail"}.items():
        argv = (amtool, "config", "routes", "test", f"--config.file={FOLDER / 'alertmanager.yml'}")
        code, said = run(*argv, "alertname=KillickVerifyFailed", f"severity={severity}", "project=shop")
        assert (code, said.splitlines()[0]) == (0, receivers)


def test_inhibitions_name_alerts_that_there_are() -> None:
    text = (FOLDER / "alertmanager.yml").read_text()
    assert set(re.findall(r"Killick\w+", text)) <= RULES.keys()


def test_the_page_names_every_file() -> None:
    told = set(first_column(PAGE, "Copy it"))
    assert {str(file.relative_to(ROOT)) for file in FOLDER.glob("*.yml")} - told == {"monitoring/compose.yml"}


def test_what_compose_mounts_is_there_and_where_it_is_looked_for() -> None:
    services = yaml.safe_load((FOLDER / "compose.yml").read_text())["services"]
    mounts = {
        target: ROOT / source
        for service in services.values()
        for source, target, *_ in (volume.split(":") for volume in service["volumes"])
        if source.startswith("./")
    }
    assert all(source.is_file() for source in mounts.values())
    (provider,) = _provisioned(mounts, "dashboards")["providers"]
    assert f"{provider['options']['path']}/killick.json" in mounts
    (source,) = _provisioned(mounts, "datasources")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert services.keys() == {"prometheus", "alertmanager", "grafana"}


def _provisioned(mounts: dict[str, Path], kind: str) -> Any:
    return yaml.safe_load(mounts[f"/etc/grafana/provisioning/{kind}/killick.yml"].read_text())


def test_addresses_are_as_apprise_writes_them() -> None:
    for url in blocks(PAGE)["notify"].split():
        assert apprise.Apprise().add(url), url
