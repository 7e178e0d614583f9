"""MASK: what it says, which columns it means, which it forgets; and what its key makes of values."""

import ipaddress
import re
import uuid
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from killick.contents import Contents, Table
from killick.engines.postgres import names
from killick.errors import Refused, SettingsError
from killick.masking import Mask, Rule, Unmaskable, must_apply
from killick.masking.keyed import EMAIL, HASH, NAME, SUFFIX, Keyed
from killick.masking.personal import looks_personal, require, unmasked
from killick.masking.rules import KINDS, parse
from killick.masking.tables import resolve
from killick.settings import load
from tests.unit.test_docs import TEXT, first_column

CONTENTS = Contents(
    tables={
        "public.users": Table(3, columns=("id", "email", "phone", "Nick")),
        'public."Order Items"': Table(3, columns=("id", "Note", "email_sent_at")),
        "sales.orders": Table(3, columns=("id", "card_no")),
        "archive.orders": Table(3, columns=("id",)),
        "public.events_2025": Table(3, columns=("at", "ip"), ancestors=("public.events",)),
        "public.events_2026": Table(3, columns=("at", "ip"), ancestors=("public.events",)),
        "public.parent": Table(0, columns=("id",)),
        "public.child": Table(1, columns=("id", "token"), ancestors=("public.parent",)),
    },
    groups={
        "schema": {
            **dict.fromkeys(
                ("TABLE public.users", "TABLE public.events", "TABLE public.later", "VIEW public.active"), ""
            ),
            **dict.fromkeys(("TABLE ATTACH public.events_2025", "MATERIALIZED VIEW public.sums"), ""),
        }
    },
)
KEYED = Keyed("a long and random key")


# What is written


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("users.email: email", Rule("users", "email", "email")),
        ("  public.users.phone :null ", Rule("public.users", "phone", "null")),
        ('"Order Items"."No.te": constant removed', Rule('"Order Items"', '"No.te"', "constant", "removed")),
        ("a.b: constant two words", Rule("a", "b", "constant", "two words")),
        ("a.b: constant don't", Rule("a", "b", "constant", "don't")),
        ("a.b: constant 'one, two; \"three\"'", Rule("a", "b", "constant", 'one, two; "three"')),
        ("a.b: constant 'it''s'", Rule("a", "b", "constant", "it's")),
        ('a.b: constant "say ""hi"""', Rule("a", "b", "constant", 'say "hi"')),
        ("a.b: constant ''", Rule("a", "b", "constant")),
        ("a.b: constant 'two\nlines'", Rule("a", "b", "constant", "two\nlines")),
        ("a.b: truncate-date month", Rule("a", "b", "truncate-date", "month")),
        ("s.a.b.$.c.*.d: hash", Rule("s.a", "b", "hash", "", ("c", "*", "d"))),
        ('a.b.$."x.y".0: keep', Rule("a", "b", "keep", "", ("x.y", "0"))),
        ("a.b.$.c: constant removed", Rule("a", "b", "constant", '"removed"', ("c",))),
        ("a.b.$.c: constant 0", Rule("a", "b", "constant", "0", ("c",))),
        ("a.b.$.c: constant '0'", Rule("a", "b", "constant", '"0"', ("c",))),
        ("a.b.$.c: constant NaN", Rule("a", "b", "constant", '"NaN"', ("c",))),
        ("a.b.$.c: constant {}", Rule("a", "b", "constant", "{}", ("c",))),
    ],
)
def test_a_rule(text: str, rule: Rule) -> None:
    assert parse(text) == (rule,)


def test_rules_end_at_commas_semicolons_and_lines() -> None:
    rules = parse("# hidden\na.a: email, a.b: null;a.c: keep\r\n\n  # a.x: name, a.y: name\n a.d: constant #1 ,,\n")
    assert [(rule.column, rule.kind, rule.argument) for rule in rules] == [
        ("a", "email", ""),
        ("b", "null", ""),
        ("c", "keep", ""),
        ("d", "constant", "#1"),
    ]


