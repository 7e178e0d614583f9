"""Whose turn it is: every backup comes, none twice before all, whatever is made, pruned or cannot be tried."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from killick.catalog import Backup, Catalog, Evidence
from verify.choose import choose

DAY = datetime(2026, 11, 23, 3, tzinfo=UTC)
RESULTS = ("passed", "failed", "unverifiable")


def backup(day: int, *tried: int, result: str = "passed", kind: str = "verify", project: str = "shop") -> Backup:
    when = DAY + timedelta(days=day)
    evidence = tuple(Evidence(DAY + timedelta(days=d), kind, result, 4) for d in tried)
    return Backup(project, f"{when:%Y%m%dT%H%M%SZ}-db", "db", when, 10, ".lrz", True, evidence=evidence)


def of(*backups: Backup) -> Catalog:
    return Catalog("shop", tuple(sorted(backups, key=lambda b: b.time, reverse=True)))


def test_one_that_was_never_tried_comes_before_the_one_that_waits_longest() -> None:
    never, long_ago, just_now = backup(2), backup(0, 5), backup(1, 6)
    assert choose(of(never, long_ago, just_now), "random") == [never]
    assert choose(of(long_ago, just_now), "random") == [long_ago]
    refreshed = backup(3, 9, kind="refresh")
    assert choose(of(refreshed, long_ago, just_now), "random") == [refreshed], "restored, and never verified"


def test_one_that_could_not_be_tried_neither_counts_for_ever_nor_comes_for_ever() -> None:
    cannot, fine = backup(0, 5, result="unverifiable"), backup(1, 6)
    assert choose(of(cannot, fine), "random") == [cannot]
    assert choose(of(backup(0, 5, 7, result="unverifiable"), fine), "random") == [fine]


def test_the_first_round_is_shuffled_and_the_same_everywhere() -> None:
    nights = [backup(day) for day in range(20)]

    def order(project: str) -> list[str]:
        left, found = [replace(night, project=project) for night in nights], []
        while left:
            (one,) = choose(Catalog(project, tuple(left)), "random")
            left.remove(one)
            found.append(one.id)
        return found

    assert order("shop") == order("shop")
    assert order("shop") != order("inn")
    assert order("shop") not in (sorted(order("shop")), sorted(order("shop"), reverse=True))


def test_older_scripts_archives_come_where_there_are_no_others() -> None:
    theirs = replace(backup(3), older=True, manifest=False)
    assert choose(of(theirs, backup(0, 9)), "random") == [backup(0, 9)]
    assert choose(of(theirs), "random") == [theirs]


@given(
    st.integers(1, 8),
    st.lists(
        st.tuples(st.sampled_from(["verify", "verify", "verify", "make", "prune"]), st.integers(0, 99)), max_size=60
    ),
)
def test_none_comes_twice_before_all_that_are_there_came_once(first: int, events: list[tuple[str, int]]) -> None:
    there = {b.id: b for b in (backup(day) for day in range(first))}
    since: dict[str, set[str]] = {}
    """By backup: which others were tried since it was."""
    for moment, (event, number) in enumerate(events):
        if event == "make":
            made = backup(first + moment)
            there[made.id] = made
        elif event == "prune" and len(there) > 1:
            gone = sorted(there)[number % len(there)]
            there.pop(gone)
            since.pop(gone, None)
        else:
            (one,) = choose(of(*there.values()), "random")
            assert since.get(one.id, set(there) - {one.id}) >= set(there) - {one.id}, "all others came since"
            record = Evidence(DAY + timedelta(days=100, minutes=moment), "verify", RESULTS[number % 3], number % 5)
            there[one.id] = replace(one, evidence=(*one.evidence, record))
            for others in since.values():
                others.add(one.id)
            since[one.id] = set()
    for _ in range(len(there)):
        (one,) = choose(of(*there.values()), "random")
        there[one.id] = replace(one, evidence=(Evidence(DAY + timedelta(days=200), "verify", "passed", 4),))
    assert all(b.evidence[-1].when == DAY + timedelta(days=200) for b in there.values()), "and so many turns cover all"
