"""What `script/bench` makes of its measurements: a target that was missed is told as missed."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from script.lib.bench_report import NAMES, Findings, Variant, drawing, page, targets
from script.lib.bench_restore import Restores
from script.lib.bench_verify import Throwaways
from script.lib.usage import MB, Failed, Usage, use


def restores(**changed: float) -> Restores:
    return Restores(
        windows=[changed.get("window", 120.0)] * 3, undo=changed.get("undo", 0.4), reset=1.0, small=100 * MB,
        masked=changed.get("masked", 90_000.0), older=Usage(30.0, 30.0),
    )  # fmt: skip


def findings(**changed: float) -> Findings:
    usage = {name: Usage(changed.get(name, 10.0), 10.0) for name in NAMES}
    variant = {"lrzip": Variant(usage["codec"], 50 * MB, usage["decode"])}
    growth = [
        (n, Usage(n / 100, n / 100, {"python": 70 * MB, "lrzip": 9 * MB}), {"dump": 1.0}) for n in (10, 100, 1000)
    ]
    sizes = {"raw": 300 * MB, "archive": 50 * MB, "older": 50 * MB, "pipe": 60 * MB}
    return Findings(
        rows=1000, rounds=1, usage=usage, dump_phase=10.5, sizes=sizes, variants={"a": variant, "b": variant},
        older=Usage(500, 500), restores=restores(),
        throwaways=Throwaways(0.5, 1.0, 30.0), growth=growth, idle=30 * MB, confined="container", load=0.0,
        day="2026-11-23",
    )  # fmt: skip


def missed(of: Findings) -> list[str]:
    return [target.what for target in targets(of) if target.met is False]


def test_a_backup_that_takes_longer_than_wanted_is_missed() -> None:
    assert missed(findings(help=0.1)) == []
    assert missed(findings(help=0.5)) == ["`killick --help`"]
    assert missed(findings(help=0.1, **{"backup off": 33.1})) == ["backup, `READ_BACK=off`, to dump + tar + codec"]


def test_restores_that_take_longer_than_wanted_are_missed() -> None:
    quick = findings(help=0.1)
    assert missed(replace(quick, restores=restores(window=250.0)))[0].startswith("no connection possible")
    assert missed(replace(quick, restores=restores(undo=1.5))) == ["undo"]
    assert missed(replace(quick, restores=restores(masked=9_000.0)))[0].startswith("masking")
    assert missed(replace(quick, throwaways=Throwaways(2.5))) == ["a throwaway process is up"]
    slow = replace(quick, throwaways=Throwaways(0.5, 3.5, 40.0))
    assert missed(slow) == ["a throwaway container is up", "verify to level 4 in a container, to the same"]
    assert missed(findings(help=0.1, refresh=40.0)) == ["restore over a copy that is in use, to the same"]


def test_the_page_has_every_case_and_names_the_drawing() -> None:
    text = page(findings(), "performance.svg")
    assert [name for name in NAMES.values() if name not in text] == []
    assert "(performance.svg)" in text
    assert drawing(findings()).count("<circle") == 9


def test_measures_a_process_with_its_children(tmp_path: Path) -> None:
    env = {"PATH": "/usr/bin:/bin"}
    work = (
        "x = bytearray(60_000_000)\nimport time\nend = time.process_time() + 0.4\nwhile time.process_time() < end: pass"
    )
    took = use(["sh", "-c", f"'{sys.executable}' -c '{work}'; exit 0"], env=env, cwd=tmp_path, sampled=True)
    assert took.cpu >= 0.4
    assert 60 < took.peak("python") < 120
    with pytest.raises(Failed, match="ended with 3:\nwhy"):
        use(["sh", "-c", "echo why; exit 3"], env=env, cwd=tmp_path)
