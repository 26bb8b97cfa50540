"""What an operator may configure of an issuer, and the errors of the rest."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.access.external_issuer import (
    ALGORITHMS,
    MAX_ISSUERS,
    ExternalIssuer,
    parse_issuers,
)
from outrider.domain.access.permission import Role

ENTRY = {
    "issuer": "https://id.example",
    "audience": "1",
    "roles_claim": "roles",
    "roles": {"admin": "IAM_OWNER"},
}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def parsed(**changes: object) -> ExternalIssuer:
    entry = {name: value for name, value in {**ENTRY, **changes}.items() if value is not None}
    (found,) = parse_issuers(json.dumps([entry]))
    return found


def test_an_entry_is_read_as_it_was_written():
    """
    The issuer above all: it is compared letter by letter.
    """
    found = parsed(
        issuer="https://id.example/realms/a/",
        audience=["1", "2"],
        roles={"admin": "IAM_OWNER", "shop": ["EVENT_PUBLISHER", "IAM_OWNER_VIEWER"]},
        default_roles=["ORG_OWNER"],
        jwks_url="https://keys.example/?a=b",
        algorithms=["ES256"],
        instance="7",
    )

    assert "https://id.example/realms/a/" == found.issuer
    assert "https://id.example/realms/a/.well-known/openid-configuration" == found.discovery_url
    assert {"1", "2"} == found.audience
    assert {Role.EVENT_PUBLISHER, Role.IAM_OWNER_VIEWER} == found.roles["shop"]
    assert ({Role.ORG_OWNER}, {"ES256"}) == (found.default_roles, found.algorithms)
    assert ("https://keys.example/?a=b", "7") == (found.jwks_url, found.instance)


def test_what_is_left_out_has_its_default():
    """
    Four lines are enough for most issuers.
    """
    found = parsed()

    assert frozenset(ALGORITHMS) == found.algorithms
    assert (frozenset(), "", "") == (found.default_roles, found.jwks_url, found.instance)
    assert () == parse_issuers("")


@pytest.mark.parametrize(
    ("claim", "paths"),
    [
        ("roles", [("roles",)]),
        ("realm_access.roles", [("realm_access.roles",), ("realm_access", "roles")]),
        ("urn:zitadel:iam:org:project:roles", [("urn:zitadel:iam:org:project:roles",)]),
        (["resource_access", "my.client", "roles"], [("resource_access", "my.client", "roles")]),
    ],
)
def test_a_claim_is_a_name_or_a_path(claim, paths):
    """
    Some names contain dots, so a list marks where a path divides.
    """
    assert tuple(paths) == parsed(roles_claim=claim).role_paths


BAD = {
    "issuer must be a text of": {"issuer": None},
    "issuer: the URL must begin with https://": {"issuer": "http://id.example"},
    "issuer: the URL contains a fragment": {"issuer": "https://id.example#a"},
    "issuer: the URL contains a query": {"issuer": "https://id.example?a"},
    "issuer: the URL contains user information": {"issuer": "https://a@id.example"},
    "jwks_url: the URL must begin with": {"jwks_url": "http://10.0.0.1/keys"},
    "audience must be a text of": {"audience": ""},
    "audience must be a text, or": {"audience": []},
    "roles_claim must name": {"roles_claim": None},
    "roles or default_roles must": {"roles": None},
    "roles must map": {"roles": ["admin"]},
    "roles must be roles of ours": {"roles": {"admin": "ADMIN"}},
    "default_roles must be roles of ours": {"default_roles": "OWNER"},
    "default_roles must be roles": {"default_roles": ["SYSTEM_OWNER"]},
    "default_roles must be a text": {"default_roles": {}},
    "algorithms must be some of": {"algorithms": ["none"]},
    "algorithms must be some": {"algorithms": ["HS256"]},
    "instance must be a text": {"instance": 1},
    "rolesclaim is unknown": {"rolesclaim": "x"},
}


@pytest.mark.parametrize("pattern", BAD)
def test_what_cannot_work_is_refused_by_name(pattern):
    """
    The server does not start, and the operator knows which entry and what.
    """
    with pytest.raises(ValueError, match=f"^entry 1: {pattern}"):
        parsed(**BAD[pattern])


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080", "http://[::1]", "http://localhost:1/realms/a"]
)
def test_http_is_for_this_machine(url):
    """
    Developers run an issuer next to the server.
    """
    assert url == parsed(issuer=url).issuer


@pytest.mark.parametrize("text", ["{}", "[1]", "x", "[" * 100_000])
def test_what_is_no_list_of_objects_is_refused(text):
    """
    One object without the list around it is the usual slip.
    """
    with pytest.raises(ValueError, match="must be a JSON list of objects"):
        parse_issuers(text)


def test_there_is_an_end_to_the_list():
    """
    And an issuer stands in it once for each instance.
    """
    with pytest.raises(ValueError, match="at most 50"):
        parse_issuers(json.dumps([ENTRY] * (MAX_ISSUERS + 1)))
    with pytest.raises(ValueError, match="entry 1: its issuer stands there twice"):
        parse_issuers(json.dumps([ENTRY, ENTRY]))
    assert 2 == len(parse_issuers(json.dumps([ENTRY, {**ENTRY, "instance": "7"}])))


@given(st.dictionaries(st.sampled_from([*ENTRY, "default_roles", "algorithms"]), ANYTHING))
def test_whatever_is_written_is_checked(changes):
    """
    A start ends in a sentence, never in a traceback.
    """
    with suppress(ValueError):
        parse_issuers(json.dumps([{**ENTRY, **changes}]))
