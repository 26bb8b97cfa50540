"""What exists, so that an execution for what does not exist is refused."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.routing.catalogue import Catalogue, catalogue_from_json

DATA = json.loads(files("outrider").joinpath("catalogue.json").read_text(encoding="utf-8"))
NAMES = st.text(alphabet="ab.", max_size=4)


@pytest.fixture(scope="module")
def catalogue():
    return catalogue_from_json(DATA)


def test_it_begins_with_all_that_zitadel_registers(catalogue):
    """
    Counted by eye: an entry lost on the way would be refused to its user.
    """
    counts = {service: len(methods) for service, methods in DATA["services"].items()}

    assert 15 == counts["zitadel.action.v2.ActionService"]
    assert 10 == counts["zitadel.action.v2beta.ActionService"]
    assert 60 == counts["zitadel.user.v2.UserService"]
    assert 179 == sum(
        n for name, n in counts.items() if re.fullmatch(r"zitadel\.\w+\.v2\.\w+", name)
    )
    assert 204 == counts["zitadel.admin.v1.AdminService"]
    assert 296 == counts["zitadel.management.v1.ManagementService"]
    assert 24 == counts["zitadel.system.v1.SystemService"]
    assert 53 == counts["zitadel.auth.v1.AuthService"]
    assert 899 == sum(n for name, n in counts.items() if name.startswith("zitadel."))
    assert 0 not in counts.values()
    assert 36 == len(catalogue.services)
    # Health has two, and each version of reflection has one.
    assert 899 + 2 + 2 == len(catalogue.methods)
    assert 544 == len(catalogue.event_types)


@pytest.mark.parametrize(
    ("aggregate", "count"),
    [
        ("feature.", 21),
        ("oidc_session.", 6),
        ("project.", 39),
        ("session.", 17),
        ("target.", 7),
        ("target.key.", 4),
        ("user.", 133 + 7 + 4),
        ("user.grant.", 7),
        ("web_key.", 4),
    ],
)
def test_it_has_every_event_type_of_an_aggregate(catalogue, aggregate, count):
    """
    Counted by eye; `user.` has the grants' seven, and four of recovery codes, too.
    """
    assert count == sum(event_type.startswith(aggregate) for event_type in catalogue.event_types)


def test_every_v2_method_that_the_official_client_calls_exists(catalogue):
    """
    The client is generated from the newest contract: it names what users will intercept.
    """
    client = find_spec("zitadel_client")
    called = {
        path
        for module in Path(client.origin).parent.joinpath("api").glob("*_api.py")
        for path in re.findall(
            r"resource_path='(/zitadel\.\w+\.v2\.[^']+)'", module.read_text(encoding="utf-8")
        )
    }

    assert called == {
        method for method in catalogue.methods if re.match(r"/zitadel\.\w+\.v2\.", method)
    }


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("/zitadel.session.v2.SessionService/ListSessions", True),
        ("/zitadel.action.v2beta.ActionService/CreateTarget", True),
        ("/zitadel.webkey.v2beta.WebKeyService/ActivateWebKey", True),
        ("/zitadel.admin.v1.AdminService/GetMyInstance", True),
        ("/zitadel.management.v1.ManagementService/AddHumanUser", True),
        ("/zitadel.user.v2beta.UserService/AddHumanUser", True),
        ("/grpc.health.v1.Health/Watch", True),
        ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", True),
        ("zitadel.session.v2.SessionService/ListSessions", False),
        ("/zitadel.session.v2.NotExistingService/List", False),
        ("/zitadel.session.v2.SessionService/listSessions", False),
        ("/zitadel.session.v2.SessionService", False),
        ("/zitadel.session.v2.SessionService/", False),
        ("", False),
    ],
)
def test_a_method_is_known_by_its_exact_text(catalogue, text, known):
    """
    A method without its slash would never match a call: better refused than silent.
    """
    assert known is catalogue.has_method(text)


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("zitadel.session.v2.SessionService", True),
        ("zitadel.admin.v1.AdminService", True),
        ("zitadel.user.v2beta.UserService", True),
        ("grpc.reflection.v1.ServerReflection", True),
        ("/zitadel.session.v2.SessionService", False),
        ("zitadel.session.v2", False),
        ("NotExistingService", False),
        ("outrider.v1.EventService", False),
        ("", False),
    ],
)
def test_a_service_is_known_by_its_full_name(catalogue, text, known):
    """
    Also where only the name is published; never outrider's own, which nothing intercepts.
    """
    assert known is catalogue.has_service(text)


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("preuserinfo", True),
        ("presamlresponse", True),
        ("function/preuserinfo", False),
        ("PreUserInfo", False),
        ("xxx", False),
    ],
)
def test_a_function_is_known_by_its_bare_name(catalogue, text, known):
    """
    ZITADEL has three, and refuses any other.
    """
    assert known is catalogue.has_function(text)


@pytest.mark.parametrize(
    ("text", "is_type", "is_group"),
    [
        ("user.human.added", True, True),
        ("user.human.notexisting", False, False),
        ("user.human", False, True),
        ("user.hum", False, True),
        ("user", False, True),
        ("user.notexisting", False, False),
        ("user.*", False, False),
        ("user.human.added.", False, False),
        ("feature.instance.console_use_v2_user_api.set", True, True),
        ("feature.system.console_use_v2_user_api.set", False, False),
        ("feature.featurelogindefaultorg.set", True, True),
        ("target.key.activated", True, True),
        ("web_key.removed", True, True),
        ("zzz", False, False),
        ("", False, True),
    ],
)
def test_an_event_type_is_exact_and_a_group_is_a_prefix(catalogue, text, is_type, is_group):
    """
    ZITADEL's groups are plain text, without regard to full stops.
    """
    assert is_type is catalogue.has_event_type(text)
    assert is_group is catalogue.has_event_group(text)


@given(st.lists(NAMES), NAMES)
def test_a_group_exists_when_a_type_starts_with_it(event_types, prefix):
    """
    A binary search must find what a scan would.
    """
    catalogue = Catalogue(event_types=event_types)
    expected = any(event_type.startswith(prefix) for event_type in event_types)

    assert expected is catalogue.has_event_group(prefix)
    assert (prefix in event_types) is catalogue.has_event_type(prefix)


def test_an_empty_catalogue_knows_nothing():
    """
    The ends of a search are where it goes wrong.
    """
    nothing = Catalogue()

    assert not nothing.has_method("")
    assert not nothing.has_service("")
    assert not nothing.has_function("")
    assert not nothing.has_event_type("")
    assert not nothing.has_event_group("")


def test_the_lists_are_shown_as_zitadel_shows_them(catalogue):
    """
    Methods and services ascending, functions in the order of registration.
    """
    assert ("preuserinfo", "preaccesstoken", "presamlresponse") == catalogue.functions
    assert sorted(catalogue.methods) == list(catalogue.methods)
    assert sorted(catalogue.services) == list(catalogue.services)
    assert sorted(catalogue.event_types) == list(catalogue.event_types)


def test_a_new_entry_makes_a_new_catalogue(catalogue):
    """
    A reader of the old one meanwhile reads one state of it.
    """
    grown = catalogue.with_entries(
        methods=["/shop.v1.OrderService/PlaceOrder"],
        functions=["price", "preuserinfo"],
        event_types=["order.placed", "order.placed"],
    )

    assert grown.has_method("/shop.v1.OrderService/PlaceOrder")
    assert grown.has_service("shop.v1.OrderService")
    assert ("preuserinfo", "preaccesstoken", "presamlresponse", "price") == grown.functions
    assert len(catalogue.event_types) + 1 == len(grown.event_types)
    assert grown.has_event_group("order.")
    assert not catalogue.has_event_type("order.placed")


def test_entries_that_were_known_make_no_new_catalogue(catalogue):
    """
    Nothing new is nothing to store, and the usual case of a published event.
    """
    assert catalogue is catalogue.with_entries(
        methods=["/zitadel.session.v2.SessionService/ListSessions"], event_types=["user.added"]
    )


@pytest.mark.parametrize("text", ["", "a.B/C", "/a.B", "/a.B/", "//C", "/a.B/C/D", "a.B"])
def test_a_method_that_no_call_could_have_is_refused(text):
    """
    Its service would be wrong too, and both would be offered to be chosen.
    """
    with pytest.raises(ValueError, match="written /package"):
        Catalogue().with_entries(methods=[text])
