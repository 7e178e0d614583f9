"""The environment: what it means, and what each mistake gets."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from killick import engines
from killick.codecs import Choice
from killick.errors import NotFound, SettingsError
from killick.retention import Policy
from killick.settings import Settings, load, urls
from killick.settings.__main__ import markdown
from killick.settings.environ import distance, nearest
from killick.settings.variables import VARIABLES

GOOD = {
    "PROJECT": "my-shop",
    "DATABASE_URL": "postgres://app@db:5432/app",
    "DATABASE_PASSWORD": "hunter2",
    "STORE": "s3://bucket/backups/",
}
DOCS = Path(__file__).parents[2] / "docs/settings.md"


@pytest.fixture(autouse=True, scope="module")
def _schemes() -> Iterator[None]:
    """The settings know engines by their schemes alone: these tests hold with or without each of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            engines, "modules", lambda: dict.fromkeys(("postgres", "postgresql", "postgis", "mongodb", "file"))
        )
        yield


def problems(environ: Mapping[str, str], *needed: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(environ, *needed)
    assert caught.value.exit_code == 2
    return caught.value.problems


def only(environ: Mapping[str, str], *needed: str) -> str:
    found = problems(environ, *needed)
    assert len(found) == 1, found
    return found[0]


def test_three_variables_are_enough() -> None:
    got = load(GOOD, "project", "sources")
    assert got.project == "my-shop"
    assert got.store == "s3://bucket/backups"
    assert [(s.name, s.url, s.password) for s in got.sources] == [("db", "postgres://app@db:5432/app", "hunter2")]
    assert got.schedule.cron == "0 0 * * *"
    assert (str(got.codec), got.read_back, got.prune) == ("lrzip", True, True)
    assert got.keep == Policy(3, 7, 4, 12, 0)
    assert got.verify.schedule.text == "every day at 05:00"
    assert got.verify.max_age == 3 * 86400


def test_every_default_of_the_table_is_what_an_empty_environment_gives() -> None:
    """The dataclasses have defaults of their own, for tests: they may not differ from the documented ones."""
    got = load({})
    blank = Settings()
    assert got.keep == blank.keep
    assert got.telling == blank.telling
    assert (got.store, got.codec, got.evidence, got.zone) == (blank.store, blank.codec, blank.evidence, blank.zone)
    assert (got.cache_age, got.cache_size) == (blank.cache_age, blank.cache_size) == (7 * 86400, 20 * 1024**3)
    for name in ("where", "level", "timeout", "memory", "cpus", "images", "max_age", "rto"):
        assert getattr(got.verify, name) == getattr(blank.verify, name)


def test_several_sources_databases_first() -> None:
    got = load(
        {
            "FILES_UPLOADS": "/srv/up loads",
            "EXCLUDE_UPLOADS": "cache/*, *.tmp",
            "DATABASE_URL_STATS": "mongodb://root:pw@mongo/stats",
            "DATABASE_URL": "postgis://app:secret@db/app",
            "EVIDENCE": "server",
        }
    )
    assert [s.name for s in got.sources] == ["db", "stats", "uploads"]
    assert got.source("uploads").url == "file:///srv/up%20loads"
    assert got.source("uploads").exclude == ("cache/*", "*.tmp")
    assert {s.evidence for s in got.sources} == {"server"}
    with pytest.raises(NotFound, match="uploads"):
        got.source("upload")


def test_the_official_names() -> None:
    plain = {"POSTGRES_HOST": "db", "POSTGRES_PASSWORD": "x"}
    assert load(plain).sources[0].url == "postgres://postgres@db:5432/postgres"
    full = plain | {"POSTGRES_USER": "a b", "POSTGRES_DB": "sh/op", "POSTGRES_PORT": "5433"}
    assert load(full).sources[0].url == "postgres://a%20b@db:5433/sh%2Fop"
    assert load(full | GOOD).sources[0].url == GOOD["DATABASE_URL"]
    shared = {
        "POSTGRES_DB": "x",
        "POSTGRES_PASSWORD": "x",
        "POSTGRES_HOST_AUTH_METHOD": "md5",
        "POSTGRES_INITDB_ARGS": "-k",
    }
    assert "POSTGRES_HOST" in only(shared)
    assert len(load(shared | GOOD).sources) == 1


def test_every_problem_at_once() -> None:
    found = problems(
        {
            "SCHEDULE": "every funday",
            "DATABSE_URL": "postgres://db/x",
            "TZ": "Europe/Brussel",
            "CODEC": "lrzip:12",
            "KEEP_DAILY": "-1",
            "STORE": "ftp://x",
        },
        "project",
        "sources",
    )
    heads = " ".join(found)
    assert len(found) == 8
    for word in ("SCHEDULE", "DATABASE_URL?", "TZ", "CODEC", "KEEP_DAILY", "STORE", "PROJECT is not", "no source"):
        assert word in heads


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"PROJECT": "My Shop"}, "slug"),
        ({"DATABASE_URL": "mysql://u@db/x"}, "postgres://"),
        ({"DATABASE_URL": "db/x"}, "not a URL"),
        ({"DATABASE_URL": "postgres://db:port/x"}, "port"),
        ({"DATABASE_URL": "postgres://db"}, "names no database"),
        ({"DATABASE_URL": "postgres:///x"}, "names no host"),
        ({"DATABASE_URL": "postgres://u:a@db/x", "DATABASE_PASSWORD": "b"}, "keep one"),
        ({"DATABASE_URL": "postgres://u:a@db/x?password=b"}, "two passwords"),
        ({"DATABASE_URL": "postgres://u@db/x?sslpassword=b"}, "secret"),
        ({"DATABASE_URL": "file:///etc"}, "no engine"),
        ({"DATABASE_PASSWORD": "b"}, "DATABASE_URL"),
        ({"DATABASE_PASSWORD_X": "b"}, "DATABASE_URL_X"),
        ({"EXCLUDE_X": "b"}, "FILES_X"),
        ({"FILES_X": "srv"}, "absolute"),
        ({"FILES_A-B": "/srv"}, "letters, digits and _"),
        ({"FILES_X": "/srv", "DATABASE_URL_X": "postgres://db/x"}, "rename one"),
        ({"FILES_X": "/srv", "FILES_x": "/srv"}, "rename one"),
        ({"FILES_DB": "/srv", "DATABASE_URL": "postgres://db/x"}, "rename one"),
        ({"FILES_FILE": "/srv"}, "called 'file'"),
        ({"STORE": "s3://"}, "names no bucket"),
        ({"STORE": "s3://key:secret@bucket"}, "credentials"),
        ({"STORE": "file://backups"}, "three slashes"),
        ({"STORE": "/backups"}, "file:///backups"),
        ({"STORE": "s3://bucket?endpoint=x"}, "AWS_ENDPOINT_URL"),
        ({"STORE": "file:///backups?sse=AES256"}, "holds a ?"),
        ({"AWS_ACCESS_KEY_ID": "x"}, "AWS_SECRET_ACCESS_KEY"),
        ({"AWS_SECRET_ACCESS_KEY": "x"}, "AWS_ACCESS_KEY_ID"),
        ({"CODEC": "lzip"}, "lrzip, zstd, gzip, none"),
        ({"CODEC": "none:1"}, "no levels"),
        ({"CODEC": "zstd:20"}, "1 to 19"),
        ({"READ_BACK": "maybe"}, "'on' nor 'off'"),
        ({"EVIDENCE": "both"}, "dump or server"),
        ({"AGE_RECIPIENTS": "AGE-SECRET-KEY-1QQ"}, "public keys"),
        ({"AGE_IDENTITY": "age1xyz"}, "age-keygen"),
        ({"JOBS": "0"}, "from 1 to 256"),
        ({"SCRATCH_DIR": "tmp"}, "absolute"),
        ({"CACHE_MAX_AGE": "week"}, "36h"),
        ({"CACHE_MAX_SIZE": "0"}, "512m"),
        ({"METRICS_PORT": "70000"}, "65535"),
        ({"SENTRY_DSN": "https://sentry.io/1"}, "KEY@HOST"),
        ({"NOTIFY_URLS": "slack"}, "apprise"),
        ({"PING_URL": "ping"}, "https://"),
        ({"VERIFY_SCHEDULE": "nightly"}, "every day at"),
        ({"VERIFY_TIMEOUT": "30"}, "30m"),
        ({"VERIFY_MEMORY": "lots"}, "512m"),
        ({"VERIFY_CPUS": "0"}, "0.5"),
        ({"VERIFY_IMAGES": "postgres:16"}, "postgres:16=registry"),
        ({"VERIFY_LEVEL": "7"}, "from 0 to 6"),
        ({"VERIFY_COMMAND": "sh -c 'S3CRET"}, "close each quote"),
        ({"VERIFY_COMMAND_STATS": "''"}, "close each quote"),
        ({"VERIFY_APP_IMAGE": "Shop 1", "VERIFY_COMMAND": "x"}, "registry.example/shop:1.4"),
        ({"VERIFY_APP_IMAGE": "shop"}, "set VERIFY_COMMAND"),
        ({"VERIFY_APP_IMAGE": "shop", "VERIFY_COMMAND": "x", "VERIFY_IN": "process"}, "VERIFY_IN=container, or auto"),
        ({"VERIFY_COMMAND_DB": "x", "VERIFY_COMMAND": "x"}, "keep one of them"),
        ({"VERIFY_COMMAND_UPLOADS": "x", "FILES_UPLOADS": "/srv"}, "take it out"),
        ({"RTO": "fast"}, "36h"),
        ({"SEED": "newest"}, "latest"),
        ({"EVIDENCE_KEY": "abc"}, "ed25519"),
        ({"EVIDENCE_PUBLIC_KEY": "abc"}, "openssl pkey -pubout"),
        ({"LOG_FORMAT": "xml"}, "logfmt or json"),
        ({"SCHEDUEL": "off"}, "did you mean SCHEDULE?"),
        ({"DATABASE_PASSWROD_STATS": "x"}, "did you mean DATABASE_PASSWORD_STATS?"),
        ({"SENTRY_DSN_FIL": "x"}, "SENTRY_DSN"),
    ],
)
def test_one_mistake_one_problem_with_its_cure(environ: dict[str, str], says: str) -> None:
    problem = only(environ)
    assert says in problem
    assert next(iter(environ)).split("_")[0][:4] in problem


