"""A process that wants a lock: told by lines on stdin, tells by lines on stdout. For test_locks.py."""

import sys
from pathlib import Path

from killick import stores
from killick.errors import Aborted, Busy
from killick.lock import Terms, hold
from killick.owner import Owner


def main() -> None:
    url, owner, renew, expiry, *keys = sys.argv[1:]
    store = stores.connect(url)
    list(store.list("app/nothing"))
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        with hold(store, "app", "db", Owner(Path(owner)), terms=Terms(float(renew), 0.1, float(expiry))) as lock:
            lock.will_write(*keys)
            print("held", flush=True)
            sys.stdin.readline()
            lock.check()
            print("done", flush=True)
    except Busy:
        print("busy", flush=True)
    except Aborted as error:
        print(f"aborted: {error.message}", flush=True)


if __name__ == "__main__":
    main()
