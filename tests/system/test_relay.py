"""The relay between real servers: one delivers to the other, which delivers to a receiver."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
from pathlib import Path

import pytest

from adapters.crypto.openssl import key_files
from api.endpoints.relay_sender import KEY, body, signature
from outrider.runtime import utc_now
from outrider.testing.receiver import Answer, ReceivedCall, Receiver
from system.api import Api
from system.server import Server

EXIT_WITHIN_S = 15.0
TYPES = ("JSON", "JWT", "JWE")
SLOW = Answer(delay=0.05)


def by_path(calls: list[ReceivedCall], path: str) -> dict[str, bytes]:
    """Bodies by the type of their event."""
    return {json.loads(call.body)["event_type"]: call.body for call in calls if call.path == path}


async def target_of(api: Api, payload_type: str) -> tuple[str, str]:
    """A target of a payload type without a receiver yet: its id and its signing key."""
    target = await api.create_target(payload_type, "http://127.0.0.1:9/")
    change = {"payloadType": f"PAYLOAD_TYPE_{payload_type}"}
    await api.post(f"/v2/actions/targets/{target.id}", change)
    if payload_type == "JWE":
        pem = key_files("P-256").public_pem.decode()
        keys = f"/v2/actions/targets/{target.id}/publickeys"
        made = await api.post(keys, {"publicKey": encoded(pem)})
        await api.post(f"{keys}/{made['keyId']}/activate", {})
    return target.id, target.signing_key


def encoded(pem: str) -> str:
    """Bytes in protobuf's JSON."""
    from base64 import b64encode

    return b64encode(pem.encode()).decode()


async def bind(server: Server, receiver: Receiver, path: str, event_types: list[str]) -> None:
    """Have the receiver called at a path for these types, besides other targets."""
    url = receiver.url.replace("/hook", path)
    target = await server.api.create_target(f"receiver {path}", url)
    for event_type in event_types:
        await server.api.set_execution(event_type, target.id)


async def test_one_server_relays_to_another(launch, tmp_path):
    """
    What arrives through the relay is what would have arrived without it, in every payload type.
    """
    (tmp_path / "private.pem").write_bytes(key_files("P-256").private_pem)
    async with Receiver() as receiver:
        first = await launch(data_dir=tmp_path / "first").ready()
        targets = {payload_type: await target_of(first.api, payload_type) for payload_type in TYPES}
        second = await launch(
            data_dir=tmp_path / "second",
            environ={"OUTRIDER_RELAY_SOURCES": sources(first, targets, tmp_path)},
        ).ready()
        types = [f"shop.{payload_type.lower()}" for payload_type in TYPES]
        # Types become known by publishing; no target is bound to these events yet.
        for server in (first, second):
            for event_type in types:
                await server.api.publish(event_type, [f"early {event_type}"])
        await bind(second, receiver, "/relayed", types)
        direct = await first.api.create_target("direct", receiver.url)
        for payload_type, (target, _) in targets.items():
            change = {"endpoint": f"{second.url}/v1/relay/{payload_type.lower()}"}
            await first.api.post(f"/v2/actions/targets/{target}", change)
            await first.api.set_execution(f"shop.{payload_type.lower()}", direct.id, target)
        for event_type in types:
            await first.api.publish(event_type, [f"7 {event_type}"])
        calls = await receiver.wait_for(2 * len(TYPES))
        await first.api.settled()
        states = {delivery["state"] for delivery in await first.api.deliveries()}
        log = second.logged.text

    assert set(types) == set(by_path(calls, "/hook"))
    assert by_path(calls, "/hook") == by_path(calls, "/relayed")
    assert {"DELIVERY_STATE_DELIVERED"} == states
    assert not [signing_key for _, signing_key in targets.values() if signing_key in log]


def sources(first: Server, targets: dict[str, tuple[str, str]], directory: Path) -> str:
    """What the second server's operator writes about the first."""
    keys = {"jwks_url": f"{first.url}/oauth/v2/keys"}
    more = {
        "JSON": {},
        "JWT": keys,
        "JWE": {**keys, "decryption_key_files": [str(directory / "private.pem")]},
    }
    return json.dumps(
        [
            {
                "name": payload_type.lower(),
                "signing_keys": [targets[payload_type][1]],
                **more[payload_type],
            }
            for payload_type in TYPES
        ]
    )


def posted(server: Server, content: bytes) -> int:
    """The status of a call to the relay; 0 when there is no answer."""
    host, port = server.address
    connection = http.client.HTTPConnection(host, port, timeout=20)
    headers = signature(content, utc_now().timestamp())
    try:
        connection.request("POST", "/v1/relay/zitadel", content, headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


async def test_what_was_answered_is_delivered_though_the_server_was_killed_immediately(launch):
    """
    ZITADEL sends an event once: after 200 it is on our disk, or it is lost.
    """
    environ = {
        "OUTRIDER_RELAY_SOURCES": json.dumps([{"name": "zitadel", "signing_keys": KEY}]),
    }
    answered: set[str] = set()
    async with Receiver(lambda _: SLOW) as receiver:
        server = await launch(environ=environ).ready()
        await bind(server, receiver, "/hook", ["user.human.added"])

        async def send(worker: int) -> None:
            for number in range(1000):
                aggregate = f"{worker}-{number}"
                if 200 != await asyncio.to_thread(posted, server, body(aggregate)):
                    return
                answered.add(aggregate)
                if 60 == len(answered):
                    server.kill()

        await asyncio.gather(*(send(worker) for worker in range(4)))
        server = await launch(environ=environ).ready()
        again = [
            await asyncio.to_thread(posted, server, body(aggregate))
            for aggregate in sorted(answered)
        ]
        await server.api.settled(within=40)
        delivered = {json.loads(call.body)["aggregateID"] for call in receiver.calls}
        stored = len(await server.api.deliveries())

    assert len(answered) >= 60
    assert {200} == set(again)
    assert answered <= delivered
    assert len(delivered) == stored


@pytest.mark.parametrize("problem", ["absent", "empty", "not a key"])
async def test_a_key_file_that_cannot_be_used_stops_the_start(launch, tmp_path, problem):
    """
    Or every event would be refused, and ZITADEL would not send it again.
    """
    path = tmp_path / "file"
    if problem != "absent":
        path.write_text("" if problem == "empty" else "-----BEGIN\n\n-----END\n")
    source = {"name": "zitadel", "issuer": "https://a.example"}
    field = "decryption_key_files" if problem == "not a key" else "signing_key_files"
    environ = {"OUTRIDER_RELAY_SOURCES": json.dumps([{**source, field: [os.fspath(path)]}])}
    server = launch(environ=environ)
    code = await server.ended(within=EXIT_WITHIN_S)

    assert code not in {0, None}
    assert f"relay_sources: zitadel: {path} " in server.logged.text
    assert "Traceback" not in server.logged.text


async def test_a_bad_source_stops_the_start_and_its_key_is_not_shown(launch):
    """
    Its text may be in the log of whatever starts the server.
    """
    environ = {"OUTRIDER_RELAY_SOURCES": json.dumps([{"name": "a/b", "signing_keys": KEY}])}
    server = launch(environ=environ)
    code = await server.ended(within=EXIT_WITHIN_S)

    assert code not in {0, None}
    assert "relay_sources: entry 1: name must be" in server.logged.text
    assert KEY not in server.logged.text + server.output.text