def test_commands_by_their_source() -> None:
    """One that is set is wanted, in a container where it is in an image; said otherwise, that holds."""
    command = {"VERIFY_COMMAND": "./manage.py check 'S3CRET two'", "VERIFY_COMMAND_STATS": "true"}
    got = load(command).verify
    assert got.commands == {"db": ("./manage.py", "check", "S3CRET two"), "stats": ("true",)}
    assert (got.level, got.where) == (6, "auto")
    assert "S3CRET" not in repr(got)
    got = load({**command, "VERIFY_APP_IMAGE": "shop:1", "VERIFY_LEVEL": "0"}).verify
    assert (got.app_image, got.where, got.level) == ("shop:1", "container", 0)
    assert load({**command, "VERIFY_APP_IMAGE": "shop:1", "VERIFY_IN": "off"}).verify.where == "off"
    assert load({}).verify.level == 5


def test_strangers_are_left_alone() -> None:
    strangers = [
        "AWS_REGION",
        "AWS_ENDPOINT_URL_S3",
        "PGDATA",
        "MONGO_INITDB_DATABASE",
        "POSTGRES_INITDB_ARGS_FILE",
        "TTY",
    ]
    strangers += ["CODE", "TASK", "HOME", "PATH", "HOSTNAME", "FILE", "DATABASE_USER", "AWS_CONFIG_FILE", "REDIS_URL"]
    load(dict.fromkeys(strangers, "x"))


