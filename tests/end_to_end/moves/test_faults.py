"""What goes wrong in the middle of a move: it is taken back before the first write on new; after it both are safe.

Each fault comes once its step is under way, while the site is used; what cannot be taken back is mended first, as the
operator is told, and then taken back.
"""

from collections.abc import Callable
from dataclasses import dataclass
from shlex import quote

import pytest

from tests.end_to_end.moves.runner import Runner, moved, on_old
from tests.kit import wait_for
from tests.lab.cloudflare import TOKEN, Cloudflare, failed
from tests.lab.two import ADDRESS, NAME, SITE, Lab
from tests.lab.two.load import Load

HBA = "$(docker volume inspect --format '{{.Mountpoint}}' shop_db)/pg_hba.conf"
KILL_SESSIONS = "pkill -KILL -f '^sshd: root@notty'"
NEVER_WELL = "import time\nwhile True: time.sleep(1)\n"
FAILS_TO_MIGRATE = "\ndb = POOL.getconn()\ndb.cursor().execute('ALTER TABLE nowhere ADD COLUMN n int')\n"


@dataclass(frozen=True)
class Fault:
    """`when` is what the journal holds when it comes; `says` a part of the error; `mend` what an operator does.

    `left`: what the fault holds up cannot be taken back before it is mended. `code` is what the move ends with.
    """

    when: str
    come: Callable[[Lab], object]
    says: str
    mend: Callable[[Lab], object] = id
    left: bool = False
    code: int = 1


# as soon as it is there: the move reads it back at once
SPOILS = "until psql -U shop -d shop -c \"UPDATE canary SET host = 'nobody'\"; do sleep 0.02; done"


def begun(step: str) -> str:
    return f'"event":"begun","step":"{step}"'


