"""What the result of a function does to claims, attributes and metadata."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.interception.function_result import (
    Metadata,
    SamlAttribute,
    added_attributes,
    added_claims,
    log_claim,
    metadata_to_set,
)

LOG = "urn:zitadel:iam:action:function/preuserinfo:log"
SAML_LOG = "urn:zitadel:iam:action:function/presamlresponse:log"


def claims(*pairs: tuple[str, object]) -> dict:
    return {"append_claims": [{"key": name, "value": value} for name, value in pairs]}


def test_the_log_claim_is_named_after_the_function():
    """
    ZITADEL's integrations look for it under this name.
    """
    assert LOG == log_claim("preuserinfo")
    assert "urn:zitadel:iam:action:function/preaccesstoken:log" == log_claim("preaccesstoken")


def test_claims_are_added_with_any_value():
    """
    In the order of the answer; nothing is logged when nothing went wrong.
    """
    answer = claims(("b", {"c": [1]}), ("a", None), ("d", 1.5))
    added = added_claims("preuserinfo", {"sub": "1"}, answer)

    assert [("b", {"c": [1]}), ("a", None), ("d", 1.5)] == list(added.items())


def test_reserved_claims_are_left_out_in_silence():
    """
    No target may pretend to be the system; it gets no error for trying.
    """
    answer = claims(("urn:zitadel:iam:org:id", "1"), ("urn:zitadel:iam", 1), ("urn:zitadel", 2))

    assert {"urn:zitadel": 2} == added_claims("preuserinfo", {}, answer)


def test_a_claim_that_exists_is_not_overwritten():
    """
    Neither one of the token's own nor one of the same answer.
    """
    existing = {"email": "a@example.com"}
    answer = claims(("email", "b@example.com"), ("a", 1), ("a", 2))
    added = added_claims("preuserinfo", existing, answer)

    assert {"a": 1, LOG: ['key "email" already exists', 'key "a" already exists']} == added
    assert {"email": "a@example.com"} == existing


def test_the_log_is_in_the_order_in_which_things_happen():
    """
    Metadata first, then claims, then what the target wants to be logged.
    """
    answer = {**claims(("sub", 2)), "append_log_claims": ["from the target", "again"]}
    added = added_claims("preuserinfo", {"sub": "1"}, answer, ["m", "n"])

    assert [
        'failed to set user metadata key "m"',
        'failed to set user metadata key "n"',
        'key "sub" already exists',
        "from the target",
        "again",
    ] == added[LOG]
    assert [LOG] == list(added)


def test_the_log_alone():
    """
    A target may log without adding anything.
    """
    assert {LOG: ["a"]} == added_claims("preuserinfo", {}, {"append_log_claims": ["a"]})
    assert {} == added_claims("preuserinfo", {}, {"append_log_claims": []})
    assert {} == added_claims("preuserinfo", {}, {})


def test_attributes_are_appended_even_twice():
    """
    SAML allows several of a name; nothing is looked up.
    """
    one = {"name": "n", "name_format": "f", "value": ["a", "b"]}
    expected = SamlAttribute("n", "f", ("a", "b"))

    assert [expected, expected] == added_attributes(
        "presamlresponse", {"append_attribute": [one, one]}
    )


def test_metadata_that_failed_is_an_attribute():
    """
    An assertion has no claims: its log is an attribute, with the texts of claims.
    """
    assert [SamlAttribute(SAML_LOG, "", ('failed to set user metadata key "m"',))] == list(
        added_attributes("presamlresponse", {}, ["m"])
    )


def test_metadata_is_decoded():
    """
    In order, the same name twice where it was answered twice.
    """
    answer = {"set_user_metadata": [{"key": "a", "value": "AP8="}, {"key": "a", "value": ""}]}

    assert [Metadata("a", b"\x00\xff"), Metadata("a", b"")] == metadata_to_set(answer)
    assert [] == metadata_to_set({})


@pytest.mark.parametrize(
    "answer",
    [
        {"append_claims": "text", "append_attribute": 5},
        {"append_claims": [1]},
        {"append_claims": None},
    ],
)
def test_a_function_of_the_application_adds_no_claims(answer):
    """
    What its targets answer was never checked: these names may mean anything there.
    """
    assert {} == added_claims("quote.price", {}, answer)
    assert [] == added_attributes("quote.price", answer)
    assert [] == added_attributes("preuserinfo", answer)
    assert {} == added_claims("presamlresponse", {}, answer)


@given(
    st.dictionaries(st.text(max_size=3), st.integers()),
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "urn:zitadel:iam:x"]) | st.text(max_size=3), st.integers()
        )
    ),
)
def test_nothing_that_exists_is_touched(existing, pairs):
    """
    Whatever is answered: added claims are new, and none is reserved but the log.
    """
    added = added_claims("preuserinfo", existing, claims(*pairs))
    added.pop(LOG, None)

    assert not added.keys() & existing.keys()
    assert not [name for name in added if name.startswith("urn:zitadel:iam")]
