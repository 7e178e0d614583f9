"""These run in the composed project only."""

import os

collect_ignore_glob = [] if "SIDECAR" in os.environ else ["test_*.py"]