@given(st.lists(st.text(min_size=1, max_size=6), min_size=2, max_size=3), st.sampled_from(("email", "null", "hash")))
@example(["$", "$"], "hash")
def test_any_name_can_be_written(written: list[str], kind: str) -> None:
    *table, column = (names.key(name) for name in written)
    (rule,) = parse(f"{'.'.join(table)}.{column}: {kind}")
    assert (names.parts(rule.table), names.parts(rule.column), rule.kind) == (written[:-1], written[-1:], kind)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("email: email", "no column of a table"),
        ("a.b.c.d: email", "no column of a table"),
        ("a.b email", "is no rule"),
        ("a.b=email", "is no rule"),
        ("first name.x: email", "double quotes"),
        ("a.b: e-mail", "did you mean email?"),
        ("a.b: Email", "did you mean email?"),
        ("a.b: shuffle the rows", "keep, null, constant, email, name, hash or truncate-date"),
        ("a.b:", "keep, null"),
        ("a.b: constant", "lacks the text"),
        ("a.b: truncate-date", "lacks the unit"),
        ("a.b: truncate-date week", "lacks the unit"),
        ("a.b: email a.c: null", "more than email needs"),
        ("a.b: constant 'x' y", "goes on after its quotes"),
        ("a.b.$: null", "no value inside"),
        ("a.b.$.c[0].d: null", "brackets"),
        ('"a.b: null', "is no rule"),
        ("# nothing", "holds no rule"),
    ],
)
def test_a_rule_that_is_none(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=" ") as caught:
        parse(text)
    (problem,) = caught.value.args
    assert says in problem


def test_the_settings_tell_all_problems_at_once_with_the_others() -> None:
    with pytest.raises(SettingsError) as caught:
        load({"MASK": "a.b: emial; a.c: null, x\na.d: constant", "PRUNE": "maybe"})
    heads = [problem.partition(": ")[0] for problem in caught.value.problems]
    assert heads == ["PRUNE", "MASK", "MASK", "MASK"]
    assert "'a.b: emial'" in caught.value.problems[1]


def test_the_settings_give_rules_and_key() -> None:
    got = load({"MASK": "users.email: email", "MASK_KEY": "S3CRET"})
    assert got.mask == Mask((Rule("users", "email", "email"),), "S3CRET")
    assert "S3CRET" in got.secrets and "S3CRET" not in repr(got)
    assert load({"MASK_KEY": "S3CRET"}).mask is None


# Which columns are meant


def meant(text: str, contents: Contents = CONTENTS) -> list[str]:
    mask = resolve(Mask(parse(text), "k"), contents)
    assert resolve(mask, contents) == mask
    assert mask.key == "k"
    return [str(rule) for rule in mask.rules]


@pytest.mark.parametrize(
    ("typed", "is_"),
    [
        ("users.email", "public.users.email"),
        ('"public"."users"."email"', "public.users.email"),
        ("Users.email", None),
        ("users.Email", None),
        ("public.users.nick", None),
        ("users.Nick", 'public.users."Nick"'),
        ('"Order Items"."Note"', 'public."Order Items"."Note"'),
        ('public."Order Items".Note', 'public."Order Items"."Note"'),
        ('"order items"."Note"', None),
        ("sales.orders.card_no", "sales.orders.card_no"),
        ("events.ip", "public.events.ip"),
        ("events_2025.ip", "public.events_2025.ip"),
        ("later.whatever", "public.later.whatever"),
        ("users.phone.$.a", "public.users.phone.$.a"),
    ],
)
def test_names_as_people_type_them(typed: str, is_: str | None) -> None:
    if is_:
        assert meant(f"{typed}: hash") == [is_]
    else:
        with pytest.raises(SettingsError):
            meant(f"{typed}: hash")


