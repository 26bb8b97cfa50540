"""Every way to write an address, at save time and at the guard: neither is fooled, both agree."""

from __future__ import annotations

import json
from ipaddress import ip_address
from pathlib import Path

import pytest

from adapters.http.names import Names
from outrider.adapters.http.connect.address_guard import AddressGuard
from outrider.adapters.http.connect.limits import ClientLimits
from outrider.domain.calls.request import RequestError, Stage
from outrider.domain.net.egress_policy import (
    EgressPolicy,
    EgressProfile,
    check_endpoint,
    parse_allow,
)
from outrider.domain.net.endpoint import parse_endpoint
from outrider.domain.outcome import Outcome

VECTORS = json.loads(
    Path(__file__).parents[4].joinpath("vectors", "addresses.json").read_text(encoding="utf-8")
)
SPELLINGS, REBINDING = VECTORS["spellings"], VECTORS["rebinding"]
ALLOW = EgressPolicy(allow=parse_allow(VECTORS["spellings_allow"]))
WIDTH = {profile.value: width for width, profile in enumerate(EgressProfile)}
POLICIES = [pytest.param(EgressPolicy(profile), id=profile) for profile in EgressProfile]
POLICIES.append(pytest.param(ALLOW, id="allow"))
EVERY_TIME = ClientLimits(resolved=0.0)


def is_callable(case, policy: EgressPolicy) -> bool:
    """What the vectors say."""
    if policy is ALLOW:
        return case["allowed"]
    narrowest = case["narrowest"]
    return narrowest in WIDTH and WIDTH[narrowest] <= WIDTH[policy.profile.value]


def plain(case) -> str:
    """The second address, without its IPv4-mapped form."""
    then = ip_address(case["then"])
    return str(getattr(then, "ipv4_mapped", None) or then)


async def leads_to(guard: AddressGuard, url: str) -> str | None:
    """The one address a connection may go to; None: it is blocked."""
    try:
        (address,) = await guard.addresses(parse_endpoint(url))
    except RequestError as failed:
        blocked = (failed.outcome, failed.stage) == (Outcome.BLOCKED, Stage.GUARD)
        return None if blocked else failed.reason
    return str(address)


def test_the_corpus_is_whole():
    """
    A hundred of every kind, all different; half of a corpus is a hole in a fence.
    """
    counts = {kind: len({case["url"] for case in cases}) for kind, cases in SPELLINGS.items()}

    assert {
        "decimal",
        "octal",
        "hexadecimal",
        "short",
        "mapped",
        "nat64",
        "6to4",
        "trailing dot",
        "idn",
        "user information",
        "port",
    } == counts.keys()
    assert min(counts.values()) >= 100
    assert len({(case["first"], case["then"]) for case in REBINDING}) >= 100


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("kind", SPELLINGS)
def test_a_spelling_is_refused_when_it_is_saved(kind, policy):
    """
    What can never be called must not wait for the first event to say so.
    """
    wrong = [
        case["url"]
        for case in SPELLINGS[kind]
        if is_callable(case, policy) != (check_endpoint(policy, case["url"]) is None)
    ]

    assert [] == wrong


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("kind", SPELLINGS)
async def test_a_spelling_is_checked_as_the_address_it_leads_to(kind, policy):
    """
    The guard sees the address itself, and asks no resolver: a literal is never looked up.
    """
    names = Names()
    guard = AddressGuard(policy, names, EVERY_TIME)
    cases = [case for case in SPELLINGS[kind] if "leads_to" in case]
    expected = {
        case["url"]: str(ip_address(case["leads_to"])) if is_callable(case, policy) else None
        for case in cases
    }

    assert expected == {case["url"]: await leads_to(guard, case["url"]) for case in cases}
    assert [] == names.lookups


def test_a_url_that_is_none_is_none_for_the_call_too():
    """
    One reader for both: what is refused at save time cannot come in with a redirect.
    """
    invalid = [case for cases in SPELLINGS.values() for case in cases if "leads_to" not in case]

    assert len(invalid) >= 300
    for case in invalid:
        with pytest.raises(ValueError, match=r"^the URL"):
            parse_endpoint(case["url"])


@pytest.mark.parametrize("policy", POLICIES)
async def test_a_name_that_changes_its_address_is_checked_by_the_one_it_has(policy):
    """
    Rebinding: whatever a name was when it was checked, a connection goes to what was checked for it.
    """
    expected, led = [], []
    for case in REBINDING:
        names = Names(hooks_example=[case["first"], case["then"]])
        guard = AddressGuard(policy, names, EVERY_TIME)
        led.append([await leads_to(guard, "http://hooks.example/") for _ in range(2)])
        expected.append([case["first"], plain(case) if is_callable(case, policy) else None])
        assert 2 == len(names.lookups)

    assert expected == led


@pytest.mark.parametrize("policy", POLICIES)
async def test_a_name_with_both_addresses_leads_to_the_allowed_one_only(policy):
    """
    The other half of rebinding: both addresses together, in either order.
    """
    for case in REBINDING:
        for answer in (f"{case['first']} {case['then']}", f"{case['then']} {case['first']}"):
            guard = AddressGuard(policy, Names(hooks_example=answer), EVERY_TIME)
            found = await guard.addresses(parse_endpoint("http://hooks.example/"))

            allowed = {plain(case)} if is_callable(case, policy) else set()
            assert {case["first"], *allowed} == {str(address) for address in found}
