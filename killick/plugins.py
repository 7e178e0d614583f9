"""How a new engine or store is found: it is a file in its package, and says which URL schemes it answers to."""

import importlib
import pkgutil
from collections.abc import Iterable
from types import ModuleType


def gather(package: str, path: Iterable[str]) -> dict[str, ModuleType]:
    """The modules of `package` that declare SCHEMES, by scheme. Names that begin with _ are helpers of others."""
    found: dict[str, ModuleType] = {}
    for info in pkgutil.iter_modules(path):
        if not info.name.startswith("_"):
            module = importlib.import_module(f"{package}.{info.name}")
            found.update(dict.fromkeys(getattr(module, "SCHEMES", ()), module))
    return found