def test_capitals_where_both_are_there() -> None:
    both = Contents(tables={key: Table(1, columns=("a", "A")) for key in ("public.t", 'public."T"')})
    assert meant('t.a: hash, "T"."A": hash, t.A: hash', both) == ["public.t.a", 'public."T"."A"', 'public.t."A"']


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("user.email: email", "does not hold user (did you mean public.users?)"),
        ("public.order_items.x: null", 'did you mean public."Order Items"?'),
        ("zzz.email: email", "the backup does not hold zzz"),
        ("orders.id: hash", "orders can mean archive.orders or sales.orders"),
        ("users.Emial: email", "did you mean email?"),
        ("users.zzz: email", 'it has id, email, phone, "Nick"'),
        ("events.zzz: email", "it has at, ip"),
        ("active.email: email", "public.active is a view"),
        ("public.sums.email: email", "public.sums is a materialized view"),
        ("users.email: email, public.users.email: hash", "public.users.email has two rules"),
        ("users.email.$.a: email, public.users.email: hash", "public.users.email has a rule for all of it and one"),
        ("users.email: keep, public.users.email.$.a: hash", "public.users.email has a rule for all of it and one"),
    ],
)
def test_a_rule_that_means_nothing(text: str, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        meant(text)
    (problem,) = caught.value.problems
    assert says in problem and problem.startswith("MASK: ")


def test_all_that_mean_nothing_are_told() -> None:
    with pytest.raises(SettingsError) as caught:
        meant("a.b: null, users.c: null, users.email: hash, public.users.email: null")
    assert len(caught.value.problems) == 3


def test_values_inside_a_document_have_a_rule_each() -> None:
    rules = resolve(Mask(parse("users.phone.$.a: null; users.phone.$.b: hash")), CONTENTS).of("public.users")
    assert [rule.kind for rule in rules["phone"]] == ["null", "hash"]


# Which columns are forgotten


@pytest.mark.parametrize(
    "column",
    [
        *("email", "Email", "E_MAIL", "emailAddress", "user_mail", "phone2", "homePhone", "mobile_no", "fax", "fax_nr"),
        *("access_token", "tokens_used", "secret", "password_digest", "passwd", "PWD", "ssn", "SSN4", "birthday"),
        *("date_of_birth", "dob", "iban", "card", "card_last4", "creditCardNumber", "address2", "street", "zip"),
        *("zipCode", "postcode", "first_name", "firstname", "FirstName", "last_name", "surname", "full_name", "ip"),
        *("ip_address", "last_ip", "lastIP", "IPAddr", "email_sent_at", "username", "api_key", "born", "born_on"),
    ],
)
def test_names_that_look_personal(column: str) -> None:
    assert looks_personal(column)


@pytest.mark.parametrize(
    "column",
    [
        *("id", "name", "title", "description", "shipping", "recipe", "discarded", "cardinality", "zipped", "status"),
        *("created_at", "price", "telling", "opinion", "Ship", "tip", "unborn", "note", "key", "sexagesimal"),
    ],
)
def test_names_that_do_not(column: str) -> None:
    assert not looks_personal(column)


def test_columns_that_no_rule_speaks_of() -> None:
    everything = [
        *("public.users.email", "public.users.phone", 'public."Order Items".email_sent_at', "sales.orders.card_no"),
        *("public.events.ip", "public.child.token"),
    ]
    assert unmasked(CONTENTS, None) == everything
    mask = Mask(parse('users.email: email, users.phone.$.x: null, "Order Items".email_sent_at: keep, events.ip: hash'))
    assert unmasked(CONTENTS, mask) == ["sales.orders.card_no", "public.child.token"]
    assert "public.events.ip" in unmasked(CONTENTS, Mask(parse("events_2025.ip: hash")))
    with pytest.raises(Refused) as caught:
        require(CONTENTS, mask)
    assert "2 columns look personal" in caught.value.message
    lines = ", ".join(line.strip() for line in caught.value.message.splitlines()[1:])
    require(CONTENTS, Mask((*mask.rules, *parse(lines))))


def test_other_engines_are_refused() -> None:
    must_apply("postgres")
    for engine, script in (("mongodb", False), ("files", False), ("postgres", True)):
        with pytest.raises(Refused, match="MASK does not apply to") as caught:
            must_apply(engine, script=script)
        assert "restore.d" in caught.value.hint


# What becomes of values


def test_the_same_under_the_same_key_and_another_under_another() -> None:
    same, other = Keyed("a long and random key"), Keyed("another one")
    for kind in ("text", "email", "name", "uuid", "binary", "number", "address"):
        value = {"number": "123456789012", "address": "192.0.2.77"}.get(kind, "plain")
        masked = getattr(KEYED, kind)(value)
        assert masked == getattr(same, kind)(value) != value
        assert masked != getattr(other, kind)(value)
        assert str(value) not in str(masked)


@given(st.text(min_size=1))
@example("\udc80")
def test_forms(text: str) -> None:
    address = KEYED.email(text)
    assert len(address) == EMAIL and address.endswith("@example.com") and address == address.lower()
    assert len(KEYED.text(text)) == HASH and int(KEYED.text(text), 16) >= 0
    assert len(KEYED.name(text)) <= NAME and KEYED.name(text).istitle() and len(KEYED.name(text).split()) == 2
    unique = Keyed("a long and random key", suffixed=True).name(text)
    assert len(unique) <= NAME + SUFFIX and unique.startswith(KEYED.name(text) + " ")
    assert uuid.UUID(KEYED.uuid(text)).version == 4


def test_texts_do_not_meet() -> None:
    many = [f"user{i}@shop.test" for i in range(20_000)]
    unique = Keyed("k", suffixed=True)
    for mask in (KEYED.email, KEYED.text, KEYED.uuid, unique.name):
        assert len({mask(text) for text in many}) == len(many)
    assert len({KEYED.name(text) for text in many}) > 4000


@pytest.mark.parametrize(("low", "high"), [(0, 1200), (32_700, 33_500), (99_900, 100_100)])
def test_numbers_are_permuted(low: int, high: int) -> None:
    masked = [int(KEYED.number(str(number))) for number in range(low, high)]
    assert len(set(masked)) == high - low
    assert [len(str(number)) for number in masked] == [len(str(number)) for number in range(low, high)]
    assert sum(a != b for a, b in zip(masked, range(low, high), strict=True)) > (high - low) * 0.9


def test_smallints_stay_smallints() -> None:
    """Each of them is another's: whatever their number, a unique column stays unique."""
    everything = range(-(2**15), 2**15)
    assert {int(KEYED.number(str(number))) for number in everything} == set(everything)


@given(st.sampled_from((15, 31, 63)), st.data())
def test_numbers_fit_their_type(bits: int, data: st.DataObject) -> None:
    number = data.draw(st.integers(-(2**bits), 2**bits - 1))
    masked = int(KEYED.number(str(number)))
    assert -(2**bits) <= masked < 2**bits
    assert (masked < 0) == (number < 0) and (masked == 0) == (number == 0)


DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9)


