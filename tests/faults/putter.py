"""A process that puts a file, or gets one; prints its largest memory in MB. For test_store_faults.py."""

import re
import signal
import sys
from pathlib import Path

from killick import stores


def main() -> None:
    url, verb, key, path = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is born deaf to it
    store = stores.connect(url)
    if verb == "put":
        store.put(key, Path(path))
    else:
        store.get(key, Path(path))
    # ru_maxrss would be that of the process which started us, where that was larger.
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert peak
    print(int(peak[1]) // 1024)


if __name__ == "__main__":
    main()
