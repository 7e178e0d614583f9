"""Figures for a person."""


def size(count: float) -> str:
    """Bytes: 49.1 MB. Powers of 1000, as disks are sold and S3 is billed."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
