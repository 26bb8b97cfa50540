"""Sources of the relay as operators write them down."""

from __future__ import annotations

import json

import pytest

from outrider.domain.events.relay_source import RelaySource, parse_relay_sources

KEY = "98KmsU67ABCdef0123456789ghijklMNOPQR"
GOOD = {"name": "zitadel", "signing_keys": [KEY]}


def parsed(*entries: object) -> tuple[RelaySource, ...]:
    return parse_relay_sources(json.dumps(entries))


def test_a_source_with_everything():
    """
    Each field must reach the place that it is for.
    """
    entry = {
        "name": "acme.zitadel-1",
        "signing_keys": [KEY, "old"],
        "signing_key_files": "/run/secrets/relay",
        "issuer": "https://acme.example",
        "jwks_url": "http://127.0.0.1:8080/oauth/v2/keys",
        "decryption_key_files": ["/etc/a.pem", "/etc/b.pem"],
        "instance": "7",
        "max_age": 60,
    }
    expected = RelaySource(
        name="acme.zitadel-1",
        signing_keys=(KEY, "old"),
        signing_key_files=("/run/secrets/relay",),
        issuer="https://acme.example",
        jwks_url="http://127.0.0.1:8080/oauth/v2/keys",
        decryption_key_files=("/etc/a.pem", "/etc/b.pem"),
        instance="7",
        max_age_s=60,
    )

    assert (expected,) == parsed(entry)


def test_a_source_with_a_key_and_nothing_else():
    """
    The usual one: five minutes, the default instance, no JWT.
    """
    (source,) = parsed({"name": "a", "signing_keys": KEY})

    assert (300, "", None) == (source.max_age_s, source.instance, source.publisher)
    assert KEY not in repr(source)


@pytest.mark.parametrize("text", ["", " ", "[]"])
def test_no_sources(text):
    """
    Then the relay knows no source.
    """
    assert () == parse_relay_sources(text)


def but(**changes: object) -> dict[str, object]:
    return {name: value for name, value in {**GOOD, **changes}.items() if value is not None}


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (but(name=None), "name must be"),
        (but(name="a/b"), "name must be"),
        (but(name=".."), "name must be"),
        (but(name="x" * 101), "name must be"),
        (but(key="x"), "key is unknown; known are decryption_key_files, instance,"),
        (but(signing_keys=None), "signing_keys, signing_key_files, issuer or jwks_url"),
        (but(signing_keys=[]), "signing_keys must be a text, or a list of 1 to 10"),
        (but(signing_keys=[""]), "signing_keys must be printable texts"),
        (but(signing_keys=[7]), "signing_keys must be printable texts"),
        (but(signing_keys=["a\ud800"]), "signing_keys must be printable texts"),
        (but(signing_keys=["a"] * 11), "signing_keys must be a text, or a list of 1 to 10"),
        (but(signing_key_files="secrets/key"), "signing_key_files must be absolute paths"),
        (but(issuer="http://acme.example"), "issuer: the URL must begin with https://"),
        (but(jwks_url="nowhere"), "jwks_url: "),
        (but(jwks_url=["https://a.example"]), "jwks_url must be printable texts"),
        (but(decryption_key_files="/a.pem"), "decryption_key_files needs issuer or jwks_url"),
        (but(instance=""), "instance must be"),
        (but(max_age=0), "max_age must be a whole number of seconds from 1 to 86400"),
        (but(max_age=True), "max_age must be"),
        (but(max_age="60"), "max_age must be"),
    ],
)
def test_a_bad_entry_is_named_and_its_keys_are_not(entry, reason):
    """
    The text stands on the operator's screen, and in the log of whatever starts the server.
    """
    with pytest.raises(ValueError, match=r"^entry 2: ") as refused:
        parsed({**GOOD, "name": "first"}, entry)

    assert reason in str(refused.value)
    assert KEY not in str(refused.value)


@pytest.mark.parametrize("text", ["{}", "[1]", "nonsense", "[" * 2000])
def test_what_is_no_list_of_objects(text):
    """
    An operator who writes one object finds out at the start.
    """
    with pytest.raises(ValueError, match=r"^must be a JSON list of objects$"):
        parse_relay_sources(text)


def test_names_are_unique_and_sources_are_not_endless():
    """
    Two of one name: one of them would silently be lost.
    """
    with pytest.raises(ValueError, match=r"^entry 1: its name stands there twice$"):
        parsed(GOOD, GOOD)
    with pytest.raises(ValueError, match=r"^must be at most 100 sources$"):
        parsed(*({**GOOD, "name": str(number)} for number in range(101)))
