"""What a verification says of a damage, without what would be other words in another run."""

import json
import re

from tests.end_to_end.backups import Backups
from verify.options import Options
from verify.report import Report
from verify.verify import verify

_LONG = 100


def told(report: Report) -> str:
    """Every difference by name and kind; where there is none, the reason and the error."""
    if report.mismatches:
        return "; ".join(sorted({f"{m.table}: {m.what}" for m in report.mismatches}))
    said = re.sub(r"[0-9]{8}T[0-9]{6}Z-[a-z]+|/[^ ]*/|[0-9][0-9a-f.,]*", "…", report.error)
    return f"{report.reason}: {said if len(said) < _LONG else said[:_LONG] + '…'}"


def verified(backups: Backups, id: str, options: Options, secret: str = "") -> Report:
    """Nothing of it is left behind, and it tells no `secret`."""
    report = verify(backups.store, backups.find(id), options)
    assert not secret or secret not in json.dumps(report.to_record()) + report.text()
    assert not list(options.scratch.glob("run-*"))
    return report
