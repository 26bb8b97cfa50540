"""How many outriders an event has come through: the header of a publish, on every wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from itertools import count
from typing import Any

import pytest
import pytest_asyncio

from api.calls.service import Service, rpc_named, running
from api.calls.table import EVERY_WIRE, Caller
from api.wires import HttpRequest, Result, Wire
from outrider.runtime import utc_now
from outrider.usecases.ports.store import Unit

pytestmark = pytest.mark.asyncio(loop_scope="module")

NUMBERS = count(1)
EVENT = {"specversion": "1.0", "source": "/shop", "type": "a.b"}
OVER = "Outrider-Hops is {}, and the limit is 16: "
MALFORMED = "invalid header Outrider-Hops: '{}' must be one whole number: "


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """One service whose target gets every event."""
    async with running(tmp_path_factory.mktemp("service")) as found:
        request = {"name": "all", "endpoint": "http://127.77.0.1:9/", "restWebhook": {}}
        target = await found.ask("CreateTarget", {**request, "timeout": "1s"})
        condition = {"event": {"all": True}}
        await found.ask("SetExecution", {"condition": condition, "targets": [target["id"]]})
        yield found


def an_id() -> str:
    """Another one each time."""
    return f"event {next(NUMBERS)}"


async def published(service: Service, wire: Wire, event_id: str, hops: str) -> Result[Any]:
    """What the answer to a call with the header is."""
    method = rpc_named("PublishEvents")
    events = {"events": [{"id": event_id, "eventType": "a.b"}]}
    message = method.input.type.from_json(json.dumps(events))
    headers = {**service.headers[Caller.PUBLISHER], "outrider-hops": hops}
    return await service.client.call(
        wire, method.parent, method.name, message, method.output.type, headers
    )


async def hops_of(service: Service, event_id: str) -> int:
    """What a worker reads: that of the event, before this outrider."""
    found = await service.ask("ListDeliveries", {"eventId": event_id})
    (delivery,) = found["deliveries"]

    def claim(unit: Unit) -> Mapping[str, int]:
        claimed = unit.deliveries.claim("test", utc_now(), 1000)
        unit.deliveries.release_claims("test", [known.id for known in claimed], utc_now())
        return {known.id: known.hops for known in claimed}

    return (await service.store.write(claim))[delivery["id"]]


@pytest.mark.parametrize("wire", EVERY_WIRE, ids=str)
@pytest.mark.parametrize("hops", ["0", "1", "15", "007"])
async def test_the_number_of_a_publish_is_kept(service: Service, wire: Wire, hops: str):
    """
    Its deliveries say one more.
    """
    event_id = an_id()

    assert "ok" == (await published(service, wire, event_id, hops)).code
    assert int(hops) == await hops_of(service, event_id)


async def test_an_event_without_the_header_has_come_through_none(service: Service):
    """
    As nearly all.
    """
    event_id = an_id()
    await service.ask("PublishEvents", {"events": [{"id": event_id, "eventType": "a.b"}]})

    assert 0 == await hops_of(service, event_id)


REFUSED = [
    ("16", "failed_precondition", OVER),
    ("17", "failed_precondition", OVER),
    ("999999999", "failed_precondition", OVER),
    ("1000000000", "invalid_argument", MALFORMED),
    ("-1", "invalid_argument", MALFORMED),
    ("1.5", "invalid_argument", MALFORMED),
    ("one", "invalid_argument", MALFORMED),
    ("1, 2", "invalid_argument", MALFORMED),
]


@pytest.mark.parametrize("wire", EVERY_WIRE, ids=str)
@pytest.mark.parametrize(("hops", "code", "text"), REFUSED)
async def test_what_goes_in_a_circle_or_is_no_number_is_refused(
    service: Service, wire: Wire, hops: str, code: str, text: str
):
    """
    With the value and the limit; nothing is stored.
    """
    event_id = an_id()
    result = await published(service, wire, event_id, hops)

    assert code == result.code
    assert result.text.startswith(text.format(hops))
    assert {} == await service.ask("ListDeliveries", {"eventId": event_id})


@pytest.mark.parametrize("wire", EVERY_WIRE, ids=str)
async def test_deliveries_of_an_interception_count_on(service: Service, wire: Wire):
    """
    An application that calls because it received something is a part of the circle as well.
    """
    name = f"function{next(NUMBERS)}"
    await service.ask(
        "AddEntries", {"entries": [{"kind": "CATALOGUE_KIND_FUNCTION", "name": name}]}
    )
    request = {"name": name, "endpoint": "http://127.77.0.1:9/", "restAsync": {}, "timeout": "1s"}
    target = await service.ask("CreateTarget", request)
    condition = {"function": {"name": name}}
    await service.ask("SetExecution", {"condition": condition, "targets": [target["id"]]})
    method = rpc_named("CallFunction")
    message = method.input.type.from_json(json.dumps({"function": name, "payload": {"a": 1}}))
    codes = []
    for hops in ("16", "4"):
        headers = {**service.headers[Caller.ADMIN], "outrider-hops": hops}
        result = await service.client.call(
            wire, method.parent, method.name, message, method.output.type, headers
        )
        codes.append(result.code)

    assert ["failed_precondition", "ok"] == codes
    while not (await service.ask("ListDeliveries", {"targetId": target["id"]})):
        await asyncio.sleep(0)
    found = await service.ask("ListDeliveries", {"targetId": target["id"]})
    assert [4] == [await hops_of(service, made["eventId"]) for made in found["deliveries"]]


def cloud_event(mode: str, event_id: str) -> tuple[dict[str, str], bytes]:
    """The headers and the body of one."""
    if mode == "binary":
        attributes = {**EVENT, "id": event_id}
        return {f"ce-{name}": value for name, value in attributes.items()}, b""
    event: Any = {**EVENT, "id": event_id}
    if mode == "batch":
        return {"content-type": "application/cloudevents-batch+json"}, json.dumps([event]).encode()
    return {"content-type": "application/cloudevents+json"}, json.dumps(event).encode()


@pytest.mark.parametrize("mode", ["structured", "batch", "binary"])
async def test_cloud_events_have_the_header_as_well(service: Service, mode: str):
    """
    It is one of the request, whatever the event is in.
    """
    statuses = []
    event_id = an_id()
    for hops in ("16", "3"):
        headers, body = cloud_event(mode, event_id)
        whole = {**service.headers[Caller.PUBLISHER], **headers, "Outrider-Hops": hops}
        response = await service.client.exchange(HttpRequest("POST", "/v1/events", whole, body))
        statuses.append(response.status)

    assert [400, 200] == statuses
    assert 3 == await hops_of(service, event_id)
