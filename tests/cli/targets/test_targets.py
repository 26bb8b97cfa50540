"""Changing a target, and the keys of its receiver, from the command line, against a server."""

from __future__ import annotations

import re
import uuid

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

NOWHERE = "http://127.0.0.1:9/hook"  # the discard port: no process listens there
ELSEWHERE = "http://127.0.0.1:9/other"


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def target(server) -> str:
    """The id of a webhook that interrupts."""
    options = ("--endpoint", NOWHERE, "--interrupt-on-error")
    return server.ok("target", "create", unique("target"), *options)["id"]


@pytest.fixture
def private_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def pem(private_key) -> str:
    public = private_key.public_key()
    return public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


def read(server, target) -> dict:
    return server.ok("target", "get", target)["target"]


def the_keys(server, target) -> dict[str, bool]:
    listed = server.ok("target", "key", "list", target).get("publicKeys", ())
    return {public_key["keyId"]: public_key.get("active", False) for public_key in listed}


# Changing


def test_every_property_can_be_changed(server, target):
    """
    Each option ends in its own field.
    """
    name = unique("renamed")
    options = ("--name", name, "--endpoint", ELSEWHERE, "--type", "call", "--timeout", "1500ms")
    answer = server.ok("target", "update", target, *options, "--payload-type", "jwt")

    changed = read(server, target)
    assert (name, ELSEWHERE, "1.500s") == (changed["name"], changed["endpoint"], changed["timeout"])
    assert {"interruptOnError": True} == changed["restCall"]
    assert "PAYLOAD_TYPE_JWT" == changed["payloadType"]
    assert {"changeDate": changed["changeDate"]} == answer


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        (["--no-interrupt-on-error"], {"restWebhook": {}}),
        (["--interrupt-on-error"], {"restWebhook": {"interruptOnError": True}}),
        (["--type", "call"], {"restCall": {"interruptOnError": True}}),
        (["--type", "call", "--no-interrupt-on-error"], {"restCall": {}}),
        (["--type", "async"], {"restAsync": {}}),
        (["--timeout", "1s"], {"restWebhook": {"interruptOnError": True}}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_not_named_stays(server, target, options, fields):
    """
    Kind and interruption are one field of the API; a user need not know.
    """
    before = read(server, target)
    server.ok("target", "update", target, *options)
    after = read(server, target)

    assert fields == {name: after[name] for name in after if name.startswith("rest")}
    assert [before[name] for name in ("id", "name", "endpoint", "signingKey")] == [
        after[name] for name in ("id", "name", "endpoint", "signingKey")
    ]


def test_an_async_target_does_not_interrupt(server, target):
    """
    The command says so; it does not pretend to have changed something.
    """
    server.ok("target", "update", target, "--type", "async")
    result = server.run("target", "update", target, "--interrupt-on-error")

    assert 2 == result.code
    assert "no caller waits for an async target" in result.err


def test_a_rotated_key_is_shown_once(server, target):
    """
    It is what the receiver needs; and how much time there is to give it to him.
    """
    before = read(server, target)["signingKey"]
    result = server.run("target", "update", target, "--rotate-key", "--grace", "2h")
    after = read(server, target)["signingKey"]

    assert before != after
    assert [after] == re.findall("signing key +(.+)", result.out)
    assert "also signs for 2h" in result.err
    assert after not in result.err
    assert "signingKey" not in server.ok("target", "update", target, "--timeout", "3s")


def test_a_rotated_key_is_in_the_json_too(server, target):
    """
    A script hands it on; without --grace the old key is good for an hour.
    """
    answer = server.ok("target", "update", target, "--rotate-key")

    assert read(server, target)["signingKey"] == answer["signingKey"]
    assert "for 1h" in server.run("target", "update", target, "--rotate-key").err
    without = server.run("target", "update", target, "--rotate-key", "--grace", "0s")
    assert "The old key no longer signs." in without.err


@pytest.mark.parametrize("options", [["--name", "x"], ["--type", "call"], ["--rotate-key"]])
def test_a_target_that_is_not_there_is_not_changed(server, options):
    """
    With the command that lists them.
    """
    result = server.run("target", "update", "424242", *options)

    assert 1 == result.code
    assert "Target not found" in result.err
    assert "outrider target list" in result.err


# Public keys


def test_a_key_goes_through_its_life(server, target, pem, tmp_path):
    """
    Added, used, replaced, removed: one is in use at a time.
    """
    file = tmp_path / "receiver.pub.pem"
    file.write_text(pem)
    first = server.ok("target", "key", "add", target, file)["keyId"]
    second = server.ok("target", "key", "add", target, "-", "--expires", "30d", stdin=pem)["keyId"]
    assert {first: False, second: False} == the_keys(server, target)

    server.ok("target", "key", "activate", target, first)
    assert {first: True, second: False} == the_keys(server, target)
    server.ok("target", "key", "activate", target, second)
    assert {first: False, second: True} == the_keys(server, target)
    server.ok("target", "key", "deactivate", target, second)
    server.ok("target", "key", "remove", target, second, "--yes")
    assert {first: False} == the_keys(server, target)


def test_keys_for_people(server, target, pem):
    """
    What was done, and on standard error what to do next.
    """
    empty = server.run("target", "key", "list", target)
    added = server.run("target", "key", "add", target, "-", stdin=pem)
    key_id = added.out.split()[1]
    steps = {
        verb: server.run("target", "key", verb, target, key_id).out.split()[0]
        for verb in ("activate", "deactivate")
    }
    columns, row = (
        line.split() for line in server.run("target", "key", "list", target).out.splitlines()
    )
    removed = server.run("target", "key", "remove", target, key_id, "--yes")

    assert "outrider target key add" in empty.err
    assert f"outrider target key activate {target} {key_id}" in added.err
    assert {"activate": "activated", "deactivate": "deactivated"} == steps
    assert ["ID", "ACTIVE", "FINGERPRINT", "CREATED", "EXPIRES"] == columns
    assert [key_id, "no", "never"] == [row[0], row[1], row[-1]]
    assert row[2].startswith("SHA256:")
    assert removed.out.startswith("removed  20")


def test_the_key_in_use_is_not_removed(server, target, pem):
    """
    The error tells what to do before.
    """
    key_id = server.ok("target", "key", "add", target, "-", stdin=pem)["keyId"]
    server.ok("target", "key", "activate", target, key_id)

    result = server.run("target", "key", "remove", target, key_id, "--yes")

    assert 1 == result.code
    assert "outrider target key deactivate" in result.err
    assert {key_id: True} == the_keys(server, target)


def test_a_private_key_is_not_sent(server, target, private_key):
    """
    An operator who takes the wrong file has not published it.
    """
    secret = private_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()

    result = server.run("target", "key", "add", target, "-", stdin=secret)

    assert 2 == result.code
    assert "nothing was sent" in result.err
    assert secret.splitlines()[1] not in result.err + result.out
    assert {} == the_keys(server, target)


@pytest.mark.parametrize("command", ["activate", "deactivate"])
def test_a_key_that_is_not_there(server, target, command):
    """
    With the command that lists them.
    """
    result = server.run("target", "key", command, target, "424242")

    assert 1 == result.code
    assert f"outrider target key list {target}" in result.err


def test_a_key_of_a_target_that_never_was(server, pem):
    """
    The server answers with a date; there is no such day.
    """
    removed = server.run("target", "key", "remove", "424242", "1", "--yes")
    added = server.run("target", "key", "add", "424242", "-", stdin=pem)

    assert (1, 1) == (removed.code, added.code)
    assert "there never was a target 424242" in removed.err
    assert "outrider target list" in added.err
