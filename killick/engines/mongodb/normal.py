"""Options and indexes as text that is equal where MongoDB means the same.

Left out is what a restore may not keep and nobody means: UUIDs, versions of index formats, `background`. Numbers are
compared by value (1, 1.0 and NumberLong(1) are the same direction of a key). The order of fields is kept inside
validators, pipelines and keys, where it can matter. mongorestore does not keep it in an index's other options.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from bson import json_util

_NOT_COMPARED = {"uuid", "autoIndexId", "flags"}
_INDEX_NOT_COMPARED = {"ns", "v", "background", "dropDups", "textIndexVersion", "2dsphereIndexVersion"}
_INDEX_FLAGS = ("unique", "sparse", "hidden", "clustered", "prepareUnique")
_COLLATION = {
    "caseLevel": False,
    "caseFirst": "off",
    "strength": 3,
    "numericOrdering": False,
    "alternate": "non-ignorable",
    "maxVariable": "punct",
    "normalization": False,
    "backwards": False,
}


def options(kind: str, given: Mapping[str, Any]) -> str:
    """Of a collection, a view or a time series (`kind`), as listCollections and metadata.json tell them."""
    kept = {name: value for name, value in given.items() if name not in _NOT_COMPARED}
    if "idIndex" in kept:
        kept["idIndex"] = _index(kept["idIndex"])
    if "collation" in kept:
        kept["collation"] = _collation(kept["collation"])
    if isinstance(kept.get("clusteredIndex"), Mapping):
        kept["clusteredIndex"] = {n: v for n, v in kept["clusteredIndex"].items() if n != "v"}
    if "validator" in kept:
        kept = {"validationLevel": "strict", "validationAction": "error", **kept}
    return _text({"type": kind, **kept})


def index(given: Mapping[str, Any]) -> str:
    return _text(_index(given))


def _index(given: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in given.items() if name not in _INDEX_NOT_COMPARED}
    for flag in _INDEX_FLAGS:
        if not kept.get(flag, True):
            del kept[flag]
    if "collation" in kept:
        kept["collation"] = _collation(kept["collation"])
    kept["key"] = [[name, value] for name, value in kept["key"].items()]
    sorted_: dict[str, Any] = _sorted(kept)
    return sorted_


def _collation(given: Mapping[str, Any]) -> dict[str, Any]:
    return {**_COLLATION, **{name: value for name, value in sorted(given.items()) if name != "version"}}


def _text(fields: Mapping[str, Any]) -> str:
    return json.dumps(_plain(dict(sorted(fields.items()))), ensure_ascii=False, separators=(",", ":"))


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _sorted(inner) for name, inner in sorted(value.items())}
    return [_sorted(inner) for inner in value] if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return int(value) if value.is_integer() else value
    return json.loads(json_util.dumps(value, json_options=json_util.CANONICAL_JSON_OPTIONS))
