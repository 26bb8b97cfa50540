"""Host names: one spelling for each, for every caller."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.access.instance import host_of, normal_host, normal_hosts

LABEL = st.from_regex(r"[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,8}[a-zA-Z0-9_])?", fullmatch=True)
NAMES = (
    st.lists(LABEL, min_size=1, max_size=4)
    .map(".".join)
    .filter(lambda name: not name.split(".")[-1].isdecimal())
)
ADDRESSES = st.ip_addresses()


@pytest.mark.parametrize(
    ("given_", "normal"),
    [
        ("shop.example", "shop.example"),
        ("Shop.EXAMPLE.", "shop.example"),
        ("localhost", "localhost"),
        ("my_host-1.x", "my_host-1.x"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("2001:DB8:0::0001", "2001:db8::1"),
        (f"{'a' * 63}.example", f"{'a' * 63}.example"),
    ],
)
def test_a_host_has_one_spelling(given_, normal):
    """
    Two spellings of one host would be two instances'.
    """
    assert normal == normal_host(given_)


@pytest.mark.parametrize(
    "odd",
    [
        "", ".", "a..b", ".a", "a.b..", "-a.b", "a-.b", "a b", "a:80", "[::1]:80", "[a.b]", "[]",
        "[127.0.0.1]", "::1%eth0", "1.2.3", "1.2.3.4.5", "256.1.1.1", "127.0.0.01", "a.1",
        "*.example", "http://a", "a/b", "bücher.example", "\u212aelvin.example", "a\n", "a\0",
        "a" * 64, ".".join(["a" * 50] * 6), "1:2:3", "user@a",
    ],
)  # fmt: skip
def test_what_is_no_host_is_refused(odd):
    """
    No request would ever match it.
    """
    with pytest.raises(ValueError, match=r"."):
        normal_host(odd)
    assert "" == host_of(odd) or odd in {"a:80", "[::1]:80"}


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        ("Shop.example", "shop.example"),
        ("shop.example:8080", "shop.example"),
        ("shop.example.:8080", "shop.example"),
        ("shop.example:", "shop.example"),
        ("[::1]:8080", "::1"),
        ("[::1]", "::1"),
        ("[0::1]:", "::1"),
        ("127.0.0.1:1", "127.0.0.1"),
        ("shop.example:x", ""),
        ("a:b:1", ""),
        (":80", ""),
        ("user@shop.example", ""),
    ],
)
def test_the_port_is_no_part_of_the_host(authority, host):
    """
    One instance behind several ports is one.
    """
    assert host == host_of(authority)


def test_a_host_that_is_given_twice_is_one():
    """
    In any spelling.
    """
    assert ("b.example", "a.example") == normal_hosts(["B.example", "a.example.", "b.example."])


@given(NAMES | ADDRESSES.map(str), st.integers(0, 65535))
def test_what_is_normal_is_found_with_any_port(name, port):
    """
    The header says it as the client does.
    """
    host = normal_host(name)
    written = f"[{name}]" if ":" in name else name

    assert host == normal_host(host)
    assert host == host_of(f"{written}:{port}") == host_of(written.upper())


@given(st.text(max_size=80))
def test_every_header_can_be_read(text):
    """
    A stranger writes it, and it is read before authentication.
    """
    host = host_of(text)

    assert not host or host == normal_host(host)