def test_secrets_from_files(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_bytes(b" p@ss/w\xc3\xb6rd \n")
    key = tmp_path / "key"
    key.write_text("abc\r\n")
    got = load(
        {
            "DATABASE_URL": "postgres://u@db/x",
            "DATABASE_PASSWORD_FILE": str(secret),
            "AWS_ACCESS_KEY_ID_FILE": str(key),
            "AWS_SECRET_ACCESS_KEY_FILE": str(key),
            "AWS_SESSION_TOKEN_FILE": str(key),
            "FILES_X_FILE": str(tmp_path / "folder"),
        }
        if (tmp_path / "folder").write_text("/srv/x\n")
        else {}
    )
    assert got.sources[0].password == " p@ss/wörd "
    assert (got.access.key_id, got.access.secret, got.access.token) == ("abc", "abc", "abc")
    assert got.source("x").url == "file:///srv/x"


def test_files_that_do_not_help(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "long").write_text("x" * 70000)
    (tmp_path / "latin").write_bytes(b"\xe9")
    for path, says in [
        ("missing", "not there"),
        ("", "is a folder"),
        ("empty", "empty"),
        ("long", "64"),
        ("latin", "UTF-8"),
    ]:
        assert says in only({"MASK_KEY_FILE": str(tmp_path / path)})
    closed = tmp_path / "closed"
    closed.write_text("x")
    closed.chmod(0)
    if os.getuid() != 0:
        assert f"uid {os.getuid()}" in only({"MASK_KEY_FILE": str(closed)})
    assert "keep one" in only({"MASK_KEY": "x", "MASK_KEY_FILE": str(closed)})
    assert "hunter2" not in only({"MASK_KEY_FILE": "hunter2"})


def test_empty_is_not_set() -> None:
    assert load({"DATABASE_URL": "", "CODEC": " ", "AGE_RECIPIENTS_FILE": ""}).codec == Choice.of("lrzip")


def test_a_verb_asks_for_what_it_needs() -> None:
    load({"PROJECT": "x"}, "project")
    with pytest.raises(SettingsError, match="RESTORE_URL"):
        load(GOOD).require("project", "restore_to")
    assert "DATABASE_URL" in only({"DATABASE_URL": "x"}, "sources")


def test_restore_url_loses_its_password() -> None:
    got = load({"RESTORE_URL": "postgres://admin:pw%2F1@db/app"}).restore_to
    assert got is not None
    assert (got.url, got.password) == ("postgres://admin@db/app", "pw/1")


@pytest.mark.parametrize("given", ["file:///srv/copy%20of", "/srv/copy of"])
def test_a_folder_to_restore_into_as_into_takes_it(given: str) -> None:
    settings = load({"RESTORE_URL": given, "RESTORE_URL_UPLOADS": given})
    assert settings.restore_to is not None
    assert [each.url for each in (settings.restore_to, *settings.restore_each)] == ["file:///srv/copy%20of"] * 2


@pytest.mark.parametrize("raw", ["p:a@s/s#o%d", "a/b", "100%", "x?y=z", "@@", "a:b", "#"])
def test_passwords_that_nobody_encoded(raw: str) -> None:
    address = urls.split(f"postgres://user:{raw}@db:5432/name")
    assert (address.password, address.url) == (raw, "postgres://user@db:5432/name")


def test_a_question_mark_may_hold_an_at() -> None:
    address = urls.split("postgres://user:pw@db/name?application_name=a@b")
    assert (address.password, address.hosts) == ("pw", "db")
    assert urls.split("postgres://db/name?application_name=a@b").hosts == "db"
    assert urls.split("mongodb://u:p@a:1,b:2/x?replicaSet=r").hosts == "a:1,b:2"
    assert urls.split("postgres://u@[::1]:5432/x").url == "postgres://u@[::1]:5432/x"
    assert urls.split("postgres://u@%2Frun%2Fpg/x").hosts == "%2Frun%2Fpg"


@pytest.mark.parametrize("value", ["endpoint%3Dcool", "-c%20search_path%3Da%26b", "a%2Bb", "-c search_path=a"])
def test_the_value_of_an_option_stays_encoded(value: str) -> None:
    url = urls.split(f"postgres://u@db/name?options={value}&sslmode=require").url
    assert dict(parse_qsl(urlsplit(url).query)) == {"options": unquote(value), "sslmode": "require"}
    assert url.count("=") == 2  # libpq refuses a third


@given(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_any_encoded_password_comes_back(password: str) -> None:
    address = urls.split(f"postgres://u:{quote(password, safe='')}@db:5432/name")
    assert address.password == password
    assert address.url == "postgres://u@db:5432/name"


NAMES = [v.name.replace("<NAME>", name) + form for v in VARIABLES for name in ("X", "") for form in ("", "_FILE")]


@given(
    st.dictionaries(
        st.sampled_from(NAMES) | st.text(max_size=20),
        st.text(max_size=40)
        | st.sampled_from(
            ["postgres://u:p@h/d", "s3://b", "zstd:3", "every day at 03:00", "[", "https://[/1", "http://a@b:x/1"]
        ),
        max_size=12,
    )
)
@example({"SENTRY_DSN": "http://k@[x/1"})
@example({"PING_URL": "http://h:99999/"})
@example({"MASK_KEY_FILE": "a\0b"})
@example({"PROJECT": "\ud800"})
def test_garbage_gives_settings_or_problems(environ: dict[str, str]) -> None:
    try:
        assert isinstance(load(environ, "project", "sources"), Settings)
    except SettingsError as error:
        assert error.problems  # the other branch is as good
        assert all(isinstance(p, str) and p for p in error.problems)


SECRETS = [v.name.replace("<NAME>", "X") for v in VARIABLES if v.secret]


SHAPES = [
    "{}",
    "postgres://u:{}@h/d",
    "https://{}@h/1",
    "x://{}",
    "AGE-SECRET-KEY-1{}",
    "postgres://{}",
    "mongodb://u:{}",
    "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
]


@given(
    st.dictionaries(st.sampled_from(SECRETS), st.sampled_from(SHAPES)),
    st.sampled_from(["S3CRET", "S3/CR?ET#S3CRET", "S3CRET@S3CRET", "S3CRET:S3CRET", "%S3CRET"]),
)
def test_no_secret_is_shown(shapes: dict[str, str], secret: str) -> None:
    environ = {name: shape.replace("{}", secret) for name, shape in shapes.items()}
    try:
        shown = repr(load(environ, "project"))
    except SettingsError as error:
        shown = str(error)
    assert "S3CRET" not in shown


SOUND = {
    "DATABASE_URL": "postgres://u:S3CRET@h/d",
    "DATABASE_URL_B": "postgres://u@h/d?password=S3CRET",
    "DATABASE_URL_C": "mongodb://u@h/d",
    "DATABASE_PASSWORD_C": "S3CRET",
    "RESTORE_URL": "postgres://u:S3CRET@h/d",
    "RESTORE_URL_B": "postgres://u:S3CRET@h/d",
    "AWS_ACCESS_KEY_ID": "id",
    "AWS_SECRET_ACCESS_KEY": "S3CRET",
    "AWS_SESSION_TOKEN": "S3CRET",
    "AGE_IDENTITY": "AGE-SECRET-KEY-1S3CRET",
    "EVIDENCE_KEY": "MC4CAQAwBQYDK2VwBCIEIA" + "S3CRET".ljust(42, "A"),
    "MASK_KEY": "S3CRET",
    "PAGE_PASSWORD": "S3CRET",
    "SENTRY_DSN": "https://S3CRET@h/1",
    "NOTIFY_URLS": "slack://S3CRET",
    "PING_URL": "https://h/S3CRET",
}


def test_a_full_set_of_secrets_is_held_and_not_shown() -> None:
    got = load(SOUND)
    assert "S3CRET" not in repr(got)
    assert sum("S3CRET" in secret for secret in got.secrets) == len(SOUND) - 2


def test_a_secret_key_given_for_a_public_one_is_not_shown() -> None:
    assert "S3CRET" not in only({"AGE_RECIPIENTS": "AGE-SECRET-KEY-1S3CRET"})
    assert "S3CRET" not in only({"AGE_RECIPIENTS": "not-a-key-but-S3CRET"})


def test_near_names() -> None:
    assert distance("SCHEDUEL", "SCHEDULE") == 1
    assert distance("ABC", "ABC") == 0
    assert distance("A", "ABCD") == 3
    assert nearest("PROJCT") == "PROJECT"
    assert nearest("TASK") == ""


def test_the_reference_is_fresh() -> None:
    assert DOCS.read_text() == markdown(), "run: python -m killick.settings > docs/settings.md"


def test_every_variable_is_documented_and_each_default_parses() -> None:
    for variable in VARIABLES:
        assert f"`{variable.name}`" in markdown()
        if variable.default:
            variable.parse(variable.default)
        if variable.example and variable.name != "AGE_RECIPIENTS":
            variable.parse(variable.example)
