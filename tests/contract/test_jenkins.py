"""examples/jenkins/Jenkinsfile. No Jenkins can be had here, so Groovy's parser reads it against a closed list of words,
and its shell lines are run with programs that only say how they were called. Every mistake in it has to be seen."""

from __future__ import annotations

import json
import re
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import click
import pytest

from killick.cli import program
from killick.errors import KillickError
from tests.blocks import ROOT
from tests.lab.groovy import groovy

FILE = ROOT / "examples/jenkins/Jenkinsfile"
CHECK = ROOT / "tests/lab/jenkins/Check.groovy"
TEXT = FILE.read_text()
JOBS = {"shop-stage": "origin/develop", "shop-prod": "origin/master", "shop-test": "origin/feature/cart"}

AGENT = 'agent { label "${env.JOB_BASE_NAME}" }'
PROD = "sh 'killick deploy prod --wait 10m --url \"$URL\"'"
WHEN = "when { expression { env.JOB_BASE_NAME.endsWith('-prod') } }"
CREDENTIALS = "credentials('killick-notify')"
STEPS = "            steps {\n                sh 'killick deploy stage --wait 10m --url \"$URL\"'\n            }\n"
WRONG = {  # what is changed into what, and what has to be said of it
    "a misspelt step": (PROD, PROD.replace("sh", "shell"), "steps knows no shell"),
    "a misspelt directive": ("environment {\n        URL", "enviroment {\n        URL", "environment?"),
    "misspelt stages": ("stages {", "stagse {", "stagse: stages?"),
    "a misspelt stage": ("stage('Prod')", "stag('Prod')", "stages knows no stag: stage?"),
    "a misspelt option": ("disableConcurrentBuilds()", "disableConcurentBuilds()", "disableConcurrentBuilds?"),
    "a misspelt condition of post": ("failure {", "failed {", "post knows no failed"),
    "a misspelt name of an argument": ("unit: 'HOURS'", "units: 'HOURS'", "timeout knows no units: unit?"),
    "an unknown unit": ("unit: 'HOURS'", "unit: 'HOUR'", "HOUR is no unit"),
    "a step outside of a stage": ("stages {", "sh 'true'\n    stages {", "pipeline knows no sh"),
    "a step outside of steps": (WHEN, "sh 'true'", "stage knows no sh"),
    "no agent": (AGENT, "", "pipeline has no agent"),
    "another agent": (AGENT, "agent every", "agent is any, none, or"),
    "a second agent": (AGENT, f"{AGENT}\n    agent any", "pipeline has two agent"),
    "a stage without steps": (STEPS, "", "stage has no steps"),
    "steps without a step": (PROD, "", "steps is empty"),
    "a condition that is always false": (WHEN, "when { branch 'master' }", "but in a multibranch job"),
    "a misspelt condition": (WHEN, WHEN.replace("expression", "expresion"), "when knows no expresion: expression?"),
    "an empty when": (WHEN, "when { }", "when is empty"),
    "a condition without braces": (WHEN, "when { expression 'prod' }", "expression lacks its braces"),
    "a condition on what is not there": (WHEN, WHEN.replace("JOB_BASE", "JOBBASE"), "env has no JOBBASE_NAME"),
    "a brace that nobody closes": ("            }\n            post {", "            post {", "expecting '}'"),
    "a quote that nobody closes": (AGENT, AGENT.replace('" }', " }"), "line 5: expecting"),
    "Groovy among the steps": (PROD, f"def x = 1\n{PROD}", "this is Groovy"),
    "a script block": (PROD, f"script {{ }}\n{PROD}", "steps knows no script"),
    "something beside the pipeline": ("pipeline {", "node { }\npipeline {", "one pipeline, and nothing beside it"),
    "a line that Groovy fills in": (PROD, 'sh "killick deploy prod $URL"', "sh has to be a plain text"),
    "a secret for an environment": (CREDENTIALS, "'slack://T0/B0/x'", "NOTIFY_URLS may be secret"),
    "a secret in a line": (PROD, PROD.replace("$URL", "http://me:hunter2@localhost/"), "looks like a secret"),
    "a secret that is assigned": (PROD, "sh 'DB_PASSWORD=correct-horse killick deploy prod'", "looks like a secret"),
    "a secret in a comment": ("pipeline {", "// AKIAIOSFODNN7EXAMPLE\npipeline {", "line 4: this looks like a secret"),
    "two stages of one name": ("stage('Prod')", "stage('Stage')", "two stages are called Stage"),
}  # fmt: skip


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is said of the file, by "", and of each wrong one. All in one process, since starting it is what lasts."""
    folder = tmp_path_factory.mktemp("jenkins")
    files = [FILE]
    for number, (before, after, _) in enumerate(WRONG.values()):
        assert TEXT.count(before) == 1, before
        files.append(folder / str(number))
        files[-1].write_text(TEXT.replace(before, after))
    lines = groovy(CHECK, ",".join(JOBS), *files).splitlines()
    return dict(zip(["", *WRONG], map(json.loads, lines), strict=True))


def test_the_file_is_right(told: dict[str, Any]) -> None:
    assert told[""]["wrong"] == []
    assert told[""]["words"]["options"] == ["disableConcurrentBuilds", "timeout"]
    assert told[""]["words"]["agent"] == ['"${env.JOB_BASE_NAME}"']


@pytest.mark.parametrize("name", WRONG)
def test_mistakes_are_seen(told: dict[str, Any], name: str) -> None:
    wrong = told[name]["wrong"]
    assert any(WRONG[name][2] in line for line in wrong), wrong
    assert told[name]["jobs"] == {}


# What each job does


def called(lines: list[str], folder: Path, job: str, branch: str) -> list[list[str]]:
    """How programs are called when Jenkins runs these lines. Raises CalledProcessError."""
    for name in ("killick", "docker"):
        (folder / name).write_text(f'#!/bin/sh\n{{ echo {name}; printf "%s\\n" "$@"; echo; }} >>"$CALLS"\n')
        (folder / name).chmod(0o755)
    calls = folder / "calls"
    calls.write_text("")
    env = {
        "PATH": f"{folder}:/usr/bin:/bin", "CALLS": str(calls), "JOB_BASE_NAME": job, "GIT_BRANCH": branch,
        "URL": "http://localhost:8000/health",
    }  # fmt: skip
    for line in lines:
        subprocess.run(["sh", "-xec", line], env=env, cwd=folder, check=True, capture_output=True, text=True)
    return [call.splitlines() for call in calls.read_text().split("\n\n")[:-1]]


def lines(told: dict[str, Any], job: str) -> list[str]:
    return [line for part in ("sh", "after") for stage in told[""]["jobs"][job] for line in stage[part]]


def understood(argv: list[str]) -> None:
    """Raises UsageError as killick would."""
    assert argv[0] == "killick"
    group: Any = program()
    command = group.commands[argv[1]]
    command.make_context(argv[1], argv[2:])


@pytest.mark.parametrize(("job", "environment"), [("shop-stage", "stage"), ("shop-prod", "prod")])
def test_deploys(told: dict[str, Any], tmp_path: Path, job: str, environment: str) -> None:
    calls = called(lines(told, job), tmp_path, job, JOBS[job])
    assert [call[:3] for call in calls] == [["killick", "deploy", environment]]
    understood(calls[0])
    assert calls[0][-2:] == ["--url", "http://localhost:8000/health"]
    assert (ROOT / "dc.prod.yml").exists()


def test_an_option_that_killick_does_not_know_is_seen(told: dict[str, Any], tmp_path: Path) -> None:
    (line,) = (line for line in lines(told, "shop-prod") if "killick deploy" in line)
    for before, after in (("--url", "--urls"), ("10m", "soon"), ('"$URL"', "localhost"), (" prod", "")):
        (call,) = called([line.replace(before, after)], tmp_path, "shop-prod", "")
        with pytest.raises((click.UsageError, KillickError)):
            understood(call)


def test_tests_run_beside_and_never_in_the_project(told: dict[str, Any], tmp_path: Path) -> None:
    """`down --volumes` of a project called as the job: what is deployed there keeps its data."""
    compose = ["docker", "compose", "-p", "shop-test", "-f", "docker-compose.yml", "-f", "dc.test.yml"]
    assert called(lines(told, "shop-test"), tmp_path, "shop-test", JOBS["shop-test"]) == [
        [*compose, "run", "--build", "--rm", "tests"],
        [*compose, "down", "--volumes"],
    ]
    assert (ROOT / "dc.test.yml").exists()


@pytest.mark.parametrize(
    ("job", "branch", "well"),
    [
        *((job, branch, True) for job, branch in JOBS.items()),
        ("shop-prod", "master", True),
        ("my-shop-prod", "origin/master", True),
        ("shop-prod", "origin/develop", False),
        ("shop-stage", "origin/master", False),
        ("shop-stage", "origin/feature/develop", False),
        ("shop-prod", "", False),
        ("shop-test", "", False),
        ("shop-production", "origin/master", False),
        ("-prod", "origin/master", False),
        ("shop", "origin/master", False),
    ],
)
def test_a_job_of_another_name_or_branch_ends_red(
    told: dict[str, Any], tmp_path: Path, job: str, branch: str, well: bool
) -> None:
    """Skipped stages alone would end green, with nothing deployed."""
    first = told[""]["jobs"]["shop-prod"][0]
    assert first["stage"] == "Job"
    if well:
        assert called(first["sh"], tmp_path, job, branch) == []
        return
    with pytest.raises(subprocess.CalledProcessError) as failed:
        called(first["sh"], tmp_path, job, branch)
    assert failed.value.returncode == 2
    assert f"{job} does not deploy" in failed.value.stderr


def test_it_tells_what_killicks_exit_codes_mean() -> None:
    told = set(map(int, re.findall(r"^ +(\d)  ", TEXT, re.MULTILINE)))
    assert told == {1, 2, 5, 7}


def test_the_page_shows_the_file() -> None:
    page = (ROOT / "docs/deploy.md").read_text()
    (shown,) = re.findall(r"^```groovy\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert textwrap.indent(shown, " " * 8) in TEXT
    assert "killick deploy stage" in shown
    assert "killick deploy prod" in shown