@given(st.lists(DECIMALS, max_size=30), st.integers(0, 3))
@example([Decimal("0.100"), Decimal("0.010"), Decimal("1.000"), Decimal("10.000")], 0)
def test_numerics_keep_digits_and_scale_and_stay_different(numbers: list[Decimal], zeros: int) -> None:
    masked = {}
    for number in numbers:
        text = f"{number:.3f}" + "0" * zeros
        result = KEYED.number(text)
        assert len(result) == len(text) and result.find(".") == text.find(".")
        assert Decimal(result) == Decimal(KEYED.number(f"{number.normalize():f}"))
        masked[number] = Decimal(result)
    assert len(set(masked.values())) == len(set(numbers))


def test_numbers_with_and_without_a_fraction_do_not_meet() -> None:
    """7.3 and 7.30 are one number, so nothing may become 7.30 that is not that one's."""
    everything = [Decimal(i) / 100 for i in range(1, 3000)]
    assert len({Decimal(KEYED.number(f"{number:f}")) for number in everything}) == len(everything)


def test_numbers_that_are_none_and_those_without_end() -> None:
    assert [KEYED.number(text) for text in ("NaN", "Infinity", "-Infinity", "0", "0.00")] == [
        *("NaN", "Infinity", "-Infinity", "0", "0.00")
    ]
    assert len(KEYED.number("9" * 200)) == 200
    for text in ("9" * 201, "1e5", "12a"):
        with pytest.raises(Unmaskable) as caught:
            KEYED.number(text)
        assert text not in str(caught.value)


@given(st.ip_addresses(), st.integers(0, 32))
def test_addresses_keep_family_and_netmask(address: ipaddress.IPv4Address | ipaddress.IPv6Address, length: int) -> None:
    masked = KEYED.address(f"{address}/{length}")
    assert ipaddress.ip_interface(masked).version == address.version
    assert masked.endswith(f"/{length}")


def test_ipv4_addresses_do_not_meet() -> None:
    many = [f"10.{i // 256}.{i % 256}.1" for i in range(3000)]
    assert len({KEYED.address(address) for address in many}) == len(many)


def test_the_page_tells_of_every_kind_and_its_example_holds() -> None:
    assert {word.split()[0] for word in first_column("docs/masking.md", "Kinds")} == set(KINDS)
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", TEXT["docs/masking.md"], re.MULTILINE | re.DOTALL)
    assert {rule.kind for rule in parse(example)} == set(KINDS) - {"hash"}
