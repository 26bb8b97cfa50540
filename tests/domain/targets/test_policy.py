"""What policies say, what they may not say, and how they are redacted."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.net.proxy import parse_proxy, redacted_proxy_url
from outrider.domain.outcome import Outcome
from outrider.domain.targets.policy import (
    DEFAULT_POLICY,
    Breaker,
    OnDead,
    OnUnreachable,
    Ordering,
    RetryPolicy,
    TargetPolicy,
    TlsPolicy,
    retry_schedule,
)
from outrider.domain.targets.policy_validation import (
    check_policy,
    check_tls,
    redacted_policy,
    with_kept_secrets,
)
from outrider.domain.targets.retry_schedule import RetrySchedule
from outrider.errors import InvalidRequest

SECOND = timedelta(seconds=1)
SECRET = "hidden"
FULL = TargetPolicy(
    headers=(("X-Api-Key", SECRET), ("authorization", f"Bearer {SECRET}")),
    tls=TlsPolicy(client_cert_pem="certificate", client_key_pem=SECRET),
    proxy_url=f"http://user:{SECRET}@proxy.example:3128",
)


def refusal(check, *arguments) -> str:
    with pytest.raises(InvalidRequest) as refused:
        check(*arguments)
    return str(refused.value)


# Retries


def test_no_policy_is_the_default_schedule():
    """
    A target without a policy gets what Standard Webhooks recommends.
    """
    assert RetrySchedule() == retry_schedule(DEFAULT_POLICY)


def test_every_part_of_a_schedule_can_be_set():
    """
    Each field of the policy becomes the field of that name.
    """
    retry = RetryPolicy(
        waits=(SECOND, 2 * SECOND),
        jitter=0.0,
        max_age=9 * SECOND,
        final_statuses=frozenset({404}),
        honor_retry_after=False,
    )

    assert RetrySchedule(
        waits=(SECOND, 2 * SECOND),
        jitter=0.0,
        final_statuses=frozenset({404}),
        max_age=9 * SECOND,
        honor_retry_after=False,
    ) == retry_schedule(TargetPolicy(retry=retry))


def test_nothing_is_tried_again_beyond_the_greatest_age():
    """
    News of yesterday may be worse than none. The bound itself is inside.
    """
    schedule = RetrySchedule(waits=(SECOND,), jitter=0.0, max_age=10 * SECOND)
    failed = (1, Outcome.FAILED, 500, 0.5)

    assert SECOND == schedule.wait_after(*failed, age=9 * SECOND)
    assert None is schedule.wait_after(*failed, age=9 * SECOND + timedelta(microseconds=1))
    assert None is schedule.wait_after(*failed, timedelta(hours=1), age=timedelta(minutes=1))
    assert None is schedule.wait_after(1, Outcome.LOST, 0, 0.5, age=11 * SECOND)


def test_what_a_receiver_asks_for_may_be_ignored():
    """
    Some send Retry-After with every failure, whatever it means.
    """
    asks = (1, Outcome.OVERLOADED, 503, 0.0, timedelta(minutes=5))
    waits = (SECOND, timedelta(hours=1))

    assert timedelta(minutes=5) == RetrySchedule(waits).wait_after(*asks)
    assert SECOND == RetrySchedule(waits, honor_retry_after=False).wait_after(*asks)


# What follows from a policy


def test_order_is_kept_only_where_it_is_asked_for():
    """
    Halting without order would make a delivery wait for nothing.
    """
    ordered = TargetPolicy(ordering=Ordering.BY_AGGREGATE, on_dead=OnDead.HALT)

    assert (True, True) == (ordered.is_ordered, ordered.halts_on_dead)
    assert (False, False) == (DEFAULT_POLICY.is_ordered, DEFAULT_POLICY.halts_on_dead)
    assert not TargetPolicy(on_dead=OnDead.HALT).halts_on_dead
    assert not TargetPolicy(ordering=Ordering.BY_AGGREGATE).halts_on_dead


@pytest.mark.parametrize("flag", [True, False])
def test_an_unreachable_target_follows_the_policy_then_its_own_flag(flag):
    """
    The target's own flag is about responses that are errors.
    """
    assert flag is DEFAULT_POLICY.may_interrupt(flag)
    assert TargetPolicy(on_unreachable=OnUnreachable.INTERRUPT).may_interrupt(flag)
    assert not TargetPolicy(on_unreachable=OnUnreachable.CONTINUE).may_interrupt(flag)


# Headers


@pytest.mark.parametrize(
    "header",
    [
        ("Authorization", "Bearer a b"),
        ("x-api-key", "~"),
        ("User-Agent", "us/1 (and, a; comment)"),
        ("Accept", "*/*"),
        ("!#$%&'*+.^_`|~-09", '"quoted \\" text"'),
    ],
    ids=str,
)
def test_headers_that_can_be_given(header):
    """
    Gateways ask for the strangest names.
    """
    check_policy(TargetPolicy(headers=(header,)))


@pytest.mark.parametrize(
    "name",
    [
        "Host",
        "content-length",
        "Transfer-Encoding",
        "CONNECTION",
        "Keep-Alive",
        "Upgrade",
        "TE",
        "Trailer",
        "Expect",
        "Content-Type",
        "Content-Encoding",
        "Proxy-Authorization",
        "proxy-connection",
        "webhook-id",
        "Webhook-Signature",
        "ZITADEL-Signature",
        "x-zitadel-signature",
        "Outrider-Delivery",
        "traceparent",
        "TraceState",
    ],
)
def test_headers_that_are_ours_are_refused(name):
    """
    A second one would change where the request ends, or contradict the signature.
    """
    expected = (
        f"invalid TargetPolicy.Headers[{name}]: outrider or HTTP sets this header: leave it out"
    )

    assert expected == refusal(check_policy, TargetPolicy(headers=((name, "1"),)))


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\nb", "\u00fc", "a\0", "(a)", "a\t"])
def test_a_name_that_is_none_is_refused_and_not_repeated(name):
    """
    It may be a secret in the wrong place, or a line end on its way into a log.
    """
    expected = (
        "invalid TargetPolicy.Headers: a name must be a token of RFC 9110: letters, digits and -"
    )

    assert expected == refusal(check_policy, TargetPolicy(headers=((name, "1"),)))


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\n", "\0", " a", "a ", "a\tb", "\u00fc", "\x7f"])
def test_a_value_that_cannot_travel_is_refused_and_not_repeated(value):
    """
    One with a line end would be another header.
    """
    text = refusal(check_policy, TargetPolicy(headers=(("X-Key", value),)))

    assert "invalid TargetPolicy.Headers[X-Key]: value must be visible ASCII" in text
    assert value.strip() == "" or value not in text


def test_one_name_in_two_cases_is_refused():
    """
    Which of the two counts is up to each receiver.
    """
    twice = TargetPolicy(headers=(("X-Key", "1"), ("x-key", "2")))

    assert "[x-key]: the same name is there twice: give it once" in refusal(check_policy, twice)


# The rest of what may not be said


def test_a_breaker_that_opens_must_be_open_for_a_while():
    """
    Else there is none, and no operator sees why.
    """
    check_policy(TargetPolicy(breaker=Breaker(0, timedelta(0))))
    text = refusal(check_policy, TargetPolicy(breaker=Breaker(1, timedelta(0))))

    assert "invalid BreakerPolicy.OpenFor: value must be greater than 0s" == text


def test_certificates_and_keys_come_together():
    """
    One alone says nothing about who we are.
    """
    lonely = TargetPolicy(tls=TlsPolicy(client_key_pem="key"))
    other = TargetPolicy(tls=TlsPolicy(client_cert_pem="another certificate"))

    assert "given together" in refusal(check_policy, lonely)
    assert "given together" in refusal(with_kept_secrets, other, FULL)


def test_what_a_tls_context_cannot_be_made_of_is_refused():
    """
    Else every delivery finds out. A policy without certificates is not checked.
    """

    def check(tls: TlsPolicy) -> None:
        raise ValueError(f"no TLS with {tls.ca_pem}")

    check_tls(DEFAULT_POLICY, check)
    text = refusal(check_tls, TargetPolicy(tls=TlsPolicy(ca_pem="it")), check)

    assert "invalid TargetPolicy.Tls: no TLS with it" == text


@pytest.mark.parametrize(
    "url",
    [
        "proxy.example:3128",
        "socks5://proxy.example",
        "http://",
        "http://user:hidden@",
        "http://proxy.example/path",
        "http://proxy.example?query",
        "http://proxy.example#",
        "http://pro xy.example",
        "http://proxy.example:0",
        "http://a@b@proxy.example",
        "http://hidden%0a:b@proxy.example",
        "http://hidden%3a:b@proxy.example",
    ],
)
def test_a_proxy_that_is_none_is_refused_and_not_repeated(url):
    """
    A call must never go around a proxy because its URL was not understood.
    """
    text = refusal(check_policy, TargetPolicy(proxy_url=url))

    assert text.startswith("invalid TargetPolicy.ProxyUrl: the URL")
    assert SECRET not in text


def test_a_proxy_is_read():
    """
    Who we are to it is percent-encoded in the URL, and not in the header.
    """
    proxy = parse_proxy("https://us%20er:p%40ss%3A%2F@[::1]:8443/")
    bare = parse_proxy("http://proxy.example")

    assert ("https", "::1", 8443) == (
        proxy.endpoint.scheme,
        proxy.endpoint.host,
        proxy.endpoint.port,
    )
    assert ("us er", "p@ss:/") == (proxy.user, proxy.password)
    assert (80, None, "") == (bare.endpoint.port, bare.user, bare.password)
    assert "p@ss" not in repr(proxy)


@pytest.mark.parametrize(
    ("url", "redacted"),
    [
        ("", ""),
        ("http://proxy.example", "http://proxy.example"),
        ("http://user@proxy.example", "http://user@proxy.example"),
        ("http://user:@proxy.example", "http://user:@proxy.example"),
        ("http://user:hidden@proxy.example:1/", "http://user:***@proxy.example:1/"),
        ("http://:hidden@proxy.example", "http://:***@proxy.example"),
    ],
)
def test_a_proxys_password_is_redacted(url, redacted):
    """
    The rest stays: it tells where calls go.
    """
    assert redacted == redacted_proxy_url(url)


# What is redacted, and what is kept


def test_nothing_secret_is_shown():
    """
    Neither to a reader of the policy, nor in a repr.
    """
    redacted = redacted_policy(FULL)

    assert (("X-Api-Key", ""), ("authorization", "")) == redacted.headers
    assert "http://user:***@proxy.example:3128" == redacted.proxy_url
    assert TlsPolicy(client_cert_pem="certificate") == redacted.tls
    assert SECRET not in repr(FULL)
    assert SECRET not in f"{redacted.headers}{redacted.proxy_url}{redacted.tls.client_key_pem}"


TEXTS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=5)
WORDS = st.text("abcXYZ-", min_size=1, max_size=5)
POLICIES = st.builds(
    TargetPolicy,
    max_concurrency=st.integers(0, 9),
    headers=st.dictionaries(WORDS.map(str.lower), TEXTS, max_size=4).map(
        lambda headers: tuple(sorted(headers.items()))
    ),
    tls=st.one_of(
        st.just(TlsPolicy()), st.builds(TlsPolicy, client_cert_pem=TEXTS, client_key_pem=TEXTS)
    ),
    proxy_url=st.one_of(st.just(""), st.builds("http://{}:{}@proxy.example".format, WORDS, WORDS)),
)


@given(policy=POLICIES)
def test_a_redacted_policy_can_be_set_again(policy):
    """
    A change of one number must not lose a secret that its author cannot read.
    """
    assert policy == with_kept_secrets(redacted_policy(policy), policy)


@given(policy=POLICIES, stored=POLICIES)
def test_secrets_that_are_given_replace_the_stored_ones(policy, stored):
    """
    Whatever was there before: setting replaces.
    """
    assert policy == with_kept_secrets(policy, stored)


def test_a_kept_value_follows_the_name_in_any_case():
    """
    Names of headers have no case.
    """
    policy = TargetPolicy(headers=(("AUTHORIZATION", ""), ("X-Other", "new")))

    assert (("AUTHORIZATION", f"Bearer {SECRET}"), ("X-Other", "new")) == with_kept_secrets(
        policy, FULL
    ).headers


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        (
            TargetPolicy(headers=(("X-New", ""),)),
            "invalid TargetPolicy.Headers[X-New]: value is required",
        ),
        (
            TargetPolicy(proxy_url="http://user:***@other.example:3128"),
            "invalid TargetPolicy.ProxyUrl: the password is redacted, and there is none to keep: give it",
        ),
    ],
)
def test_a_missing_secret_cannot_be_kept(policy, text):
    """
    A password goes to the proxy that it was given for, and to no other.
    """
    assert text == refusal(with_kept_secrets, policy, FULL)
