"""docs/move.md: what it shows of HAProxy and nginx is what the lab of two servers runs, and what a move can edit."""

import subprocess
from importlib import import_module
from pathlib import Path

from deploy.move import haproxy, nginx
from deploy.move.spec import load
from deploy.move.steps import ORDER, called
from tests.blocks import ROOT, blocks
from tests.lab.haproxy import Haproxy
from tests.unit.test_docs import quoted, rows, section

PAGE = blocks("docs/move.md")
TEXT = (ROOT / "docs/move.md").read_text()
TWO = ROOT / "tests/lab/two"


def spec(folder: Path) -> Path:
    path = folder / "shop.toml"
    path.write_text(TEXT.partition("```toml\n")[2].partition("```\n")[0])
    return path


def lines(text: str) -> list[str]:
    """Without comments, and called as the page calls them."""
    for ours, the_pages in (("read_only.", "read-only."), ("10.77.0.", "10.0.0.")):
        text = text.replace(ours, the_pages)
    return [line for line in text.splitlines() if line.strip() and line.strip()[0] != "#"]


def test_haproxy_refuses_writes_as_in_the_lab() -> None:
    ours, the_labs = (lines(text) for text in (PAGE["proxy"], (TWO / "edge/haproxy.cfg").read_text()))
    at = ours.index("backend shop"), the_labs.index("backend shop")
    assert ours[at[0] :][:4] == the_labs[at[1] :][:4]
    assert [line.removesuffix(" inter 1s") for line in ours[at[0] + 4 :]] == [
        line.removesuffix(" inter 1s") for line in the_labs[at[1] + 4 :]
    ]
    assert "option idle-close-on-response" in PAGE["proxy"]


def test_haproxy_takes_the_pages_configuration(tmp_path: Path) -> None:
    proxy = load(spec(tmp_path)).proxy
    assert proxy is not None
    assert proxy.map in PAGE["proxy"]
    assert f"stats socket {proxy.socket} mode 660" in PAGE["proxy"]
    (tmp_path / "read-only.map").write_text("shop 0\n")
    here = PAGE["proxy"].replace(str(Path(proxy.map).parent), str(tmp_path)).replace(" group haproxy", "")
    configuration = tmp_path / "haproxy.cfg"
    check = [Haproxy("127.0.0.1:1", "127.0.0.1:2").bin / "haproxy", "-c", "-q", "-f", configuration]
    configuration.write_text(here)
    subprocess.run(check, check=True, capture_output=True, text=True)
    configuration.write_text(here.replace("idle-close-on-response", "idle-close-on-respnse"))
    assert subprocess.run(check, capture_output=True).returncode


def test_a_move_can_switch_the_pages_configuration(tmp_path: Path) -> None:
    proxy = load(spec(tmp_path)).proxy
    assert proxy is not None
    assert haproxy.disabled(PAGE["proxy"], proxy.backend) == {proxy.new}
    switched = haproxy.enabled(PAGE["proxy"], proxy.backend, proxy.new, proxy.old)
    assert haproxy.disabled(switched, proxy.backend) == {proxy.old}


def test_nginx_is_the_labs() -> None:
    assert lines(PAGE["forwarder"]) == lines((TWO / "host/site.conf").read_text())
    files = TEXT.partition("with two files that nothing else writes:")[2].partition("```nginx\n")[2].partition("```")[0]
    given = [(TWO / f"host/{name}").read_text() for name in ("read_only.conf", "upstream.conf")]
    assert lines(files) == lines("".join(given))
    assert nginx._MAP.fullmatch(lines(files)[0])


def test_the_files_that_the_spec_names_are_included(tmp_path: Path) -> None:
    forwarder = load(spec(tmp_path)).forwarder
    assert forwarder is not None
    assert f"include {forwarder.read_only};" in PAGE["forwarder"]
    assert f"include {forwarder.upstream};" in PAGE["forwarder"]


def test_every_step_is_told() -> None:
    assert [quoted(row[0])[0] for row in rows(section("docs/move.md", "The steps"))] == list(map(called, ORDER))


def test_every_word_that_confirms_is_told() -> None:
    told = {quoted(row[0])[0] for row in rows(section("docs/move.md", "When something goes wrong")) if row[0][0] == "`"}
    of = {"freeze": ["CONFIRM"], "jobs": ["CONFIRM"], "read_only": ["REFUSE", "OPEN"], "switch": ["SWITCHED"]}
    words = {getattr(import_module(f"deploy.move.steps.{name}"), each) for name, all_ in of.items() for each in all_}
    assert told == {*words, import_module("deploy.move.dns.hand").CONFIRM, "back"}
