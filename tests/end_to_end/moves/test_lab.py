"""The two-server lab itself, by a move that is a plain script: lost writes are seen, and none is lost with care."""

from tests.kit import wait_for
from tests.lab.two import Lab, scripted
from tests.lab.two.load import Compared, Load, compare


def moved(lab: Lab, *, careful: bool) -> tuple[Load, Compared]:
    lab.fresh()
    with Load() as load:
        wait_for(lambda: len(load.ledger.promised) > 50)
        scripted.move(lab, careful=careful)
        after = len(load.ledger.promised)
        wait_for(lambda: len(load.ledger.promised) > after + 50)
    return load, compare(load.ledger, scripted.canaries(lab, "old"), scripted.canaries(lab, "new"))


def test_a_careful_move_loses_nothing(lab: Lab) -> None:
    load, compared = moved(lab, careful=True)
    assert compared == Compared([], [], []), load.ledger.answers
    assert load.ledger.answers["POST 503"] > 0


def test_without_read_only_and_fence_some_are_lost(lab: Lab) -> None:
    """Else the ledger could not fail, and would prove nothing."""
    load, compared = moved(lab, careful=False)
    assert compared.lost, load.ledger.answers
    assert set(compared.lost) <= set(compared.late)
