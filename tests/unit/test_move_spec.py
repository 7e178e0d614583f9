"""The file that a person writes: the one in the docs is whole, and whatever is wrong is told, all at once."""

import re
from pathlib import Path

import pytest

from deploy.move.spec import Proxy, Spec, load
from killick.errors import SettingsError

PAGE = (Path(__file__).parents[2] / "docs/move.md").read_text()
EXAMPLE = re.search(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[1]  # type: ignore[index]


def read(folder: Path, text: str) -> Spec:
    path = folder / "shop.toml"
    path.write_text(text)
    return load(path)


def told(folder: Path, text: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read(folder, text)
    assert caught.value.exit_code == 2
    return [problem.partition(": ")[2] for problem in caught.value.problems]


def test_the_example_of_the_docs(tmp_path: Path) -> None:
    spec = read(tmp_path, EXAMPLE)
    assert spec.names == ("shop.example", "www.shop.example")
    assert spec.sources == (("db", "db"), ("uploads", ""))
    assert spec.old.host == "ssh://deploy@old.example" and spec.new.address == "10.0.0.12"
    assert isinstance(spec.proxy, Proxy) and spec.forwarder and spec.jobs.run == ("shop-prod",)
    assert (spec.limit, spec.purge, spec.check.write) == (300.0, "names", "/canary/{id}")


def test_it_is_the_same_spec_whatever_its_layout(tmp_path: Path) -> None:
    digest = read(tmp_path, EXAMPLE).digest
    assert read(tmp_path, "# another comment\n" + EXAMPLE.replace("limit = 300 ", "limit =   300 ")).digest == digest
    assert read(tmp_path, EXAMPLE.replace("limit = 300", "limit = 301")).digest != digest


def test_what_may_be_left_out(tmp_path: Path) -> None:
    text = EXAMPLE
    for table in ("proxy", "forwarder", "jobs"):
        text = re.sub(rf"^\[{table}\].*?(?=^\[|\Z)", "", text, flags=re.MULTILINE | re.DOTALL)
    for key in ("sidecar", "purge", "limit", "marker", "write"):
        text = re.sub(rf"^{key} = .*\n", "", text, flags=re.MULTILINE)
    spec = read(tmp_path, text)
    assert (spec.proxy, spec.forwarder, spec.jobs.freeze) == (None, None, ())
    assert (spec.sidecar, spec.purge, spec.check.marker) == ("sidecar", "off", "")


@pytest.mark.parametrize(
    ("was", "becomes", "sentence"),
    [
        ('site = "shop.example"', 'sites = "shop.example"', "sites is unknown: did you mean site?"),
        ('site = "shop.example"', "", "site is missing: a text"),
        ('site = "shop.example"', 'site = "../shop"', "site = '../shop' is not a name"),
        ('site = "shop.example"', "site = 3", "site has to be a text, and is a number"),
        ("limit = 300", "limit = true", "limit has to be a number of seconds"),
        ("limit = 300", "limit = -1", "limit has to be above 0"),
        ("limit = 300", "limit = nan", "limit has to be above 0"),
        ("limit = 300", "limit = inf", "and at most 86400"),
        ("limit = 300", f"limit = 1{'0' * 400}", "and at most 86400"),
        ('site = "shop.example"', 'site = ""', "site is empty"),
        ('site = "shop.example"', f'site = "{"x" * 300}"', "is not a name"),
        ('environment = "prod"', 'environment = ""', "environment is empty"),
        ('project = "shop"', 'project = ""', "old.project is empty"),
        ('directory = "/srv/shop"', 'directory = ""', "old.directory is empty"),
        ('directory = "/srv/shop"', r'directory = "/srv/\u0000shop"', "holds what cannot be printed"),
        ('host = "ssh://deploy@new.example"', 'host = ""', "new.host is empty"),
        ('host = "ssh://deploy@new.example"', 'host = "ssh://-x@new.example"', "new.host is not a host"),
        ('host = "ssh://deploy@new.example"', 'host = "ssh://new.example:99999"', "new.host is not a host"),
        ('address = "10.0.0.12"', 'address = ""', "new.address is empty"),
        ('address = "10.0.0.12"', 'address = "10.0.0.12:65536"', "new.address = '10.0.0.12:65536' is not an address"),
        ('address = "10.0.0.12"', 'address = "-x"', "new.address = '-x' is not an address"),
        ('sidecar = "sidecar"', 'sidecar = ""', "sidecar is empty"),
        ('backend = "shop"', 'backend = ""', "proxy.backend is empty"),
        ('purge = "names"', 'purge = ""', "purge is empty"),
        ('apps = ["app", "worker"]', 'apps = ["app", "db"]', "apps: db holds a source"),
        ('apps = ["app", "worker"]', r'apps = ["a\np"]', "apps has to be a list of texts"),
        ("limit = 300", "limit = 300\nx = 1", "x is unknown"),
        ('marker = "X', 'marke = "X', "check.marke is unknown: did you mean marker?"),
        ('names = ["shop.example", "www.shop.example"]', "names = []", "names is empty"),
        ('"www.shop.example"]', '"www.shop.example", 3]', "names has to be a list of texts"),
        ('"www.shop.example"]', '"https://shop.example"]', "names: 'https://shop.example' is no name of a site"),
        ('"www.shop.example"]', '"shop.example.123"]', "names: 'shop.example.123' is no name of a site"),
        ('"www.shop.example"]', '"www.xn--"]', "names: 'www.xn--' is no name of a site"),
        ('"www.shop.example"]', f'"www.xn--{"a" * 60}"]', "is no name of a site"),
        ('"www.shop.example"]', '"www.other.example"]', "names: www.other.example is not in the zone shop.example"),
        ('"www.shop.example"]', '"myshop.example"]', "names: myshop.example is not in the zone shop.example"),
        ('address = "10.0.0.12"', 'address = "http://new/"', "new.address = 'http://new/' is not an address"),
        ('address = "10.0.0.12"', 'address = "10.0.0.11:80"', "old and new answer at the same address, 10.0.0.11"),
        ('host = "ssh://deploy@new.example"', 'host = "new.example"', "new.host is not a host: local, or ssh://"),
        ('host = "ssh://deploy@new.example"', 'host = "ssh://me:S3CRET@new"', "new.host is not a host"),
        ('token_file = "/run', 'token_file = "S3CRET', "dns.token_file is not a path"),
        ("token_file = ", 'token_variable = "S3CRET-x"\ntoken_file = ', "dns.token_variable is not a variable's name"),
        ('host = "ssh://deploy@new.example"', 'host = "ssh://root@OLD.example:22/"', "old and new are the same"),
        ('directory = "/srv/shop"', 'directory = "srv/shop"', "old.directory = 'srv/shop' is not a path"),
        ('project = "shop"  ', "# ", "old.project is missing"),
        ('provider = "cloudflare"', 'provider = "route53"', "dns.provider = 'route53' is not one of cloudflare, hand"),
        ('zone = "shop.example"', "", "dns.zone is missing"),
        ("token_file = ", "token = ", "dns.token is unknown: did you mean token_file?"),
        ("token_file = ", 'token_variable = "CF"\ntoken_file = ', "dns wants one of token_file and token_variable"),
        ('purge = "names"', 'purge = "some"', "purge = 'some' is not all, names or off"),
        ('new = "new"', 'new = "old"', "proxy.old and proxy.new are the same server"),
        ("killick/upstream.conf", "killick/read-only.conf", "read_only and forwarder.upstream are the same file"),
        ('paths = ["/", "/health"]', 'paths = ["health"]', "check.paths: 'health' is not a path of a URL"),
        ('paths = ["/", "/health"]', 'paths = ["/über uns"]', "check.paths: '/über uns' is not a path of a URL"),
        ('write = "/canary/{id}"', 'write = "/ü/{id}"', "check.write = '/ü/{id}' is not a path of a URL"),
        ('db = "db"', "", "sources has no database"),
        ("[check]", "[checks]", "checks is unknown: did you mean check?"),
        ("[check]", "[checks]", "check is missing: a table"),
    ],
)  # fmt: skip
def test_what_is_wrong(tmp_path: Path, was: str, becomes: str, sentence: str) -> None:
    assert was in EXAMPLE
    problems = told(tmp_path, EXAMPLE.replace(was, becomes, 1))
    assert any(sentence in problem for problem in problems), problems
    assert all("S3CRET" not in problem for problem in problems)


def test_a_name_beyond_ascii_is_written_as_dns_has_it(tmp_path: Path) -> None:
    spec = read(tmp_path, EXAMPLE.replace("shop.example", "xn--e1afmkfd.xn--p1ai"))
    assert spec.names == ("xn--e1afmkfd.xn--p1ai", "www.xn--e1afmkfd.xn--p1ai")
    assert spec.dns.zone == "xn--e1afmkfd.xn--p1ai"


def emptied(table: str) -> str:
    """The example with nothing in that table."""
    return re.sub(rf"(?<=^\[{table}\]).*?(?=^\[|\Z)", "\n", EXAMPLE, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    ("table", "keys"),
    [
        ("old", ["host", "address", "directory", "project", "files"]),
        ("new", ["host", "address", "directory", "project", "files"]),
        ("proxy", ["host", "socket", "config", "backend", "old", "new", "map", "reload"]),
        ("forwarder", ["read_only", "upstream", "reload"]),
        ("dns", ["provider"]),
        ("check", ["paths"]),
    ],
)  # fmt: skip
def test_an_empty_table_lacks_what_it_has_to_have(tmp_path: Path, table: str, keys: list[str]) -> None:
    problems = [problem.partition(" is missing")[0] for problem in told(tmp_path, emptied(table))]
    assert [each for each in problems if each.startswith(f"{table}.")] == [f"{table}.{key}" for key in keys]


def test_sources_without_an_entry(tmp_path: Path) -> None:
    assert told(tmp_path, emptied("sources")) == [
        'sources has no database: write db = "SERVICE", its service in compose'
    ]


def test_a_table_that_may_be_empty(tmp_path: Path) -> None:
    assert read(tmp_path, emptied("jobs")).jobs.freeze == ()


def test_what_is_no_table_is_told_once(tmp_path: Path) -> None:
    for text in (EXAMPLE.replace("[check]", "[[check]]"), "check = 3\n" + EXAMPLE.replace("[check]", "[unknown]")):
        problems = [problem for problem in told(tmp_path, text) if problem.startswith("check")]
        assert len(problems) == 1 and problems[0].startswith("check has to be a table, and is")


def test_all_at_once(tmp_path: Path) -> None:
    text = EXAMPLE.replace("site =", "sit =", 1).replace("limit = 300", 'limit = "x"').replace('"cloudflare"', '"x"')
    problems = told(tmp_path, text)
    assert len(problems) == 4, problems  # the unknown key and the missing one, the limit, the provider


def test_one_host_with_one_name_shares_volumes(tmp_path: Path) -> None:
    text = EXAMPLE.replace("new.example", "old.example").replace('directory = "/srv/shop"', 'directory = "/srv/two"', 1)
    assert any("would share their volumes" in problem for problem in told(tmp_path, text))


def test_an_empty_file_and_none(tmp_path: Path) -> None:
    problems = told(tmp_path, "")
    assert {"site is missing: a text", "old is missing: a table", "check is missing: a table"} <= set(problems)
    with pytest.raises(SettingsError, match="No such file"):
        load(tmp_path / "nothing.toml")
    with pytest.raises(SettingsError, match="Is a directory"):
        load(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"site = ", b"\0\0\0", b"\xef\xbb\xbfsite = 1", b'site = "\xfc"', b"x = " + b"[" * 5000 + b"]" * 5000,
        b"x = 1" + b"0" * 5000, b'{"site": 1}', b"site: shop\n", b"[old]\n[old]\n", b"x = 2026-13-99",
    ],
)  # fmt: skip
def test_what_is_no_toml(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "shop.toml"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match="is no TOML"):
        load(path)
