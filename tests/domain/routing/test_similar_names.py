"""Names that may be meant by a misspelled one."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from outrider.domain.routing.catalogue import Catalogue, catalogue_from_json
from outrider.domain.routing.condition import ConditionKind
from outrider.domain.routing.similar_names import MAX_SUGGESTIONS, has_name, similar_names

REGISTERED = catalogue_from_json(
    json.loads(files("outrider").joinpath("catalogue.json").read_text(encoding="utf-8"))
)
REQUEST, RESPONSE = ConditionKind.REQUEST, ConditionKind.RESPONSE
FUNCTION, EVENT = ConditionKind.FUNCTION, ConditionKind.EVENT
USERS = "/zitadel.user.v2.UserService"


@pytest.mark.parametrize(
    ("kind", "name", "meant"),
    [
        (REQUEST, f"{USERS}/CreatUser", f"{USERS}/CreateUser"),
        (RESPONSE, f"{USERS}/createUser", f"{USERS}/CreateUser"),
        (REQUEST, "/zitadel.users.v2.UserService/CreateUser", f"{USERS}/CreateUser"),
        (REQUEST, "/zitadel.user.v2.Userservice/CreateUser", f"{USERS}/CreateUser"),
        (FUNCTION, "preUserInfo", "preuserinfo"),
        (FUNCTION, "pre-access-token", "preaccesstoken"),
        (EVENT, "user.human.aded", "user.human.added"),
        (EVENT, "User.Human.Added", "user.human.added"),
        (EVENT, "user_human_added", "user.human.added"),
    ],
    ids=str,
)
def test_the_name_that_is_meant_comes_first(kind, name, meant):
    """
    Wherever the mistake is: in the package, the service, the method, the case.
    """
    found = similar_names(REGISTERED, (), kind, name)

    assert not has_name(REGISTERED, kind, name)
    assert meant == found[0]
    assert len(found) <= MAX_SUGGESTIONS


@pytest.mark.parametrize(
    ("kind", "name"), [(REQUEST, "/x.Y/Z"), (FUNCTION, "quote"), (EVENT, "order.paid")], ids=str
)
def test_what_is_like_nothing_suggests_nothing(kind, name):
    """
    An application's own name, which is not known yet, is no mistake.
    """
    assert [] == similar_names(REGISTERED, (), kind, name)


def test_what_executions_are_set_for_is_suggested_too():
    """
    Of the kind that was asked for.
    """
    executions = [
        "request/shop.v1.Orders/Create",
        "function/quote",
        "event/order.*",
        "event/order.paid",
    ]
    empty = Catalogue()

    assert ["/shop.v1.Orders/Create"] == similar_names(
        empty, executions, REQUEST, "/shop.v1.Order/Create"
    )
    assert [] == similar_names(empty, executions, RESPONSE, "/shop.v1.Order/Create")
    assert ["quote"] == similar_names(empty, executions, FUNCTION, "qoute")
    assert ["order.paid"] == similar_names(empty, executions, EVENT, "order.payed")


def test_names_of_any_length_are_compared():
    """
    What is compared sign by sign is bounded.
    """
    names = [f"a.{'x' * 900}{number}" for number in range(300)]
    found = similar_names(Catalogue(event_types=names), (), EVENT, f"a.{'x' * 990}")

    assert MAX_SUGGESTIONS == len(found)
