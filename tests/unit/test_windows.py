"""Windows of hand-made samples: what counts as unavailable, what as mixed."""

import pytest

from deploy.move.windows import REFUSED, UNKNOWN, Kind, Sample, Window, summary, windows


def asked(
    way: str, kind: Kind, *answers: tuple[float, int] | tuple[float, int, str], took: float = 0.0
) -> list[Sample]:
    return [Sample(way, kind, at, took, status, *served) for at, status, *served in answers]


def test_nothing_was_asked() -> None:
    found = windows([])
    assert found.write_unavailable == found.read_unavailable == found.mixed == Window()
    assert found.write_unavailable.seconds == 0


def test_writes_are_refused_from_the_first_refusal_to_the_end_of_the_next_success() -> None:
    samples = asked("public", "write", (1.0, 201), (2.0, 503), (3.0, 503), (5.0, 201), (6.0, 201), took=0.25)
    found = windows(reversed(samples))  # in whatever order they come
    assert found.write_unavailable.spans == ((2.0, 5.25),)
    assert found.write_unavailable.seconds == pytest.approx(3.25)
    assert found.read_unavailable == Window()


def test_reads_go_on_while_writes_are_refused() -> None:
    samples = asked("public", "write", (1.0, 503), (2.0, 201)) + asked("public", "read", (1.0, 200), (2.0, 200))
    assert windows(samples).read_unavailable == Window()


def test_the_site_is_unavailable_while_one_of_its_ways_is() -> None:
    samples = asked("public", "read", (1.0, 502), (2.0, 200)) + asked("old", "read", (1.5, REFUSED), (4.0, 200))
    samples += asked("old", "read", (7.0, 504), (8.0, 200))
    assert windows(samples).read_unavailable.spans == ((1.0, 4.0), (7.0, 8.0))


def test_the_new_server_is_no_way_to_the_site_yet() -> None:
    found = windows(asked("new", "read", (1.0, REFUSED), (2.0, 200)) + asked("new", "write", (1.0, UNKNOWN)))
    assert (found.read_unavailable, found.unknown) == (Window(), 0)


def test_it_never_came_back() -> None:
    samples = asked("public", "write", (1.0, 201), (2.0, 503), (3.0, 503), took=0.5)
    assert windows(samples).write_unavailable.spans == ((2.0, 3.5),)


def test_a_write_without_an_answer_is_no_refusal_and_no_success() -> None:
    found = windows(asked("public", "write", (1.0, 201), (2.0, UNKNOWN), (3.0, REFUSED), (4.0, 201)))
    assert found.unknown == 1
    assert found.write_unavailable.spans == ((2.0, 4.0),)


def test_a_write_that_the_app_refused_got_through() -> None:
    assert windows(asked("public", "write", (1.0, 404))).write_unavailable == Window()
    assert windows(asked("public", "read", (1.0, 404), (2.0, 200))).read_unavailable.seconds == 1.0


def test_a_clean_switch_is_not_mixed() -> None:
    samples = asked("public", "read", (1.0, 200, "old"), (2.0, 200, "new"), (3.0, 200, "new"))
    assert windows(samples).mixed == Window()


def test_both_servers_answer_at_once() -> None:
    samples = asked("public", "read", (1.0, 200, "old"), (1.2, 200, "new"), (1.6, 200, "new"))
    samples += asked("old", "read", (1.1, 200, "old"), (1.3, 200, "old"), (1.5, 200, "old"), (1.7, 200, "new"))
    assert windows(samples).mixed.spans == ((1.2, 1.6),)


def test_a_switch_and_one_back_later_are_two_clean_ones() -> None:
    samples = asked("public", "read", (1.0, 200, "old"), (2.0, 200, "new"), (60.0, 200, "old"))
    assert windows(samples).mixed == Window()


def test_an_error_page_has_no_server() -> None:
    samples = asked("public", "read", (1.0, 200, "old"), (1.1, 503, "new"), (1.2, 200, "old"), (1.3, 200))
    assert windows(samples).mixed == Window()


def test_what_the_report_says() -> None:
    found = windows(
        asked("public", "write", (1.0, 503), (2.5, 201), (3.0, UNKNOWN), (3.25, 201))
        + asked("public", "read", (1.0, 200))
    )
    assert summary(found) == [
        "writes unavailable: 1.75 s in 2 spans",
        "reads unavailable: never",
        "both servers answered at once: never",
        "writes that got no answer, done or not: 1",
    ]
