"""`killick` itself: what a user sees when something goes wrong, and with which status it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from killick import cli, errors
from killick.settings import load

KINDS = [
    (errors.KillickError("m", "h"), 1),
    (errors.SettingsError(["one", "two"], "h"), 2),
    (errors.NotFound("m"), 3),
    (errors.Corrupt("m"), 4),
    (errors.Refused("m"), 5),
    (errors.Unverifiable("m"), 6),
    (errors.Busy("m"), 7),
    (errors.Aborted("m"), 1),
    (click.UsageError("m"), 2),
    (click.Abort(), 1),
    (KeyboardInterrupt(), 1),
    (errors.Stopped("stopped by SIGTERM"), 1),
    (SystemExit(6), 6),
    (ValueError("S3CRET"), 1),
]


@pytest.mark.parametrize(("error", "code"), KINDS, ids=lambda v: type(v).__name__)
def test_every_error_has_its_status(error: BaseException, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.told(error) == code
    shown = capsys.readouterr().err
    assert "Traceback" not in shown
    assert "S3CRET" not in shown
    if isinstance(error, errors.KillickError):
        assert error.hint in shown
    if isinstance(error, errors.SettingsError):
        assert "killick: one\nkillick: two\n" in shown


@pytest.mark.parametrize(("verb", "code"), [(lambda: click.get_current_context().exit(3), 3), (lambda: None, 0)])
def test_a_verb_may_say_its_status(verb: Callable[[], None], code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "program", lambda: click.Group("killick", commands=[click.Command("verb", callback=verb)]))
    with pytest.raises(SystemExit) as ended:
        cli.main(["verb"])
    assert ended.value.code == code


def test_debug_shows_where_without_secrets(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "debug")
    monkeypatch.setenv("MASK_KEY", "S3CRET")
    assert "S3CRET" in load(os.environ).secrets
    cli.told(ValueError("with S3CRET in it"))
    shown = capsys.readouterr().err
    assert "with *** in it" in shown


def killick(*argv: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "killick", *argv],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environ},
        check=False,
    )


def test_help_shows_examples_codes_and_completion() -> None:
    done = killick("--help")
    assert done.returncode == 0
    for word in ("killick list", "7 busy", "_KILLICK_COMPLETE", "run ", "health "):
        assert word in done.stdout


def test_help_loads_no_driver() -> None:
    code = "import sys, killick.cli; killick.cli.program(); print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {
        "boto3",
        "psycopg2",
        "pymongo",
        "sentry_sdk",
        "apprise",
        "rich",
        "prometheus_client",
        "docker",
        "cryptography",
        "jinja2",
    }
    assert not heavy & set(done.stdout.split())


def test_completion_knows_the_verbs() -> None:
    done = killick(_KILLICK_COMPLETE="bash_complete", COMP_WORDS="killick hea", COMP_CWORD="1")
    assert "health" in done.stdout


def test_usage_and_settings_end_with_2() -> None:
    assert killick("nonsense").returncode == 2
    done = killick("health", PROJECT="x", CODEC="zip", TZ="Nowhere")
    assert done.returncode == 2
    assert done.stderr.count("killick: ") == 2
    assert "Traceback" not in done.stderr


def test_a_signal_ends_cleanly(tmp_path: Path) -> None:
    """In a child, whose handlers they are. Work is put away first, and a second signal does not disturb that."""
    code = """
import sys, time, click, pathlib
from killick import cli
@click.command()
def work():
    try:
        pathlib.Path(sys.argv[1], "begun").touch()
        while True:  # a signal that comes just before one long sleep would be seen after it
            time.sleep(0.1)
    finally:
        pathlib.Path(sys.argv[1], "ending").touch()
        time.sleep(1)
        pathlib.Path(sys.argv[1], "tidied").touch()
cli.killick.add_command(work)
cli.main(["work"])
"""
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stderr=subprocess.PIPE, text=True)
    for name in ("begun", "ending"):
        while not (tmp_path / name).exists():
            assert child.poll() is None
            time.sleep(0.02)
        child.send_signal(signal.SIGTERM)
    _, shown = child.communicate(timeout=30)
    assert child.returncode == 1
    assert (tmp_path / "tidied").exists()
    assert shown == "killick: stopped by SIGTERM\n"


def test_a_reader_that_has_enough_hears_no_complaint() -> None:
    """`killick list | head`: click ends quietly, with 1."""
    shell = f"{sys.executable} -m killick --help | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
