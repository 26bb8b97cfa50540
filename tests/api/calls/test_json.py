"""The JSON itself, as it stands in requests and answers of Connect and REST."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any

import pytest

from api.calls.matching import A_DATE, A_SIGNING_KEY, AN_ID, Like
from api.calls.service import Service
from api.calls.steps import ENDPOINT
from api.calls.table import Caller
from api.wires import HttpRequest, HttpResponse
from outrider_api.outrider.v1.error_pb import ReasonDetail
from outrider_api.zitadel.message_pb import ErrorDetail

pytestmark = pytest.mark.asyncio(loop_scope="module")

ACTIONS = "/zitadel.action.v2.ActionService"
TARGETS = "/v2/actions/targets"
CREATE = {"connect": ("POST", f"{ACTIONS}/CreateTarget"), "rest": ("POST", TARGETS)}
PUBLISH = {
    "connect": ("POST", "/outrider.v1.EventService/PublishEvents"),
    "rest": ("POST", "/v1/events"),
}
each_face = pytest.mark.parametrize("face", ["connect", "rest"])
SIX_DIGITS = Like(
    "a time with six digits", lambda text: len(text) == len("2026-01-02T03:04:05.678901Z")
)


async def send(
    service: Service,
    verb: str,
    path: str,
    body: Any = None,
    caller: Caller = Caller.ADMIN,
) -> HttpResponse:
    """A request with a JSON body, or with none."""
    headers = {**service.headers[caller], "content-type": "application/json"}
    sent = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    return await service.client.exchange(HttpRequest(verb, path, headers, sent))


async def created(service: Service, **fields: Any) -> str:
    """The id of a new target."""
    return str((await service.ask("CreateTarget", {"endpoint": ENDPOINT, **fields}))["id"])


# How others spell a request that is understood all the same; each makes the target behind it.
SPELLINGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "names of the proto file": (
        {"rest_call": {"interrupt_on_error": True}, "payload_type": "PAYLOAD_TYPE_JWT"},
        {
            "restCall": {"interruptOnError": True},
            "payloadType": "PAYLOAD_TYPE_JWT",
            "timeout": "10s",
        },
    ),
    "a flag that rest_async does not have": (
        {"restAsync": {"interruptOnError": False}},
        {"restAsync": {}, "timeout": "10s"},
    ),
    "fields that nobody knows": (
        {"restAsync": {}, "labels": {"a": [1, None]}, "timeOut": "3s"},
        {"restAsync": {}, "timeout": "10s"},
    ),
    "an enum by its number": (
        {"restAsync": {}, "payloadType": 3},
        {"restAsync": {}, "payloadType": "PAYLOAD_TYPE_JWE", "timeout": "10s"},
    ),
    "null for what is absent": (
        {"restAsync": {}, "restCall": None, "timeout": None, "payloadType": None},
        {"restAsync": {}, "timeout": "10s"},
    ),
    "a time-out with a fraction": (
        {"restWebhook": {}, "timeout": "0.5s"},
        {"restWebhook": {}, "timeout": "0.500s"},
    ),
}


@each_face
@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_a_target_is_made_of_what_others_send(service: Service, face: str, spelling: str):
    """
    Guides and older clients spell requests in their own ways, and ZITADEL takes them.
    """
    name = f"{spelling} over {face}"
    fields, shown = SPELLINGS[spelling]
    answer = await send(service, *CREATE[face], {"name": name, "endpoint": ENDPOINT, **fields})
    target = (await send(service, "GET", f"{TARGETS}/{answer.json()['id']}")).json()["target"]
    known = {"id", "creationDate", "changeDate", "signingKey"}

    assert {"name": name, "endpoint": ENDPOINT, **shown} == {
        field: value for field, value in target.items() if field not in known
    }


@each_face
async def test_what_is_nothing_is_left_out(service: Service, face: str):
    """
    Answers are protobuf's JSON: no nulls, no empty lists, numbers of 64 bits in quotes.
    """
    name = f"shown over {face}"
    answer = await send(
        service, *CREATE[face], {"name": name, "endpoint": ENDPOINT, "restWebhook": {}}
    )
    assert (200, "application/json") == (answer.status, answer.headers["content-type"])
    assert {
        "id": AN_ID,
        "creationDate": SIX_DIGITS,
        "signingKey": A_SIGNING_KEY,
    } == answer.json()

    search = {"filters": [{"inTargetIdsFilter": {"targetIds": [answer.json()["id"]]}}]}
    listing = {"connect": f"{ACTIONS}/ListTargets", "rest": f"{TARGETS}/search"}
    found = await send(service, "POST", listing[face], search)
    assert {
        "pagination": {"totalResult": "1", "appliedLimit": "100"},
        "targets": [
            {
                "id": answer.json()["id"],
                "creationDate": answer.json()["creationDate"],
                "changeDate": answer.json()["creationDate"],
                "name": name,
                "restWebhook": {},
                "timeout": "10s",
                "endpoint": ENDPOINT,
                "signingKey": answer.json()["signingKey"],
            }
        ],
    } == found.json()


@each_face
@pytest.mark.parametrize("number", ["7", 7, 7.0])
async def test_a_large_number_may_be_a_number_or_a_text(service: Service, face: str, number: Any):
    """
    JavaScript cannot write all of them as numbers, and shells do not care.
    """
    event = {"eventType": "order.placed", "sequence": number}
    answer = await send(service, *PUBLISH[face], {"events": [event]})

    assert (200, {"results": [{"id": AN_ID}]}) == (answer.status, answer.json())


CONFLICTS: dict[str, tuple[dict[str, tuple[str, str]], dict[str, Any], str]] = {
    "a payload and a payload as text": (
        PUBLISH,
        {"events": [{"eventType": "a", "eventPayload": {}, "eventPayloadJson": "{}"}]},
        "only one of eventPayload, eventPayloadJson may be set",
    ),
    "a payload and a payload as text, in the names of the proto file": (
        PUBLISH,
        {"events": [{"event_type": "a", "event_payload": {}, "event_payload_json": "{}"}]},
        "only one of eventPayload, eventPayloadJson may be set",
    ),
    "two types": (
        CREATE,
        {"name": "two types", "endpoint": ENDPOINT, "restCall": {}, "restAsync": {}},
        "only one of restCall, restAsync may be set",
    ),
}


@each_face
@pytest.mark.parametrize("conflict", CONFLICTS)
async def test_only_one_of_several_may_be_set(service: Service, face: str, conflict: str):
    """
    Taking the last one would lose the other without a word.
    """
    paths, body, text = CONFLICTS[conflict]
    answer = await send(service, *paths[face], body)

    assert 400 == answer.status
    assert {"code": "invalid_argument", "message": f"unmarshal message: {text}"} == answer.json()


NOT_FOUND = {"id": "QUERY-hj5oaniyrz", "message": "Target not found"}
# The bytes that ZITADEL's own server writes.
NOT_FOUND_VALUE = "ChBRVUVSWS1oajVvYW5peXJ6EhBUYXJnZXQgbm90IGZvdW5k"
# As in Connect, and with the members that ZITADEL's REST API writes: scripts read `details[0].id`.
NOT_FOUND_DETAIL = {
    "type": "zitadel.v1.ErrorDetail",
    "value": NOT_FOUND_VALUE,
    "debug": NOT_FOUND,
    "@type": "type.googleapis.com/zitadel.v1.ErrorDetail",
    **NOT_FOUND,
}


WHY = {
    "reason": "there is no target 1 in this instance",
    "hint": "give an id that `outrider target list` shows",
}
REASON = {
    "type": "outrider.v1.ReasonDetail",
    "value": Like("the same in binary", lambda text: WHY == reason_in(text)),
    "debug": WHY,
    "@type": "type.googleapis.com/outrider.v1.ReasonDetail",
    **WHY,
}


def reason_in(text: str) -> dict[str, str]:
    """The fields of a packed reason."""
    return dict(json.loads(ReasonDetail.from_binary(b64decode(text + "===")).to_json()))


async def test_an_error_over_connect_is_zitadels(service: Service):
    """
    Byte for byte what its clients are used to.
    """
    answer = await send(service, "POST", f"{ACTIONS}/GetTarget", {"id": "1"})

    assert (404, "application/json") == (answer.status, answer.headers["content-type"])
    assert {
        "code": "not_found",
        "message": "Target not found (QUERY-hj5oaniyrz)",
        "details": [NOT_FOUND_DETAIL, REASON],
    } == answer.json()


async def test_an_error_over_rest_has_the_documented_shape(service: Service):
    """
    The API reference shows `detail`; Connect's clients look for `details`.
    """
    answer = await send(service, "GET", f"{TARGETS}/1")

    assert (404, "application/json") == (answer.status, answer.headers["content-type"])
    assert {
        "code": "not_found",
        "message": "Target not found (QUERY-hj5oaniyrz)",
        "detail": NOT_FOUND_DETAIL,
        "details": [NOT_FOUND_DETAIL, REASON],
    } == answer.json()


@each_face
async def test_an_error_without_an_id_has_no_detail(service: Service, face: str):
    """
    Absent is absent.
    """
    answer = await send(service, *CREATE[face], {"name": "n"})

    assert 400 == answer.status
    assert {
        "code": "invalid_argument",
        "message": "invalid CreateTargetRequest.Endpoint: value length must be between 1 and 2048"
        " runes, inclusive",
    } == answer.json()


async def test_an_unknown_failure_has_a_detail_without_an_id(service: Service):
    """
    ZITADEL's way of reporting that Go code returned an error.
    """
    search = {"filters": [{"inTargetIdsFilter": {}}]}
    answer = await send(service, "POST", f"{TARGETS}/search", search)
    detail, reason = answer.json()["details"]
    text = "values array must not be empty"

    assert (500, "unknown", f"{text} ()") == (
        answer.status,
        answer.json()["code"],
        answer.json()["message"],
    )
    assert {"message": text} == detail["debug"]
    assert "the filter lists no target id" == reason["debug"]["reason"]
    raw = ErrorDetail.from_binary(b64decode(detail["value"] + "=="))
    assert ErrorDetail(message=text) == raw


# What is wrong with these requests is found before authentication.
PATHS: dict[tuple[str, str], tuple[int, str, str, str | None]] = {
    ("GET", "/v2/nothing"): (404, "not_found", "Not Found", None),
    ("DELETE", f"{TARGETS}/1/2"): (404, "not_found", "Not Found", None),
    **{
        (verb, path): (404, "not_found", f"Not Found: did you mean {meant}?", None)
        for verb, path, meant in (
            ("GET", "/v2/actions/target", f"POST {TARGETS}"),
            ("GET", f"{TARGETS}/", f"POST {TARGETS}"),
            ("POST", f"/v2//{TARGETS[4:]}", f"POST {TARGETS}"),
            ("POST", "/v1/event", "POST /v1/events"),
            ("POST", f"{TARGETS}/_search", f"POST {TARGETS}/search"),
            ("GET", f"{TARGETS}/_search", f"POST {TARGETS}/search"),
            ("POST", f"{TARGETS}/SEARCH/", f"POST {TARGETS}/search"),
            ("POST", "/v2beta/actions/targets/_search", "POST /v2beta/actions/targets/search"),
            ("POST", "/v2/actions/executions/_search", "POST /v2/actions/executions/search"),
            (
                "POST",
                f"{TARGETS}/1/publickeys/_search",
                f"POST {TARGETS}/{{target_id}}/publickeys/search",
            ),
            (
                "POST",
                f"{TARGETS}/1/publickeys/2/_activate",
                f"POST {TARGETS}/{{target_id}}/publickeys/{{key_id}}/activate",
            ),
            ("POST", "/v1/deliveries/_search", "POST /v1/deliveries/search"),
            ("POST", "/v1/accounts/_search", "POST /v1/accounts/search"),
            ("PUT", "/v1/target/1/policy", "PUT /v1/targets/{target_id}/policy"),
        )
    },
    **{
        (verb, path): (
            405,
            "unimplemented",
            f"Method Not Allowed: send {meant} instead of {verb}",
            allow,
        )
        for verb, path, meant, allow in (
            ("GET", TARGETS, f"POST {TARGETS}", "POST"),
            ("PUT", f"{TARGETS}/1", f"DELETE, GET or POST {TARGETS}/{{id}}", "DELETE, GET, POST"),
            ("GET", f"{TARGETS}/search", f"POST {TARGETS}/search", "POST"),
            ("GET", "/v1/deliveries/search", "POST /v1/deliveries/search", "POST"),
            ("POST", "/v2/actions/executions", "PUT /v2/actions/executions", "PUT"),
            ("DELETE", "/v1/events", "POST /v1/events", "POST"),
            (
                "PUT",
                f"{TARGETS}/1/publickeys/2/activate",
                f"POST {TARGETS}/{{target_id}}/publickeys/{{key_id}}/activate",
                "POST",
            ),
            (
                "POST",
                "/v1/targets/1/policy",
                "GET or PUT /v1/targets/{target_id}/policy",
                "GET, PUT",
            ),
            ("GET", f"{ACTIONS}/GetTarget", f"POST {ACTIONS}/GetTarget", "POST"),
        )
    },
    ("POST", f"{ACTIONS}/RemoveEverything"): (
        404,
        "unimplemented",
        f"unknown procedure {ACTIONS}/RemoveEverything",
        None,
    ),
    ("POST", f"{ACTIONS}/Gettarget"): (
        404,
        "unimplemented",
        f"unknown procedure {ACTIONS}/Gettarget; did you mean {ACTIONS}/GetTarget?",
        None,
    ),
}


@pytest.mark.parametrize("caller", [Caller.ADMIN, Caller.NOBODY])
@pytest.mark.parametrize(("verb", "path"), PATHS, ids=lambda part: part)
async def test_what_is_not_served(service: Service, verb: str, path: str, caller: Caller):
    """
    In JSON as every other error, and with the verbs that would have done.
    """
    answer = await send(service, verb, path, caller=caller)
    status, code, text, allow = PATHS[verb, path]

    assert (status, allow) == (answer.status, answer.headers.get("allow"))
    assert {"code": code, "message": text} == answer.json()


@pytest.mark.parametrize("caller", [Caller.NOBODY, Caller.OTHER_SCHEME, Caller.UNKNOWN])
async def test_rest_says_how_to_say_who_calls(service: Service, caller: Caller):
    """
    RFC 9110 asks for the header with every 401.
    """
    answer = await send(service, "GET", f"{TARGETS}/1", caller=caller)

    assert (401, "Bearer") == (answer.status, answer.headers["www-authenticate"])


async def test_the_id_in_a_path_wins(service: Service):
    """
    Or a body that was copied from another target would change that one.
    """
    one = await created(service, name="in the path", restAsync={})
    other = await created(service, name="in the body", restAsync={})
    await send(service, "POST", f"{TARGETS}/{one}", {"id": other, "timeout": "3s"})
    answers = [await service.ask("GetTarget", {"id": id_}) for id_ in (one, other)]

    assert ["3s", "10s"] == [answer["target"]["timeout"] for answer in answers]


async def test_a_search_without_a_body_finds_everything(service: Service):
    """
    curl -X POST is how people try it.
    """
    await created(service, name="found without a body", restAsync={})
    answer = await send(service, "POST", f"{TARGETS}/search")
    newest = answer.json()["targets"][0]

    assert 200 == answer.status
    assert {"name": "found without a body", "creationDate": A_DATE} == {
        name: newest[name] for name in ("name", "creationDate")
    }


@pytest.mark.parametrize("version", ["v2", "v2beta"])
@pytest.mark.parametrize("what", ["target", "execution"])
async def test_the_default_that_zitadels_reference_documents(service: Service, version, what):
    """
    Its spelling is in no enum of ZITADEL, which ignores it; it means the creation date.
    """
    search = {
        "pagination": {"offset": 0, "limit": 0, "asc": True},
        "sortingColumn": f"{what.upper()}_FIELD_NAME_CREATION_DATE",
    }
    answers = [
        await send(service, "POST", f"/{version}/actions/{what}s/search", {**search, **changes})
        for changes in ({}, {"sortingColumn": f"{what.upper()}_FIELD_NAME_UNSPECIFIED"})
    ]

    assert [200, 200] == [answer.status for answer in answers]
    assert answers[0].body == answers[1].body
