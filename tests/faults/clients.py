"""Clients of a database that come back in a tight loop, and tell what they saw. For test_swaps.py.

Until stdin ends each asks for the version and for a count that goes with it; then one JSON document on stdout:
{"seen": {client: [versions in their order]}, "torn": [what did not go together], "broken": {client: n},
 "refused": {sentence: n}, "outages": [seconds in which nobody could come in]}.
"""

import collections
import json
import sys
import threading
import time

import psycopg2

QUERY = "SELECT v, (SELECT count(*) FROM counted) FROM version"


class Clients:
    def __init__(self, conninfo: str, count: int) -> None:
        self.conninfo = conninfo
        self.seen: dict[int, list[int]] = {i: [] for i in range(count)}
        self.broken: dict[int, int] = dict.fromkeys(range(count), 0)
        self.torn: list[tuple[int, int]] = []
        self.refused: collections.Counter[str] = collections.Counter()
        self.moments: list[tuple[float, bool]] = []  # when one came in (True), and when a connection broke
        self.done = threading.Event()

    def run(self, client: int) -> None:
        while not self.done.is_set():
            try:
                connection = psycopg2.connect(self.conninfo)
            except psycopg2.OperationalError as error:
                self.refused[str(error).strip().rpartition("FATAL:  ")[2].split("\n")[0]] += 1
                continue
            self.moments.append((time.monotonic(), True))
            try:
                connection.autocommit = True
                with connection.cursor() as cursor:
                    while not self.done.is_set():
                        cursor.execute(QUERY)
                        self.look(client, *cursor.fetchone())
            except psycopg2.Error:
                self.broken[client] += 1
                self.moments.append((time.monotonic(), False))
            finally:
                connection.close()

    def look(self, client: int, version: int, count: int) -> None:
        if count != 10 * version:
            self.torn.append((version, count))
        if self.seen[client][-1:] != [version]:
            self.seen[client].append(version)

    def outages(self) -> list[float]:
        """From the first connection that broke to the first that was made after it."""
        found, began = [], 0.0
        for moment, came in sorted(self.moments):
            if came and began:
                found.append(moment - began)
                began = 0.0
            elif not came and not began:
                began = moment
        return found


def main() -> None:
    conninfo, count = sys.argv[1], int(sys.argv[2])
    clients = Clients(conninfo, count)
    threads = [threading.Thread(target=clients.run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    while not all(clients.seen.values()):
        time.sleep(0.01)
    print("ready", flush=True)
    sys.stdin.read()
    clients.done.set()
    for thread in threads:
        thread.join()
    names = ("seen", "torn", "broken", "refused")
    print(json.dumps({**{name: getattr(clients, name) for name in names}, "outages": clients.outages()}))


if __name__ == "__main__":
    main()
