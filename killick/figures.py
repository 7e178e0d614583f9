"""Figures for a person."""

from datetime import datetime


def size(count: float) -> str:
    """Bytes: 49.1 MB. Powers of 1000, as disks are sold and S3 is billed."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def span(seconds: float) -> str:
    """In the largest unit that it is whole in: 90 min, 30 s."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:g} s"


def age(now: datetime, then: datetime) -> str:
    """How long ago, in one unit: 7 h."""
    return lasting((now - then).total_seconds())


def lasting(seconds: float) -> str:
    """In one unit: 6 min."""
    seconds = max(0.0, seconds)
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length or (unit == "min" and seconds >= length):
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"
