"""The demonstration notices a step that is not as promised."""

from pathlib import Path

import pytest

from script.lib.stage import NotAsPromised, Stage

ENVIRONMENT = {"PATH": "/usr/bin:/bin"}


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path, ENVIRONMENT)


def test_shows_the_command_and_what_it_says(stage: Stage, capfd: pytest.CaptureFixture[str]) -> None:
    assert stage.run("echo one; echo two >&2") == "one\ntwo\n"
    assert capfd.readouterr().out == "$ echo one; echo two >&2\n  one\n  two\n"


@pytest.mark.parametrize(
    ("command", "promised"),
    [
        ("exit 3", {}),
        ("false | true", {}),
        ("true", {"status": 4}),
        ("echo one", {"says": ["two"]}),
    ],
)
def test_another_end_or_other_words_are_not_as_promised(stage: Stage, command: str, promised: dict[str, int]) -> None:
    with pytest.raises(NotAsPromised):
        stage.run(command, **promised)


def test_a_status_that_was_promised_is_fine(stage: Stage) -> None:
    stage.run("exit 4", status=4)


def test_a_command_has_a_terminal_and_sees_no_more_than_it_was_given(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "s3cret")
    assert stage.run("test -t 1 && test -t 2 && echo ${SECRET:-none}") == "none\n"
