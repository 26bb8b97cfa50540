"""Where calls may go: the vectors, and properties that hold for every address there is."""

from __future__ import annotations

import json
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from outrider.domain.net.egress_policy import (
    EgressPolicy,
    EgressProfile,
    check_address,
    check_endpoint,
    check_host,
    literal_address,
    parse_allow,
)
from outrider.domain.net.endpoint import Endpoint, parse_endpoint

VECTORS = json.loads(
    Path(__file__).parents[3].joinpath("vectors", "addresses.json").read_text(encoding="utf-8")
)
PROFILES = list(EgressProfile)
ADDRESSES = st.ip_addresses()
POLICIES = st.sampled_from([EgressPolicy(profile) for profile in PROFILES])
# Numbers as people and attackers write them: decimal, octal, hexadecimal, at the edges.
NUMBERS = (
    st.integers(0, 2**33) | st.sampled_from([0, 127, 255, 256, 65535, 65536, 2**24, 2**32 - 1])
).flatmap(lambda number: st.sampled_from([str(number), f"0{number:o}", f"0x{number:x}"]))


def cases(section: str, label: str):
    return [pytest.param(case, id=case[label]) for case in VECTORS[section]]


def allows(profile: EgressProfile, address) -> bool:
    return check_address(EgressPolicy(profile), address).allowed


@pytest.mark.parametrize("case", cases("addresses", "name"))
def test_an_address_is_allowed_from_its_narrowest_profile_on(case):
    """
    One wrong range opens a network to attackers.
    """
    address = ip_address(case["address"])
    allowed_by = [profile.value for profile in PROFILES if allows(profile, address)]

    expected = {"strict": 3, "cluster": 2, "dev": 1, "never": 0}[case["narrowest"]]
    assert [profile.value for profile in PROFILES[3 - expected :]] == allowed_by


@pytest.mark.parametrize("case", cases("addresses", "name"))
def test_an_explicit_entry_allows_any_address(case):
    """
    There is no address that an operator cannot allow if he names it, and what it carries.
    """
    everything = EgressPolicy(allow=parse_allow("0.0.0.0/0, ::/0"))

    assert check_address(everything, ip_address(case["address"])).allowed


@pytest.mark.parametrize("case", cases("literals", "host"))
def test_a_host_is_read_as_getaddrinfo_reads_it(case):
    """
    What the resolver takes for an address must not pass as a name.
    """
    expected = case["address"] and ip_address(case["address"])

    assert expected == literal_address(case["host"])


@pytest.mark.parametrize("case", cases("endpoints", "name"))
def test_an_endpoint_is_refused_when_it_can_never_be_called(case):
    """
    What could never be delivered is refused when it is saved, not at the first event.
    """
    policy = EgressPolicy(allow=parse_allow(case.get("allow", "")))
    reason = check_endpoint(policy, case["url"])

    assert case["callable"] == (reason is None), reason


@pytest.mark.parametrize("case", cases("allow", "text"))
def test_an_allow_list_is_networks_addresses_and_names(case):
    """
    Operators write it by hand, so small freedoms are understood.
    """
    assert case["entries"] == [str(entry) for entry in parse_allow(case["text"])]


@pytest.mark.parametrize("entry", VECTORS["not_allow"])
def test_an_entry_that_allows_nothing_is_refused_by_name(entry):
    """
    An entry that silently matches nothing is found out in production.
    """
    with pytest.raises(ValueError, match=r"'.*'") as refused:
        parse_allow(f"10.0.0.0/8, {entry}, hooks.internal")

    assert repr(entry) in str(refused.value)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        (
            "10.0.0.7",
            "10.0.0.7 is private; allow it with OUTRIDER_EGRESS_ALLOW or the profile cluster",
        ),
        (
            "127.0.0.1",
            "127.0.0.1 is loopback; allow it with OUTRIDER_EGRESS_ALLOW or the profile dev",
        ),
        (
            "169.254.169.254",
            "169.254.169.254 is a cloud metadata address; allow it with OUTRIDER_EGRESS_ALLOW",
        ),
        (
            "64:ff9b::a00:7",
            (
                "64:ff9b::a00:7 leads to 10.0.0.7, which is private; "
                "allow it with OUTRIDER_EGRESS_ALLOW or the profile cluster"
            ),
        ),
    ],
)
def test_the_reason_says_what_to_do(address, reason):
    """
    The sentence is all that an operator sees of a blocked delivery.
    """
    assert reason == check_address(EgressPolicy(), ip_address(address)).reason


def test_a_carried_address_is_checked_even_when_its_form_is_allowed():
    """
    Allowing a translation prefix must not open every private address behind it.
    """
    policy = EgressPolicy(allow=parse_allow("64:ff9b:1::/48"))

    assert check_address(policy, ip_address("64:ff9b:1::808:808")).allowed
    assert not check_address(policy, ip_address("64:ff9b:1::a00:7")).allowed


@pytest.mark.parametrize(
    ("layout", "allowed_form", "private_form"),
    [
        ("/48", "64:ff9b:1:808:8:800::", "64:ff9b:1:a00:0:700::"),
        ("/56", "64:ff9b:1:8:8:808::", "64:ff9b:1:a:0:7::"),
        ("/64", "64:ff9b:1:0:8:808:800:0", "64:ff9b:1:0:a:0:700:0"),
        ("/96", "64:ff9b:1::808:808", "64:ff9b:1::a00:7"),
    ],
)
def test_every_layout_of_a_networks_own_nat64_is_read(layout, allowed_form, private_form):
    """
    RFC 6052 hides the same address in four places, and only the network knows in which.
    """
    policy = EgressPolicy(allow=parse_allow("64:ff9b:1::/48"))

    assert check_address(policy, ip_address(allowed_form)).allowed, layout
    assert not check_address(policy, ip_address(private_form)).allowed, layout