FAULTS = {
    "the way to new is cut while data travels": Fault(
        begun("land"), lambda lab: lab.on("new", KILL_SESSIONS), "was cut",
    ),
    "new is not reached any more": Fault(
        begun("start"),
        lambda lab: lab.on("new", f"pkill -KILL -o -x sshd; {KILL_SESSIONS}"),
        "new is not reached by ssh",
        lambda lab: lab.on("new", "/usr/sbin/sshd -e"),
        left=True,
    ),
    "the disk of new is full": Fault(
        begun("final"),
        lambda lab: lab.on("new", "mkdir -p /root/.killick; mount -t tmpfs -o size=4k tmpfs /root/.killick"),
        "No space left on device",
        lambda lab: lab.on("new", "umount /root/.killick"),
    ),
    "pg_hba.conf may not be written": Fault(
        begun("read-only"), lambda lab: lab.on("old", f"chattr +i {HBA}"), "pg_hba.conf",
        lambda lab: lab.on("old", f"chattr -i {HBA}"),
    ),
    "HAProxy's socket is gone": Fault(
        begun("start"), lambda lab: lab.on("edge", "rm /run/haproxy/admin.sock"), "HAProxy on edge",
        lambda lab: lab.restart("edge"), left=True,
    ),
    "the app never gets well": Fault(
        begun("final"), lambda lab: lab.on("new", f"cat >{SITE}/app.py", stdin=NEVER_WELL), "it never got well",
    ),
    "its migration fails": Fault(
        begun("final"), lambda lab: lab.on("new", f"cat >>{SITE}/migrate; sed -i '/^migrate()/r {SITE}/migrate' "
                                           f"{SITE}/app.py", stdin=FAILS_TO_MIGRATE), "app",
    ),
    "what was restored is not what was dumped": Fault(
        begun("land"),
        lambda lab: lab.compose("new", f"exec --detach db sh -c {quote(SPOILS)}"),
        "is not what was dumped",
        code=4,
    ),
    "somebody writes on old behind the fence": Fault(
        begun("start"), lambda lab: lab.sql("old", "INSERT INTO canary (id, host) VALUES ('late', 'old')"),
        "somebody wrote there",
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_before_the_first_write_on_new(runner: Runner, name: str) -> None:
    fault, lab = FAULTS[name], runner.lab
    try:
        with Load() as users:
            wait_for(lambda: len(users.ledger.promised) > 20)
            ran = runner.meanwhile(fault.when, lambda: fault.come(lab))
            assert (ran.code, fault.says in ran.err) == (fault.code, True), ran.out + ran.err
            if fault.left:
                assert runner.move("rollback", "shop").code == 1
                wrong = runner.move("status", "shop")
                assert "Next: killick move rollback shop" in wrong.out, wrong.out
                fault.mend(lab)
                back = runner.move("rollback", "shop")
                assert back.code == 0, back.out + back.err
            after = len(users.ledger.promised)
            wait_for(lambda: len(users.ledger.promised) > after + 20)
    finally:
        lab.on("old", f"chattr -i {HBA}", check=False)  # what was mended already is not there any more
        lab.on("new", "umount /root/.killick", check=False)
    on_old(runner, users.ledger)
    assert runner.report()["outcome"] == "rolled back"


class TestAfterIt:
    """The new server has writes that old lacks: the move stops there, and goes on when it can."""

    @pytest.mark.slow
    def test_old_is_not_reached(self, runner: Runner) -> None:
        lab = runner.lab
        with Load() as users:
            wait_for(lambda: len(users.ledger.promised) > 20)
            ran = runner.meanwhile(
                '"event":"no-return"', lambda: lab.on("old", f"pkill -KILL -o -x sshd; {KILL_SESSIONS}")
            )
            self._stopped(runner, ran.code, ran.out)
            lab.on("old", "/usr/sbin/sshd -e")
            self._goes_on(runner)
            after = len(users.ledger.promised)
            wait_for(lambda: len(users.ledger.promised) > after + 20)
        moved(runner, users.ledger)

    @pytest.mark.slow
    @pytest.mark.parametrize("answer", [
        failed(403, 10000, "Authentication error"), (200, {}, {"success": False, "errors": [], "result": None}),
        *([(status, {}, b"<html>")] for status in (429, 503)),
    ], ids=["403", "success:false", "429", "503"])  # fmt: skip
    def test_the_names_cannot_be_changed(self, runner: Runner, answer: object) -> None:
        lab, spec = runner.lab, runner.folder / "shop.toml"
        by_hand, at_cloudflare = 'provider = "hand"', f'provider = "cloudflare"\nzone = "{NAME}"\ntoken_variable = "T"'
        spec.write_text(spec.read_text().replace(by_hand, at_cloudflare))
        with Cloudflare() as api, Load() as users:
            api.zone["name"] = NAME
            records = [api.add("A", name, ADDRESS["old"]) for name in (NAME, f"www.{NAME}")]
            there = runner.given(T=TOKEN, CLOUDFLARE_BASE_URL=api.url)
            wait_for(lambda: len(users.ledger.promised) > 20)
            failing = answer if isinstance(answer, list) else [answer]
            ran = there.meanwhile('"event":"no-return"', lambda: api.failures.extend(failing * 50))
            self._stopped(there, ran.code, ran.out)
            assert TOKEN not in ran.out + ran.err + runner.kept()
            api.failures.clear()
            self._goes_on(there)
            assert {api.records[id]["content"] for id in records} == {ADDRESS["new"]}
            after = len(users.ledger.promised)
            wait_for(lambda: len(users.ledger.promised) > after + 20)
        moved(runner, users.ledger)
        assert ADDRESS["old"] in str(runner.report()["prior"])
        assert lab.ask("edge") == (200, "new")

    def _stopped(self, runner: Runner, code: int, said: str) -> None:
        assert code == 1, said
        report = runner.report()
        assert (report["outcome"], report["no_return"], report["next"]) == ("open", True, "killick move resume shop")
        refused = runner.move("rollback", "shop")
        assert refused.code == 5, refused.err
        assert runner.lab.ask("edge") == (200, "new")

    def _goes_on(self, runner: Runner) -> None:
        ran = runner.move("resume", "shop", "--yes", "shop")
        assert ran.code == 0, ran.out + ran.err
        assert runner.report()["outcome"] == "done"
