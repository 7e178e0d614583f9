"""How a session waits for the server: psycopg2's hook for that belongs to all of a process."""

import os
import signal
import threading
import time
from types import FrameType

import psycopg2.extensions
import pytest

from killick.engines.postgres import session
from tests.contract.postgres.conftest import engine
from tests.lab.postgres import Postgres

LONG = "SELECT pg_sleep(30)"


class Interrupted(Exception):
    pass


def test_a_signal_ends_the_wait_for_an_answer(postgres16: Postgres) -> None:
    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGUSR1, interrupt)
    killer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGUSR1))
    killer.start()
    try:
        with session.session(engine(postgres16, "postgres").address) as opened, pytest.raises(Interrupted):
            opened.rows(LONG)
    finally:
        killer.join()
        signal.signal(signal.SIGUSR1, before)
    still = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = '{LONG}' AND state = 'active'"
    assert postgres16.execute(still) == [(True,)], "the server is still at it"
    assert psycopg2.extensions.get_wait_callback() is None


def test_a_thread_that_hears_no_signals_leaves_the_others_connections_alone(postgres16: Postgres) -> None:
    """Else one that is being made meanwhile ends with "wait callback not available"."""
    address = engine(postgres16, "postgres").address
    answers: list[object] = []

    def ask() -> None:
        with session.session(address) as opened:
            answers.append(opened.value("SELECT pg_sleep(0.5)"))

    thread = threading.Thread(target=ask)
    thread.start()
    seen = set()
    while thread.is_alive():
        seen.add(psycopg2.extensions.get_wait_callback())
        time.sleep(0.01)
    assert (seen, answers) == ({None}, [""])
