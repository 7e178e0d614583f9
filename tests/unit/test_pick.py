"""What somebody meant who typed a name."""

import json

import pytest

from killick.contents import Contents, Table
from killick.engines import pick
from killick.errors import KillickError, NotFound, SettingsError

ANCESTORS = {
    "public.orders": (),
    'public."Order Items"': (),
    "public.events_2025": ("public.events",),
    "public.events_rest_0": ("public.events_rest", "public.events"),
    "harbour.boat": ("public.orders",),
    "harbour.people": (),
    "public.people": (),
    'public."a.b"': (),
}
SHOP = Contents(tables={key: Table(1, ancestors=above) for key, above in ANCESTORS.items()})
EVENTS = {"public.events", "public.events_2025", "public.events_rest_0"}


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["harbour.boat"], {"harbour.boat"}),
        (["boat"], {"harbour.boat"}),
        (["Order Items"], {'public."Order Items"'}),
        (['"Order Items"'], {'public."Order Items"'}),
        (["public.Order Items"], {'public."Order Items"'}),
        (['"public"."Order Items"'], {'public."Order Items"'}),
        (['public."Order Items"'], {'public."Order Items"'}),
        (["a.b"], {'public."a.b"'}),
        (["public.people"], {"public.people"}),
        (["orders"], {"public.orders", "harbour.boat"}),  # which inherits from it
        (["events"], EVENTS),
        (["public.events_rest"], {"public.events_rest", "public.events_rest_0"}),
        (["events_2025", "boat"], {"public.events_2025", "harbour.boat"}),
        ([], set()),
    ],
)
def test_tables(typed: list[str], meant: set[str]) -> None:
    assert pick("postgres", SHOP, typed) == meant


def test_a_name_in_several_schemas_names_them() -> None:
    with pytest.raises(SettingsError, match=r"people can mean harbour\.people or public\.people"):
        pick("postgres", SHOP, ["people", "orders"])


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("ordres", "did you mean public.orders?"),
        ("public.event", "did you mean public.events"),
        ("order items", 'did you mean public."Order Items"'),
        ("xyzzy", "killick show lists what it holds"),
    ],
)
def test_a_name_of_nothing_tells_what_comes_near(typed: str, hint: str) -> None:
    with pytest.raises(NotFound, match=f"does not hold {typed}") as caught:
        pick("postgres", SHOP, ["boat", typed])
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize("typed", ["trips", "public.trips"])
def test_a_view_comes_with_its_tables(typed: str) -> None:
    shop = Contents(
        tables={"public.boat": Table(1)}, groups={"schema": {"VIEW public.trips": "", "INDEX public.trips_at": ""}}
    )
    with pytest.raises(NotFound, match=f"does not hold {typed}") as caught:
        pick("postgres", shop, [typed])
    assert caught.value.hint == "a view comes along when all the tables that it looks at are named: VIEW public.trips"


def test_collections() -> None:
    shop = Contents(tables=dict.fromkeys(("shop.orders", "shop.orders.old", "log.orders", "shop.a"), Table(1)))
    assert pick("mongodb", shop, ["shop.orders"]) == {"shop.orders"}
    assert pick("mongodb", shop, ["orders.old", "a"]) == {"shop.orders.old", "shop.a"}
    with pytest.raises(SettingsError, match=r"log\.orders or shop\.orders"):
        pick("mongodb", shop, ["orders"])


def test_files_and_folders() -> None:
    paths = {".": "", "a": "", "a/b.jpg": "", "b.jpg": "", "empty": ""}
    uploads = Contents(tables=dict.fromkeys(("a/b.jpg", "b.jpg"), Table(1)), groups={"attributes": paths})
    assert pick("files", uploads, ["a/b.jpg", "empty"]) == {"a/b.jpg", "empty"}
    assert pick("files", uploads, ["a/"]) == {"a"}
    with pytest.raises(NotFound, match="jpg"):
        pick("files", uploads, ["jpg"])


def test_an_engine_that_says_nothing_goes_by_its_keys() -> None:
    assert pick("another", SHOP, ["public.orders"]) >= {"public.orders"}
    with pytest.raises(KillickError):
        pick("another", SHOP, ["orders"])


def test_what_is_part_of_what_survives_json() -> None:
    assert Contents.from_json(json.loads(json.dumps(SHOP.to_json()))) == SHOP
    assert "ancestors" not in SHOP.to_json()["tables"]["public.orders"]
