"""Data of the schema before the renaming opens after the upgrade, and its deliveries continue."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from outrider.runtime import utc_now
from outrider.testing.receiver import Receiver
from system.api import OPEN, Api, ApiError

FORMER = Path(__file__).with_name("former")
TOKEN = "former-admin-token-0123456789abcdef"
# Microseconds since 1970, by table of the former schema.
TIMES = {
    "deliveries": "created_at due_at held_due_at claimed_at finished_at",
    "events": "created_at",
    "attempts": "started_at",
    "lanes": "open_until tokens_at served_at ready_at",
}
# What was finished when the copies were made is kept, however long ago that is.
SETTLED_WITHIN_S = 60
KEEP = {f"OUTRIDER_RETENTION_{name}": "36500d" for name in ("DELIVERED", "DEAD", "EVENTS")}


@pytest.fixture(params=["sqlite", "postgresql"])
def former(request, tmp_path):
    """The facts of the former server, and what a server needs to open its data."""
    environ = {"OUTRIDER_ADMIN_TOKEN": TOKEN, **KEEP}
    if request.param == "sqlite":
        with tarfile.open(FORMER / "sqlite.tar.gz") as archive:
            archive.extractall(tmp_path / "data", filter="data")
        return json.loads((tmp_path / "data" / "facts.json").read_text()), environ
    url = request.getfixturevalue("postgres_url")
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        connection.execute((FORMER / "postgresql.sql").read_text())
    environ["OUTRIDER_DATABASE_URL"] = url
    environ["OUTRIDER_MASTER_KEY"] = base64.b64encode(bytes(range(32))).decode()
    return json.loads((FORMER / "postgresql.json").read_text()), environ


@pytest.fixture
async def upgraded(former, launch, tmp_path):
    """This release on that data."""
    _, environ = former
    server = await launch(data_dir=tmp_path / "data", environ=environ).ready()
    return Api(server.url, TOKEN)


@pytest.fixture
def made_now(former, tmp_path):
    """Move the times of the copies, so that what waits for a retry still does, at any date."""
    _, environ = former
    moves = [
        f"UPDATE {table} SET "
        + ", ".join(f"{column} = {column} + {{age}}" for column in columns.split())
        for table, columns in TIMES.items()
    ]
    newest = "SELECT max(created_at) FROM deliveries"
    if "OUTRIDER_DATABASE_URL" in environ:
        connected = psycopg.connect(environ["OUTRIDER_DATABASE_URL"], autocommit=True)
    else:
        connected = sqlite3.connect(tmp_path / "data" / "outrider.db", isolation_level=None)
    with closing(connected) as connection:
        (made_at,) = connection.execute(newest).fetchone()
        age = int(utc_now().timestamp() * 1e6) - made_at
        for move in moves:
            connection.execute(move.format(age=age))


async def every_target(api, facts):
    """The targets as GetTarget shows them, by name."""
    return {
        name: (await api.get(f"/v2/actions/targets/{target['id']}"))["target"]
        for name, target in facts["targets"].items()
    }


async def test_everything_that_was_configured_is_there(former, upgraded):
    """
    Targets with their keys, policies and pauses, executions, accounts, tokens and instances.
    """
    facts, _ = former

    targets = await every_target(upgraded, facts)
    assert {name: target["signingKey"] for name, target in facts["targets"].items()} == {
        name: target["signingKey"] for name, target in targets.items()
    }
    for name, policy in facts["policies"].items():
        target = facts["targets"][name]["id"]
        stored = await upgraded.get(f"/v1/targets/{target}/policy")
        halting = json.loads(json.dumps(policy).replace("ON_DEAD_PARK", "ON_DEAD_HALT"))
        assert halting == stored, name
    executions = await upgraded.post("/v2/actions/executions/search", {})
    assert facts["executions"]["executions"] == executions["executions"]
    public_keys = await upgraded.post(
        f"/v2/actions/targets/{facts['targets']['encrypted']['id']}/publickeys/search", {}
    )
    assert [facts["publicKey"]["keyId"]] == [found["keyId"] for found in public_keys["publicKeys"]]
    publisher = Api(upgraded.url, facts["token"]["token"])
    assert (await publisher.publish("order.unbound", ["by the old token"]))[0]["id"]
    with pytest.raises(ApiError) as refused:
        await Api(upgraded.url, facts["instance"]["token"]).post("/v2/actions/targets/search", {})
    assert 401 == refused.value.status, "another instance's token, at this host"


async def test_what_is_built_in_now_can_be_bound(former, upgraded):
    """
    The former release had the methods of v2 alone; what the instance added itself is there as well.
    """
    facts, _ = former
    listed = (await upgraded.get("/v2/actions/executions/methods"))["methods"]
    target = facts["targets"]["accepts"]["id"]
    method = "/zitadel.management.v1.ManagementService/AddHumanUser"
    condition = {"response": {"method": method}}
    body = {"condition": condition, "targets": [target]}
    set_at = await upgraded.post("/v2/actions/executions", body, method="PUT")
    own = await upgraded.post("/v1/catalogue/search", {"prefix": "order."})
    described = {"kind": "CATALOGUE_KIND_METHOD", "name": "/shop.v1.Shop/Buy"}
    described |= {"schema": {}, "responseSchema": {"type": "object"}}
    await upgraded.post("/v1/catalogue", {"entries": [described]})

    assert 899 == sum(name.startswith("/zitadel.") for name in listed)
    assert "setDate" in set_at
    assert {"order.paid", "order.line"} <= {entry["name"] for entry in own["entries"]}
    found = await upgraded.post("/v1/catalogue/search", {"prefix": "/shop."})
    assert [described] == found["entries"]


async def test_new_targets_have_shorter_ids_and_come_first(former, upgraded):
    """
    A list is newest first, though the ids of the former release are the larger numbers.
    """
    facts, _ = former
    request = {"name": "new", "endpoint": "http://127.0.0.1:9/hook", "restAsync": {}}
    made = (await upgraded.post("/v2/actions/targets", request))["id"]
    listed = [
        target["id"]
        for target in (await upgraded.post("/v2/actions/targets/search", {}))["targets"]
    ]

    assert re.fullmatch(r"\d{18}", made)
    assert all(int(made) < int(target["id"]) for target in facts["targets"].values())
    assert made == listed[0]
    assert {target["id"] for target in facts["targets"].values()} == set(listed[1:])


async def test_what_was_finished_stays_as_it_was(former, upgraded):
    """
    The log of the former release is the log of this one.
    """
    facts, _ = former
    finished = {
        delivery["id"]: delivery
        for delivery in facts["deliveries"]["deliveries"]
        if delivery["state"].endswith(("DELIVERED", "DEAD", "CANCELLED"))
    }

    found = await upgraded.deliveries("DELIVERED", "DEAD", "CANCELLED")
    assert finished.items() <= {delivery["id"]: delivery for delivery in found}.items()
    dead = next(delivery for delivery in found if delivery["state"].endswith("DEAD"))
    attempt = (await upgraded.delivery(dead["id"]))["attempts"][0]
    assert base64.b64decode(attempt["responseBodyPrefix"]).startswith(b"answer of /")


async def test_what_was_open_is_delivered(former, made_now, upgraded):
    """
    Pending behind a pause, waiting for a retry, halted behind a dead one, and in flight at the kill.
    """
    facts, _ = former
    targets = {name: target["id"] for name, target in facts["targets"].items()}
    events_open = {
        delivery["eventId"]
        for delivery in facts["deliveries"]["deliveries"]
        if delivery["state"].endswith(("PENDING", "RETRYING"))
    }
    secrets = [target["signingKey"] for target in facts["targets"].values()]

    async with Receiver(signing_keys=secrets) as receiver:
        for name in ("fails", "paused", "ordered", "broken", "slow", "accepts"):
            change = {"endpoint": receiver.url}
            await upgraded.post(f"/v2/actions/targets/{targets[name]}", change)
        # Without a breaker and with short waits, nothing waits for an hour of the former policy.
        for name in ("fails", "broken", "ordered"):
            await upgraded.post(f"/v1/targets/{targets[name]}/policy", {"policy": {}}, method="PUT")
        await upgraded.post(f"/v1/targets/{targets['paused']}/resume", {})
        # What was in flight at the kill may be attempted once more before its endpoint changes.
        async with asyncio.timeout(SETTLED_WITHIN_S):
            while await upgraded.deliveries(*OPEN):
                await upgraded.post("/v1/deliveries/retry", {"states": ["DELIVERY_STATE_RETRYING"]})
                await asyncio.sleep(0.05)

        arrived = {json.loads(call.body).get("aggregateID") for call in receiver.calls}
        assert all(call.verified for call in receiver.calls)

    found = await upgraded.deliveries("DELIVERED")
    delivered = {delivery["eventId"] for delivery in found}
    assert events_open <= delivered
    assert "event-slow" in delivered
    assert {"a", "x", "z"} <= arrived


async def test_what_was_published_before_is_known(former, upgraded):
    """
    A publisher that lost the answer during the upgrade sends the event again; another is no duplicate.
    """
    facts, _ = former
    delivery_of = {
        delivery["eventId"]: delivery["id"]
        for delivery in facts["deliveries"]["deliveries"]
        if not delivery["eventType"].startswith("outrider.")
    }
    assert 10 == len(delivery_of)
    for event_id, delivery_id in delivery_of.items():
        body = base64.b64decode((await upgraded.delivery(delivery_id))["payload"])
        event = {**json.loads(body), "id": event_id}
        (again,) = (await upgraded.post("/v1/events", {"events": [event]}))["results"]
        changed = {**event, "event_payload": {**event.get("event_payload", {}), "another": 1}}
        with pytest.raises(ApiError) as refused:
            await upgraded.post("/v1/events", {"events": [changed]})

        assert again["duplicate"], event_id
        assert (409, "already_exists") == (refused.value.status, refused.value.error["code"])
