"""Malformed bytes to every procedure, over Connect and gRPC: nothing breaks.

Some are noise, which a parser refuses. Most are made along the contract, so that they come through
the parser: known fields, many times, with the largest numbers, odd texts, and messages in
messages; some of them are cut off.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from protobuf import (
    DescFieldValueList,
    DescFieldValueMap,
    DescFieldValueMessage,
    DescFieldValueScalar,
    DescMessage,
    DescMethod,
    ScalarType,
)

from api.calls.service import Service, running
from api.calls.table import Caller
from api.contract import SERVICES
from api.wires import CONTENT_TYPES, HttpRequest, Result, Wire, result_of
from outrider_api.zitadel.action.v2beta import action_service_pb as beta_action_pb
from outrider_api.zitadel.webkey.v2 import webkey_service_pb
from outrider_api.zitadel.webkey.v2beta import webkey_service_pb as beta_webkey_pb

pytestmark = pytest.mark.asyncio(loop_scope="module")

MORE = (beta_action_pb, webkey_service_pb, beta_webkey_pb)
EVERY_METHOD = {
    f"{service.type_name}/{method.name}": method
    for service in [*SERVICES, *(service for module in MORE for service in module.desc().services)]
    for method in service.methods
}
# The only error that is documented as `unknown`: a filter by no value.
DOCUMENTED_UNKNOWN = "values array must not be empty ()"
OUR_FAULT = {"internal", "unavailable", "data_loss", "unknown", "canceled", "deadline_exceeded"}
EXAMPLES = 25
# It makes key pairs, of up to 4096 bits.
SLOW_EXAMPLES = 4
DEPTH = 4

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
BYTES_OF = {
    ScalarType.DOUBLE: FIXED64,
    ScalarType.FIXED64: FIXED64,
    ScalarType.SFIXED64: FIXED64,
    ScalarType.FLOAT: FIXED32,
    ScalarType.FIXED32: FIXED32,
    ScalarType.SFIXED32: FIXED32,
    ScalarType.STRING: LENGTH,
    ScalarType.BYTES: LENGTH,
}
EDGES = [0, 1, 2, 3, 100, 1000, 1001, 2**31 - 1, 2**31, 2**32 - 1, 2**53, 2**63 - 1, 2**63]
numbers = st.sampled_from([*EDGES, 2**64 - 1, 253_402_300_799]) | st.integers(0, 2**64 - 1)
TEXTS = [
    "1",
    "\0",
    " ",
    "hook",
    "%",
    "_*[?",
    "http://127.0.0.1:1/",
    "https://[::1",
    "user.human.added",
    "preuserinfo",
    "{}",
    "\u017f\u0130\U0001f600",
    "n" * 1001,
    "9" * 30,
    "-1",
]
texts = st.sampled_from(TEXTS).map(str.encode) | st.text(max_size=8).map(str.encode)


def varint(number: int) -> bytes:
    """As protobuf writes it."""
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*written, number])


def tagged(number: int, wire_type: int, value: bytes) -> bytes:
    """A field."""
    length = varint(len(value)) if wire_type == LENGTH else b""
    return varint(number << 3 | wire_type) + length + value


def scalars(wire_type: int) -> st.SearchStrategy[bytes]:
    """Values of a wire type."""
    if wire_type == LENGTH:
        return texts
    if wire_type == VARINT:
        return numbers.map(varint)
    size = 8 if wire_type == FIXED64 else 4
    return st.binary(min_size=size, max_size=size)


def values(value: Any, depth: int) -> tuple[int, st.SearchStrategy[bytes]]:
    """The wire type of a field, and values for it."""
    if isinstance(value, DescFieldValueList):
        return values(value.element, depth)
    if isinstance(value, DescFieldValueMessage):
        return LENGTH, messages(value.message, depth - 1)
    if isinstance(value, DescFieldValueMap):
        return LENGTH, st.binary(max_size=8)
    if not isinstance(value, DescFieldValueScalar):
        return VARINT, scalars(VARINT)
    wire_type = BYTES_OF.get(value.scalar, VARINT)
    return wire_type, scalars(wire_type)


def messages(message: DescMessage, depth: int = DEPTH) -> st.SearchStrategy[bytes]:
    """Bytes that are a message of this type, more or less."""
    if depth == 0:
        return st.just(b"")
    fields = [
        made.map(lambda value, number=field.number, kind=wire_type: tagged(number, kind, value))
        for field in message.fields
        for wire_type, made in [values(field.value, depth)]
    ]
    strange = st.builds(tagged, st.integers(1, 40), st.just(LENGTH), st.binary(max_size=4))
    return st.lists(st.one_of(*fields, *fields, strange), max_size=6).map(b"".join)


def bodies(message: DescMessage) -> st.SearchStrategy[bytes]:
    """What is sent."""
    along = messages(message)
    cut = st.builds(lambda data, end: data[:-end], along, st.integers(1, 3))
    return st.one_of(*[along] * 6, cut, st.binary(max_size=48))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """One for all of it: what one call has stored is there for the next."""
    async with running(tmp_path_factory.mktemp("service")) as opened:
        yield opened


async def answer(service: Service, method: DescMethod, wire: Wire, data: bytes) -> Result[Any]:
    """What bytes are answered with, read by the wire's own rules."""
    headers = {"content-type": CONTENT_TYPES[wire], **service.headers[Caller.ADMIN]}
    body = struct.pack(">BI", 0, len(data)) + data if wire is Wire.GRPC else data
    request = HttpRequest("POST", f"/{method.parent.type_name}/{method.name}", headers, body)
    # A test that hangs is ended there after 20 s.
    return result_of(wire, await service.client.exchange(request), method.output.type)


@pytest.mark.parametrize("name", EVERY_METHOD)
async def test_whatever_comes_the_fault_is_the_callers(service: Service, name: str):
    """
    One byte that ends in a 500 is an outage that a stranger can cause, and fills our log.
    """
    method = EVERY_METHOD[name]
    for data in examples_of(bodies(method.input), count_for(method)):
        seen = {}
        for wire in (Wire.CONNECT_PROTO, Wire.GRPC):
            result = await answer(service, method, wire, data)
            is_ours = result.code in OUR_FAULT and result.text != DOCUMENTED_UNKNOWN
            assert not is_ours, f"{wire}, {data!r}: {result.code}, {result.text}"
            seen[wire] = result.code
        assert "ok" in seen.values() or 1 == len(set(seen.values())), f"{data!r}: {seen}"


def count_for(method: DescMethod) -> int:
    """How many examples."""
    return SLOW_EXAMPLES if method.name == "CreateWebKey" else EXAMPLES


def examples_of(strategy: st.SearchStrategy[bytes], count: int) -> list[bytes]:
    """The same examples in every run, all together: an event loop cannot wait inside of them."""
    made: list[bytes] = []

    @settings(
        max_examples=count, derandomize=True, database=None, suppress_health_check=[*HealthCheck]
    )
    @given(strategy)
    def collect(data: bytes) -> None:
        made.append(data)

    collect()
    return made


async def test_enough_of_it_comes_through_the_parser(service: Service):
    """
    Noise alone would try nothing but the parser.
    """
    method = EVERY_METHOD["zitadel.action.v2.ActionService/SetExecution"]
    results = [
        await answer(service, method, Wire.GRPC, data)
        for data in examples_of(bodies(method.input), 100)
    ]

    for beginning in ("unmarshal message: ", "invalid ", "Execution condition is invalid"):
        assert any(result.text.startswith(beginning) for result in results), beginning
    assert any(result.code == "not_found" for result in results)
