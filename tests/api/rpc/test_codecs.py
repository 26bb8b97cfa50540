"""JSON is read as ZITADEL reads it."""

from __future__ import annotations

import json
import re

import pytest

from api.sample import Lines
from outrider.api.rpc.codecs import codecs
from outrider.api.rpc.error_mapping import ErrorMapper
from outrider_api.outrider.v1.delivery_service_pb import ListDeliveriesRequest
from outrider_api.outrider.v1.event_service_pb import PublishEventsRequest
from outrider_api.zitadel.action.v2.action_service_pb import (
    CreateTargetRequest,
    ListTargetsRequest,
    SetExecutionRequest,
)
from outrider_api.zitadel.action.v2.target_pb import PayloadType

PAYLOAD_TYPES = "PAYLOAD_TYPE_UNSPECIFIED, PAYLOAD_TYPE_JSON, PAYLOAD_TYPE_JWT, PAYLOAD_TYPE_JWE"
BINARY, JSON = codecs(ErrorMapper(Lines()))


def test_unknown_fields_are_ignored():
    """
    A published receiver example sends `interruptOnError` to a target type that has none.
    """
    text = b'{"name": "n", "restAsync": {"interruptOnError": false}, "later": {"x": [1]}}'
    message = JSON.decode(text, CreateTargetRequest)
    assert message.name == "n"
    assert message.target_type is not None
    assert message.target_type.field == "rest_async"


def test_both_spellings_of_a_name_are_read():
    """
    protobuf's JSON says so, and gateways rely on it.
    """
    one = JSON.decode(b'{"restCall": {"interruptOnError": true}}', CreateTargetRequest)
    other = JSON.decode(b'{"rest_call": {"interrupt_on_error": true}}', CreateTargetRequest)
    assert one == other != CreateTargetRequest()


def test_an_unknown_enum_number_is_kept():
    """
    A payload type of tomorrow is stored as it was sent, and a rule can refuse a method.
    """
    assert JSON.decode(b'{"payloadType": 9}', CreateTargetRequest).payload_type == 9


@pytest.mark.parametrize(
    ("text", "kind", "problem"),
    [
        (
            b'{"payloadType": "JWE"}',
            CreateTargetRequest,
            f'"JWE" is no PayloadType; there are {PAYLOAD_TYPES}',
        ),
        (b'{"payload_type": "", "later": 1}', CreateTargetRequest, '"" is no PayloadType; '),
        (
            b'{"filters": [{"targetNameFilter": {"method": "EQUALS"}}]}',
            ListTargetsRequest,
            '"EQUALS" is no TextFilterMethod; ',
        ),
        (
            b'{"states": ["DELIVERY_STATE_DEAD", "DEAD"]}',
            ListDeliveriesRequest,
            '"DEAD" is no DeliveryState; ',
        ),
        (b'{"payloadType": "' + b"x" * 5000 + b'"}', CreateTargetRequest, f'"{"x" * 100}" is no '),
    ],
)
def test_an_unknown_enum_name_is_refused_with_those_that_are_known(text: bytes, kind, problem):
    """
    Who asks for JWE by a wrong name must not get plain JSON sent without a word.
    """
    with pytest.raises(ValueError, match=f"^{re.escape(problem)}"):
        JSON.decode(text, kind)


def test_an_unknown_field_next_to_known_names_changes_nothing():
    """
    Nor do names in payloads, which are no enums.
    """
    text = b'{"payloadType": "PAYLOAD_TYPE_JWE", "later": {"payloadType": "JWE"}}'

    assert JSON.decode(text, CreateTargetRequest).payload_type == PayloadType.JWE
    assert JSON.decode(b'{"payloadType": null, "later": 1}', CreateTargetRequest).payload_type == 0


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (b'{"restCall": {}, "restAsync": {}}', CreateTargetRequest),
        (b'{"restCall": {}, "rest_webhook": {}}', CreateTargetRequest),
        (b'{"condition": {"request": {"all": true}, "event": {"all": true}}}', SetExecutionRequest),
        (b'{"condition": {"event": {"all": true, "group": "g"}}}', SetExecutionRequest),
        (
            b'{"filters": [{"targetNameFilter": {}}, {"targetNameFilter": {}, "inTargetIdsFilter": {}}]}',
            ListTargetsRequest,
        ),
        (
            b'{"events": [{"eventPayload": {}}, {"eventPayload": {}, "eventPayloadJson": "{}"}]}',
            PublishEventsRequest,
        ),
    ],
)
def test_two_members_of_a_oneof_are_refused(text: bytes, kind):
    """
    Taking the last one, as the protobuf library does, would drop what the caller said.
    """
    with pytest.raises(ValueError, match=r"^only one of .* may be set$"):
        JSON.decode(text, kind)


@pytest.mark.parametrize(
    "text",
    [
        b'{"events": [{"eventPayload": {}}, {"eventPayloadJson": "{}"}]}',
        b'{"events": [{"eventPayload": {"eventPayloadJson": 1, "eventPayload": 2}}]}',
        b'{"events": [{"eventPayload": {}, "eventPayloadJson": null}]}',
        b'{"events": null}',
        b'{"events": [{"eventPayloadJson": "{\\"eventPayload\\": 1}"}]}',
    ],
)
def test_one_member_here_and_another_there_is_fine(text: bytes):
    """
    Only one object that sets both is wrong; payloads may have any names in them.
    """
    assert JSON.decode(text, PublishEventsRequest) is not None


@pytest.mark.parametrize("limit", ["1_000", "\uff11\uff10", "\u0661", " 10", "+10", "0x10", "ten"])
def test_numbers_are_written_in_plain_digits(limit: str):
    """
    Python reads more than other languages do, and what is checked must mean the same to all.
    """
    text = json.dumps({"pagination": {"limit": limit}}, ensure_ascii=False).encode()
    with pytest.raises(ValueError, match="limit"):
        JSON.decode(text, ListTargetsRequest)


@pytest.mark.parametrize("limit", ["10", "10.0", "1e1"])
def test_a_number_may_stand_in_quotation_marks(limit: str):
    text = json.dumps({"pagination": {"limit": limit}}).encode()

    assert 10 == JSON.decode(text, ListTargetsRequest).pagination.limit


def test_answers_leave_out_defaults():
    """
    ZITADEL does not send what is zero.
    """
    assert JSON.encode(CreateTargetRequest(name="n")) == b'{"name":"n"}'
    assert BINARY.encode(CreateTargetRequest(name="n")) == b"\n\x01n"
