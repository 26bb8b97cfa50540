"""Malformed CloudEvents: every one is answered, and none with an internal error."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from itertools import count

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.calls.service import Service, running
from api.calls.table import Caller
from api.wires import HttpRequest

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMES = (
    *("specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema"),
    *("data", "data_base64", "aggregatetype", "sequence", "userid", "traceparent"),
)
TEXTS = (
    *("1.0", "", "a.b", "2026-11-23T07:00:00Z", "0001-01-01T00:00:00+23:59", "application/json"),
    *(
        "9999-12-31T23:59:60.999999999-23:59",
        "7",
        "18446744073709551616",
        "\u0667",
        "e30=",
        "%",
        '"',
    ),
)
texts = st.sampled_from(TEXTS) | st.text(max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
events = st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=8), values, max_size=14)
# Good but for a few attributes: these come through the checks.
nearly = st.builds(
    lambda changes: {
        "specversion": "1.0",
        "id": "1",
        "source": "/",
        "type": "a.b",
        "data": {},
        **changes,
    },
    st.dictionaries(st.sampled_from(NAMES), values, max_size=2),
)
header_values = st.sampled_from([text.encode().decode("latin-1") for text in TEXTS]) | st.text(
    st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=20
)
headers = st.dictionaries(
    st.sampled_from([f"ce-{name}" for name in NAMES]) | st.just("content-type"), header_values
)
# 409: another example may have the id, and another content.
ANSWERS = {200, 400, 409, 415}
few = settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
NUMBERS = count(1)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """One for all examples."""
    async with running(tmp_path_factory.mktemp("service")) as found:
        yield found


async def status(service: Service, sent: dict[str, str], body: bytes) -> int:
    """How the path answers to the admin."""
    whole = {**service.headers[Caller.ADMIN], **sent}
    response = await service.client.exchange(HttpRequest("POST", "/v1/events", whole, body))
    if response.status != 200:
        assert json.loads(response.body)["message"]
    return response.status


@few
@given(events | nearly | values, st.booleans())
async def test_any_json_is_answered(service, value, in_batch):
    """
    Whatever stands where an attribute should.
    """
    kind = "application/cloudevents-batch+json" if in_batch else "application/cloudevents+json"
    body = json.dumps([value] if in_batch else value).encode()

    assert await status(service, {"content-type": kind}, body) in ANSWERS


@few
@given(nearly, st.data())
async def test_any_damage_to_an_event_is_answered(service, value, data):
    """
    A byte more, a byte less, a byte that is no text.
    """
    body = bytearray(json.dumps(value).encode())
    at = data.draw(st.integers(0, len(body) - 1))
    body[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))

    assert await status(service, {"content-type": "application/cloudevents+json"}, body) in ANSWERS


@few
@given(headers, st.binary(max_size=30) | st.just(b'{"a": 1}'), st.booleans())
async def test_any_headers_are_answered(service, sent, body, is_nearly_good):
    """
    In binary mode any proxy may write them.
    """
    good = {"ce-specversion": "1.0", "ce-source": "/", "ce-type": "a", "ce-id": str(next(NUMBERS))}
    whole = {**(good if is_nearly_good else {}), **sent}

    assert await status(service, whole, bytes(body)) in ANSWERS
