"""Tokens of other issuers: which of them count, and for what."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.access.external_issuer import parse_issuers
from outrider.domain.access.external_token import (
    check_external_claims,
    check_type,
    expiry,
    external_account,
    granted_roles,
)
from outrider.domain.access.permission import Role
from support.runtime import NOW

AT = NOW.timestamp()
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def issuer(**changes: object):
    entry = {
        "issuer": "https://id.example",
        "audience": ["one", "two"],
        "roles_claim": "roles",
        "roles": {"admin": ["IAM_OWNER"], "reader": ["IAM_OWNER_VIEWER"]},
        **changes,
    }
    (found,) = parse_issuers(json.dumps([entry]))
    return found


def claims(**changes: object) -> dict[str, object]:
    written = {
        "iss": "https://id.example",
        "sub": "ada",
        "aud": "one",
        "iat": AT,
        "exp": AT + 60,
        **changes,
    }
    return {name: value for name, value in written.items() if value is not None}


GOOD = {
    "as it is": {},
    "for several": {"aud": ["another", "two"]},
    "without a beginning": {"iat": None},
    "from a clock that is ahead": {"iat": AT + 30, "nbf": AT + 30},
    "at the end of the leeway": {"exp": AT - 29.9},
    "a subject of 255 characters": {"sub": "a" * 255},
}
BAD = {
    "another issuer": {"iss": "https://id.example/"},
    "no issuer": {"iss": None},
    "issuers": {"iss": ["https://id.example"]},
    "another audience": {"aud": "three"},
    "no audience": {"aud": None},
    "an audience that contains ours": {"aud": "onetwo"},
    "an audience in an object": {"aud": {"one": 1}},
    "expired": {"exp": AT - 30},
    "without an end": {"exp": None},
    "an end that is no number": {"exp": str(AT + 60)},
    "an end that is true": {"exp": True},
    "an end after all years": {"exp": 10**15},
    "an end that is not finite": {"exp": float("inf")},
    "an end that is not a number": {"exp": float("nan")},
    "issued later": {"iat": AT + 31},
    "valid later": {"nbf": AT + 31},
    "a beginning that is none": {"nbf": "now"},
    "no subject": {"sub": None},
    "an empty subject": {"sub": ""},
    "a subject that is a number": {"sub": 1},
    "a subject that is too long": {"sub": "a" * 256},
    "a subject with a line end": {"sub": "a\nb"},
    "bound to a key": {"cnf": {"jkt": "x"}},
    "about an event": {"events": {}},
}


@pytest.mark.parametrize("name", GOOD)
def test_a_token_for_us_counts(name):
    """
    Issuers differ in what they write, and clocks by some seconds.
    """
    check_external_claims(claims(**GOOD[name]), issuer(), NOW)


@pytest.mark.parametrize("name", BAD)
def test_every_other_token_is_refused(name):
    """
    A right signature says that the issuer wrote it, not that it was for us.
    """
    with pytest.raises(ValueError, match=r"."):
        check_external_claims(claims(**BAD[name]), issuer(), NOW)


def test_it_is_refused_from_the_moment_that_is_remembered():
    """
    A token is remembered for a while: both checks must end it at the same time.
    """
    ends = expiry(claims())

    check_external_claims(claims(), issuer(), ends - timedelta(microseconds=1))
    with pytest.raises(ValueError, match="expired"):
        check_external_claims(claims(), issuer(), ends)


@pytest.mark.parametrize("header", [{}, {"typ": "JWT"}, {"typ": "at+jwt"}, {"typ": "AT+JWT"}])
def test_access_tokens_and_plain_jwts_count(header):
    """
    RFC 9068 has a name for them, which many issuers do not write.
    """
    check_type(header)
    check_type({"typ": "application/at+jwt"})


@pytest.mark.parametrize("typ", ["logout+jwt", "secevent+jwt", "dpop+jwt", "", None, 1, ["JWT"]])
def test_a_jwt_of_another_type_is_refused(typ):
    """
    The same key signs log-outs, events and proofs.
    """
    with pytest.raises(ValueError, match="another type"):
        check_type({"typ": typ})


OWNER, VIEWER = Role.IAM_OWNER, Role.IAM_OWNER_VIEWER
ROLES = "urn:zitadel:iam:org:project:roles"
ZITADEL = {ROLES: {"admin": {"9": "acme.example"}, "reader": {}}}


@pytest.mark.parametrize(
    ("claim", "value", "roles"),
    [
        ("roles", {"roles": ["admin", "reader", "other"]}, {OWNER, VIEWER}),
        ("roles", {"roles": "admin"}, {OWNER}),
        ("roles", {"roles": "not admin"}, set()),
        ("roles", {"roles": [["admin"], 1, None, "reader"]}, {VIEWER}),
        ("roles", {"roles": 7}, set()),
        ("roles", {}, set()),
        ("roles", {"Roles": "admin"}, set()),
        ("scope", {"scope": "openid reader"}, {VIEWER}),
        ("realm_access.roles", {"realm_access": {"roles": ["admin"]}}, {OWNER}),
        ("realm_access.roles", {"realm_access.roles": ["reader"]}, {VIEWER}),
        ("realm_access.roles", {"realm_access": "roles"}, set()),
        (["a", "b.c"], {"a": {"b.c": "admin"}}, {OWNER}),
        (ROLES, ZITADEL, {OWNER}),
        ("https://a.example/roles", {"https://a.example/roles": ["admin"]}, {OWNER}),
    ],
)
def test_claims_are_mapped_to_roles(claim, value, roles):
    """
    Each issuer has its own way to express permissions.
    """
    assert roles == granted_roles(issuer(roles_claim=claim), value)


def test_every_token_of_an_issuer_has_its_default_roles():
    """
    A cluster's own issuer knows no roles at all.
    """
    found = issuer(default_roles="EVENT_PUBLISHER")

    assert {Role.EVENT_PUBLISHER} == granted_roles(found, claims())
    assert {Role.EVENT_PUBLISHER, OWNER} == granted_roles(found, claims(roles=["admin"]))


def test_two_subjects_are_two_accounts():
    """
    Also two of one name in two issuers, and one who calls himself like another's issuer.
    """
    accounts = {
        external_account(issuer(issuer=url), claims(sub=sub))
        for url in ("https://id.example", "https://id.example/a")
        for sub in ("ada", "a#ada", "#ada")
    }

    assert 6 == len(accounts)
    assert "https://id.example#ada" in accounts


@given(st.dictionaries(st.sampled_from([*claims(), "nbf", "roles", "cnf"]), ANYTHING))
def test_whatever_it_claims_it_is_checked(changes):
    """
    A valid signature proves nothing about the claims.
    """
    written = {**claims(), **changes}
    with suppress(ValueError):
        check_external_claims(written, issuer(), NOW)
        external_account(issuer(), written)
    granted_roles(issuer(), written)
