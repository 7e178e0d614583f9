"""examples/kubernetes against Kubernetes' own schemas, and against what killick reads."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
import yaml

from killick.cli import program
from killick.settings import Settings, load
from tests.blocks import ROOT

FOLDER = ROOT / "examples/kubernetes"
WHOLE = list(yaml.safe_load_all((FOLDER / "killick.yml").read_text()))
MONITOR = yaml.safe_load((FOLDER / "monitor.yml").read_text())
CONFIG = next(one["data"] for one in WHOLE if one["kind"] == "ConfigMap")


def templates() -> Iterator[tuple[str, Any]]:
    """What pods are made of, by name."""
    for one in WHOLE:
        job = one["spec"]["jobTemplate"] if one["kind"] == "CronJob" else one
        if "template" in job.get("spec", {}):
            yield one["metadata"]["name"], job["spec"]["template"]["spec"]


PODS = dict(templates())
CONTAINERS = {
    f"{pod}/{container['name']}": (spec, container)
    for pod, spec in PODS.items()
    for container in (*spec.get("initContainers", ()), *spec["containers"])
}
each_container = pytest.mark.parametrize("name", CONTAINERS)


@pytest.mark.parametrize("version", ["1.27", kubernetes_validate.latest_version()])
def test_objects_are_of_kubernetes_schemas(version: str) -> None:
    """Strictly: a field that Kubernetes does not know is an error."""
    for one in WHOLE:
        kubernetes_validate.validate(one, version, strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**WHOLE[1], "spec": {**WHOLE[1]["spec"], "schedules": "x"}}, version, strict=True)
    assert {one["kind"] for one in WHOLE} == {"ConfigMap", "CronJob", "Deployment", "Service"}


@pytest.mark.parametrize("name", PODS)
def test_pods_are_nobody_and_ask_the_cluster_for_nothing(name: str) -> None:
    spec = PODS[name]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 10001, "the image's own"
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert all("emptyDir" in volume or "secret" in volume for volume in spec["volumes"])


@each_container
def test_containers_are_confined_and_measured(name: str) -> None:
    spec, container = CONTAINERS[name]
    confined = container["securityContext"]
    assert (confined["allowPrivilegeEscalation"], confined["readOnlyRootFilesystem"]) == (False, True)
    assert confined["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"]["requests"].keys() >= {"cpu", "memory"}
    assert "memory" in container["resources"]["limits"]
    mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounted.keys() <= {volume["name"] for volume in spec["volumes"]}
    assert {"/tmp", "/var/lib/killick"} <= set(mounted.values()), "what killick writes to"


def settings(name: str, tmp_path: Path) -> Settings:
    """As the container has them, where each file of its secrets is there."""
    spec, container = CONTAINERS[name]
    secrets = {volume["name"] for volume in spec["volumes"] if "secret" in volume}
    places = [mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] in secrets]
    environ = dict(CONFIG)
    environ |= {one["name"]: one["value"] for one in container.get("env", ())}
    for variable, value in environ.items():
        if variable.endswith("_FILE"):
            assert any(value.startswith(f"{place}/") for place in places), f"{variable}: no secret is mounted there"
            environ[variable] = str(tmp_path / variable)
            (tmp_path / variable).write_text("secret\n")
    return load(environ, "project")


@each_container
def test_killick_takes_these_settings_and_this_verb(name: str, tmp_path: Path) -> None:
    found = settings(name, tmp_path)
    _, container = CONTAINERS[name]
    verb, *argv = container["args"]
    command = program().commands[verb]
    command.make_context(verb, argv)
    assert isinstance(command, click.Command)
    assert bool(found.sources) == (verb == "backup"), "only what dumps knows the database"
    assert found.schedule.off
    assert found.access.secret == "secret"


def test_no_secret_stands_in_it() -> None:
    assert not [one for one in WHOLE if one["kind"] == "Secret"]
    plain = {**CONFIG, **{e["name"]: e["value"] for _, c in CONTAINERS.values() for e in c.get("env", ())}}
    assert not [name for name in plain if ("PASSWORD" in name or "KEY" in name) and not name.endswith("_FILE")]


def test_prometheus_finds_the_metrics() -> None:
    service = next(one for one in WHOLE if one["kind"] == "Service")
    deployment = next(one for one in WHOLE if one["kind"] == "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert MONITOR["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    ports = [port["name"] for port in service["spec"]["ports"]]
    assert [endpoint["port"] for endpoint in MONITOR["spec"]["endpoints"]] == ports
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["ports"] == [{"name": "metrics", "containerPort": 9187}]
