"""`killick move` between two servers, while the site is used: to the end, taken back, and only looked at."""

from collections.abc import Sequence

import pytest

from deploy.move.prober import Prober
from deploy.move.spec import load
from deploy.move.windows import Sample, Window, windows
from tests.end_to_end.moves.runner import SPEC, Runner, moved, on_old
from tests.kit import wait_for
from tests.lab.cloudflare import TOKEN, Cloudflare
from tests.lab.two import ADDRESS, NAME, SITE
from tests.lab.two.load import Ledger, Load

AGREE = 0.25  # seconds that two probers may differ
STAYS = ("old: access", "old: roles", "edge: map", "edge: servers")
"""What a rollback puts back by the letter; containers were stopped and started meanwhile."""


def test_a_move_under_load(runner: Runner) -> None:
    """As production has to: rehearsed first. The report agrees with whoever looked on from outside."""
    (runner.folder / "shop.toml").write_text(SPEC.read_text())
    unrehearsed = runner.run()
    assert unrehearsed.code == 5, unrehearsed.err
    rehearsed = runner.move("rehearse", "shop.toml")
    assert rehearsed.code == 0, rehearsed.err
    outside = Prober({"public": (ADDRESS["edge"], NAME), "old": (ADDRESS["old"], NAME)}, load(SPEC).check)
    with outside, Load() as users:
        wait_for(lambda: len(users.ledger.promised) > 50)
        ran = runner.run()
        after = len(users.ledger.promised)
        assert ran.code == 0, ran.err
        wait_for(lambda: len(users.ledger.promised) > after + 50)
    moved(runner, users.ledger)
    assert users.ledger.answers["POST 503"] > 0
    samples, told = outside.samples(), runner.report()["windows"]
    seen = windows(samples)
    for kind, name, window in (
        ("write", "write_unavailable", seen.write_unavailable),
        ("read", "read_unavailable", seen.read_unavailable),
    ):
        blind = max(AGREE, 2 * unseen([each for each in samples if each.kind == kind], window))
        assert abs(told[name]["seconds"] - window.seconds) < blind, (name, told, window)
    assert seen.write_unavailable.seconds > 0
    assert seen.mixed.seconds < 1
    assert told["mixed"]["seconds"] < 1


def unseen(samples: Sequence[Sample], window: Window) -> float:
    """Seconds before and after a window in which nobody asked: on a busy machine a prober knows its edges no better."""
    before = max(each.at for each in samples if each.good and each.at < window.start)
    within = max(each.at for each in samples if not each.good and each.at < window.end)
    return (window.start - before) + (window.end - within)


@pytest.mark.parametrize("argv", [("plan", "shop.toml"), ("run", "shop.toml", "--dry-run")])
def test_what_only_looks_changes_nothing(runner: Runner, argv: Sequence[str]) -> None:
    before = runner.lab.state()
    ran = runner.move(*argv)
    assert ran.code == 0, ran.out + ran.err
    assert runner.lab.state() == before


def test_a_step_that_fails_is_taken_back(runner: Runner) -> None:
    """The new code crashes on the new server, late: everything before it has to be undone."""
    before = runner.lab.state()
    runner.lab.on("new", f"echo 'raise SystemExit(3)' >{SITE}/app.py")
    with Load() as users:
        wait_for(lambda: len(users.ledger.promised) > 20)
        ran = runner.run()
        assert (ran.code, "app" in ran.err) == (1, True), ran.err
        after = len(users.ledger.promised)
        wait_for(lambda: len(users.ledger.promised) > after + 50)
    on_old(runner, users.ledger)
    now = runner.lab.state()
    assert {key: now[key] for key in STAYS} == {key: before[key] for key in STAYS}
    assert runner.report()["outcome"] == "rolled back"
    assert [step["status"] for step in runner.report()["steps"] if step["name"] == "start"] == ["undone"]


@pytest.mark.slow
@pytest.mark.parametrize("turn", range(20))
def test_move_after_move(runner: Runner, turn: int) -> None:
    with Load() as users:
        wait_for(lambda: len(users.ledger.promised) > 20)
        ran = runner.run()
        assert ran.code == 0, ran.err
        after = len(users.ledger.promised)
        wait_for(lambda: len(users.ledger.promised) > after + 20)
    moved(runner, users.ledger)


STEPS = ("prepare", "pre-sync", "read-only", "fence", "final", "land", "start", "cut", "switch", "names")


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_interrupted_in_a_step(runner: Runner, step: str) -> None:
    """Ctrl-C, wherever it stands. Before the first write on new the old server serves again, and has everything; after
    it the move stops, and goes on."""
    before, spec = runner.lab.state(), runner.folder / "shop.toml"
    at_cloudflare = f'provider = "cloudflare"\nzone = "{NAME}"\ntoken_variable = "T"'
    spec.write_text(spec.read_text().replace('provider = "hand"', at_cloudflare))
    with Cloudflare() as api, Load() as users:
        api.zone["name"] = NAME
        for name in (NAME, f"www.{NAME}"):
            api.add("A", name, ADDRESS["old"])
        runner = runner.given(T=TOKEN, CLOUDFLARE_BASE_URL=api.url)
        wait_for(lambda: len(users.ledger.promised) > 20)
        ran = runner.interrupted_in(step)
        assert (ran.code, "stopped by SIGINT" in ran.err) == (1, True), ran.out + ran.err
        report = runner.report()
        if passed := report["no_return"]:
            assert step in ("switch", "names")
            assert (report["outcome"], report["next"]) == ("open", "killick move resume shop")
            assert runner.move("rollback", "shop").code == 5
            assert runner.move("resume", "shop", "--yes", "shop").code == 0
        else:
            assert report["outcome"] == "rolled back"
        after = len(users.ledger.promised)
        wait_for(lambda: len(users.ledger.promised) > after + 20)
    if passed:
        moved(runner, users.ledger)
        return
    on_old(runner, users.ledger)
    now = runner.lab.state()
    assert {key: now[key] for key in STAYS} == {key: before[key] for key in STAYS}


@pytest.mark.slow
@pytest.mark.parametrize("step", ["read-only", "fence"])
def test_a_transaction_that_was_prepared_after_the_plan(runner: Runner, step: str) -> None:
    """It would be committed behind the fence: the fence is not taken for one, and old serves on."""
    lab = runner.lab
    lab.sql("old", "ALTER SYSTEM SET max_prepared_transactions = 4")
    lab.compose("old", "restart db")
    wait_for(lambda: lab.status("edge") == 200)
    prepare = "BEGIN; INSERT INTO canary (id, host) VALUES ('prepared', 'old'); PREPARE TRANSACTION 'late'"
    ran = runner.meanwhile(f'"event":"begun","step":"{step}"', lambda: lab.sql("old", prepare))
    assert ran.code == 5, ran.err
    assert "COMMIT PREPARED would write later: 'late'" in ran.err
    assert runner.report()["outcome"] == "rolled back"
    lab.sql("old", "ROLLBACK PREPARED 'late'")
    on_old(runner, Ledger())
