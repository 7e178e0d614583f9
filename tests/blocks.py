"""The fenced blocks of a page that bear a name: ```sh NAME. Tests run them as they stand."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
_FENCE = re.compile(r"^```(\w*) ?([\w-]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> dict[str, str]:
    """Text by name. A block that shows something only has a language and no name."""
    found = [(name, text) for _, name, text in _FENCE.findall((ROOT / page).read_text()) if name]
    assert len(dict(found)) == len(found), f"two blocks of {page} have the same name"
    return dict(found)