@pytest.mark.parametrize(
    ("allow", "host", "expected"),
    [
        ("hooks.internal", "hooks.internal", True),
        ("hooks.internal", "HOOKS.internal.", True),
        ("hooks.internal", "a.hooks.internal", False),
        ("hooks.internal", "internal", False),
        ("b\u00fccher.example", "xn--bcher-kva.example", True),
        ("10.0.0.0/8", "10.0.0.0/8", False),
        ("hooks.internal", "hooks..internal", False),
        ("", "", False),
    ],
)
def test_a_host_is_allowed_by_its_own_name_only(allow, host, expected):
    """
    An allowed name is trusted wherever it leads, so nothing else may pass for it.
    """
    assert expected == check_host(EgressPolicy(allow=parse_allow(allow)), host)


@given(st.ip_addresses(v=4), POLICIES)
@example(IPv4Address("169.254.169.254"), EgressPolicy(EgressProfile.DEV))
def test_a_mapped_address_is_checked_as_what_it_is(address, policy):
    """
    A connection to the mapped form goes to the IPv4 address.
    """
    mapped = IPv6Address(f"::ffff:{address}")

    assert check_address(policy, address) == check_address(policy, mapped)


@given(st.ip_addresses(v=4), POLICIES)
@example(IPv4Address("0.0.0.0"), EgressPolicy(EgressProfile.DEV))
def test_no_form_opens_an_address_that_is_closed(address, policy):
    """
    Wrapping an address is the oldest way around a guard.
    """
    number = int(address)
    forms = [
        IPv6Address(number),
        IPv6Address((0x64FF9B << 96) | number),
        IPv6Address((0x64FF9B0001 << 80) | number),
        IPv6Address((0x2002 << 112) | (number << 80)),
        IPv6Address((0x20010000 << 96) | (number << 64)),
        IPv6Address((0x20010000 << 96) | (0x08080808 << 64) | (number ^ 0xFFFFFFFF)),
    ]
    if not check_address(policy, address).allowed:
        allowed = {str(form) for form in forms if check_address(policy, form).allowed}
        assert allowed <= {"::1"}  # which is a separate address, and not a form of 0.0.0.1


@given(ADDRESSES)
def test_a_wider_profile_allows_all_that_a_narrower_one_allows(address):
    """
    Going from strict to cluster to dev must never block an address.
    """
    decisions = [allows(profile, address) for profile in PROFILES]

    assert sorted(decisions) == decisions


@given(ADDRESSES, POLICIES)
def test_a_denial_always_has_a_reason(address, policy):
    """
    A delivery that is blocked without a word cannot be repaired.
    """
    decision = check_address(policy, address)

    assert decision.allowed == (decision.reason is None)
    assert decision.allowed or "OUTRIDER_EGRESS_ALLOW" in decision.reason


@given(st.lists(NUMBERS, min_size=1, max_size=5).map(".".join))
def test_numbers_are_read_as_the_system_reads_them(host):
    """
    The system's own reader decides what is an address.
    """
    try:
        expected = IPv4Address(socket.inet_aton(host))
    except OSError:
        expected = None

    assert expected == literal_address(host)


@given(st.text() | st.from_regex(r"https?://[^/]{0,20}(/.{0,10})?", fullmatch=True))
@example("https://[::1%]/")
@example("https://\u2024/")
def test_any_text_is_an_endpoint_or_a_sentence(url):
    """
    The author of a URL cannot choose which exception we raise.
    """
    reason = check_endpoint(EgressPolicy(EgressProfile.DEV), url)

    assert reason is None or 0 < len(reason) < 200


@given(st.text())
def test_any_text_is_an_allow_list_or_a_value_error(text):
    """
    A setting that cannot be read must stop the start with one kind of error.
    """
    try:
        entries = parse_allow(text)
    except ValueError:
        return
    assert len(entries) <= text.count(",") + 1


@given(st.text(max_size=40))
def test_a_request_target_is_visible_ascii_whatever_the_path(path):
    """
    A character that ends the request line would let a URL write headers.
    """
    try:
        endpoint = parse_endpoint(f"https://hooks.example.com/{path}")
    except ValueError:
        return
    assert all("!" <= sign <= "~" for sign in endpoint.target)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "HTTPS://B\u00fccher.Example.:443/\u00e4 b?c=%41\u20ac",
            Endpoint(
                "https", "xn--bcher-kva.example", 443, "/%C3%A4%20b?c=%41%E2%82%AC", rooted=True
            ),
        ),
        ("http://0x7f.1:8080?a", Endpoint("http", "127.0.0.1", 8080, "/?a")),
        ("https://[2606:4700::0:1]", Endpoint("https", "2606:4700::1", 443, "/")),
    ],
)
def test_an_endpoint_is_read_into_its_canonical_parts(url, expected):
    """
    One reader for the check and for the call: they cannot disagree about where a URL leads.
    """
    assert expected == parse_endpoint(url)


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("http://Hooks.example:80/", "hooks.example"),
        ("http://hooks.example:443/", "hooks.example:443"),
        ("https://hooks.example:443/", "hooks.example"),
        ("https://[2606:4700::1]:8443/", "[2606:4700::1]:8443"),
    ],
)
def test_the_authority_names_the_port_only_where_it_is_unusual(url, authority):
    """
    Virtual hosts compare the Host header as text.
    """
    assert authority == parse_endpoint(url).authority


def test_a_reason_repeats_nothing_of_the_url():
    """
    People put secrets into URLs, and reasons go into logs.
    """
    reason = check_endpoint(EgressPolicy(), "https://user:hunter2@hooks.example/?token=hunter2")

    assert reason == "the URL contains user information"
