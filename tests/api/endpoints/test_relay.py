"""The relay: calls as ZITADEL sends them, what becomes of them, and every bad kind."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import OctKey

from adapters.crypto.openssl import key_files
from api.access.external.issuer import OidcIssuer, private_key, published, signed
from api.asgi_client import in_process
from api.calls.service import Service, running
from api.calls.table import Caller
from api.endpoints.relay_sender import KEY, body, encoded, encrypted, signature
from api.sample import Lines
from api.wires import HttpRequest, HttpResponse
from outrider.adapters.crypto.issuer_keys import COOL_DOWN
from outrider.adapters.crypto.relay_signature import SignatureVerifier
from outrider.api.asgi.unauthenticated import UnauthenticatedBodies
from outrider.api.endpoints.relay import relay_endpoint
from outrider.api.rpc.error_mapping import error_document, from_outrider
from outrider.bootstrap.app_context import open_store, registered_catalogue
from outrider.config.loading import Settings
from outrider.domain.access.instance import Instance
from outrider.domain.events.relay_event import read_relayed
from outrider.domain.events.relay_source import RelaySource
from outrider.domain.ids import InstanceId
from outrider.domain.net.egress_policy import EgressProfile
from outrider.errors import Unauthenticated, Unavailable
from outrider.runtime import Runtime
from outrider.usecases.delivery.publish import PublishEvents
from outrider.usecases.delivery.relay import Relay, SourceKeys
from outrider.usecases.routing.routing_table import Routing
from support.builders import DIGEST
from support.runtime import NOW

pytestmark = pytest.mark.asyncio(loop_scope="module")

OLD = "oldoldoldoldoldoldoldoldoldoldoldold"
UNSIGNED_ERROR = Unauthenticated(
    "this source has not signed the call",
    hint="sign it with a key that relay_sources names; the server's log says what is wrong",
)
UNSIGNED = (401, error_document(from_outrider(UNSIGNED_ERROR)))
OK = (200, {})
KIB = 1024
KINDS = ("RSA-2048", "P-256", "P-384", "P-521")
NUMBERS = count(1)
Json = dict[str, Any]
SHAPES = json.loads((Path(__file__).parents[3] / "vectors" / "relay_shapes.json").read_text())[
    "cases"
]


@dataclass(frozen=True)
class RelayHarness:
    """A service with sources, and the issuer that two of them have."""

    service: Service
    issuer: OidcIssuer

    @property
    def now(self) -> float:
        """The service's time in seconds."""
        return self.service.clock.now.timestamp()

    async def post(
        self, source: str, content: bytes, headers: dict[str, str] | None = None, **changes: Any
    ) -> HttpResponse:
        """Whatever the relay answers; signed now with the right key unless there are other headers."""
        sent = signature(content, self.now) if headers is None else headers
        method = changes.get("method", "POST")
        whole = {"content-type": "application/json", **sent}
        request = HttpRequest(method, f"/v1/relay/{source}", whole, content)
        return await self.service.client.exchange(request)

    async def relayed(
        self, source: str, content: bytes, headers: dict[str, str] | None = None
    ) -> tuple[int, Json]:
        """The status and the JSON of the answer."""
        response = await self.post(source, content, headers)
        return response.status, json.loads(response.body)

    async def deliveries(self, event_id: str) -> list[Json]:
        """The deliveries of an event."""
        found = await self.service.ask("ListDeliveries", {"eventId": event_id})
        return found.get("deliveries", [])

    async def payload(self, event_id: str) -> bytes:
        """The body that the one target of an event gets."""
        (delivery,) = await self.deliveries(event_id)
        whole = await self.service.ask("GetDelivery", {"id": delivery["id"]})
        return base64.b64decode(whole["delivery"]["payload"])


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def harness(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RelayHarness]:
    """Sources of every kind, and a target that gets every event."""
    directory = tmp_path_factory.mktemp("keys")
    (directory / "signing").write_text(f"{KEY}\n")
    async with OidcIssuer("rsa", "P-256", "Ed25519") as issuer:
        keys_url = f"{issuer.url}/keys"
        files = [str(written(directory, kind)) for kind in KINDS]
        sources: list[Json] = [
            {"name": "hmac", "signing_keys": [OLD, KEY], "max_age": 60},
            {"name": "file", "signing_key_files": [str(directory / "signing")]},
            {"name": "jwt", "signing_keys": [KEY], "issuer": issuer.url},
            {"name": "only-jwt", "issuer": issuer.url},
            {
                "name": "jwe",
                "signing_keys": KEY,
                "jwks_url": keys_url,
                "decryption_key_files": files,
            },
            {"name": "down", "jwks_url": "http://127.0.0.1:1/keys"},
            {"name": "gone", "signing_keys": KEY, "instance": "77"},
        ]
        async with running(
            tmp_path_factory.mktemp("service"),
            egress_profile=EgressProfile.DEV,
            relay_sources=json.dumps(sources),
        ) as service:
            request = {"name": "all", "endpoint": "http://127.77.0.1:9/", "restAsync": {}}
            target = await service.ask("CreateTarget", {**request, "timeout": "1s"})
            condition = {"event": {"all": True}}
            await service.ask("SetExecution", {"condition": condition, "targets": [target["id"]]})
            yield RelayHarness(service, issuer)


def written(directory: Path, kind: str) -> Path:
    """A file with a private key."""
    path = directory / f"{kind}.pem"
    path.write_bytes(key_files(kind).private_pem)
    return path


def another() -> str:
    """An aggregate that no other test has."""
    return f"aggregate-{next(NUMBERS)}"


def id_of(aggregate: str, sequence: int = 7) -> str:
    """What an event of `body` is known by."""
    return f"zitadel/3/user/{aggregate}/{sequence}"


def jwt(content: bytes, name: str = "rsa", alg: str = "RS256", **header: Any) -> bytes:
    """A JWS of the body, as ZITADEL makes it."""
    return signed(content, name, {"alg": alg, "kid": name, "typ": "JWT", **header}).encode()


def jwe(content: bytes, kind: str = "RSA-2048", **header: Any) -> bytes:
    """That JWS, encrypted."""
    return encrypted(jwt(content), key_files(kind).public_pem, **header)


Make = Callable[[bytes], bytes]
SENT: dict[str, tuple[str, Make]] = {
    "JSON": ("hmac", lambda content: content),
    "JSON, the key from a file": ("file", lambda content: content),
    "JWT": ("jwt", jwt),
    "JWT, ES256": ("jwt", lambda content: jwt(content, "P-256", "ES256")),
    "JWT, EdDSA": ("jwt", lambda content: jwt(content, "Ed25519", "EdDSA")),
    "JWT without a signing key": ("only-jwt", jwt),
    "JWT where JWE may come": ("jwe", jwt),
    **{f"JWE, {kind}": ("jwe", lambda content, kind=kind: jwe(content, kind)) for kind in KINDS},
}


@pytest.mark.parametrize("how", SENT)
async def test_every_payload_type_arrives_as_it_was_signed(harness, how):
    """
    Receivers behind the relay get the bytes that they got from ZITADEL: no number, no offset and
    no order of members changes.
    """
    source, make = SENT[how]
    aggregate = another()
    content = body(aggregate)

    assert OK == await harness.relayed(source, make(content))
    assert content == await harness.payload(id_of(aggregate))


@pytest.mark.parametrize("how", ["JSON", "JWT", "JWE, RSA-2048", "JWE, P-521"])
async def test_large_events_arrive(harness, how):
    """
    An event that is refused is lost there: half a megabyte must not be too much for any library.
    """
    source, make = SENT[how]
    aggregate = another()
    content = body(aggregate)[:-2] + b',"more":"' + b"x" * (700 * KIB) + b'"}}'

    assert OK == await harness.relayed(source, make(content))
    assert content == await harness.payload(id_of(aggregate))


def once(case: Json) -> tuple[str, bytes]:
    """The event of a case as no other test has it, and the type that it is listed under."""
    content = case["body"].replace('"instanceID":"3"', f'"instanceID":"{another()}"')
    content = f'{content.rstrip()[:-1]},"mark":"{another()}"}}'
    kind = case["read"].get("event_type", "user.human.added")
    return kind, content.encode()


@pytest.mark.parametrize("case", SHAPES, ids=[case["name"] for case in SHAPES])
@pytest.mark.parametrize("how", ["JSON", "JWE, P-256"])
async def test_an_event_of_any_shape_is_passed_on_unchanged(harness, how, case):
    """
    One that is refused is lost: ZITADEL does not send it again.
    """
    source, make = SENT[how]
    kind, content = once(case)
    filters = {"eventType": kind, "pageSize": 1000}

    assert OK == await harness.relayed(source, make(content))
    found = await harness.service.ask("ListDeliveries", filters)
    payloads = [await harness.payload(delivery["eventId"]) for delivery in found["deliveries"][:1]]
    assert payloads == [content]


async def test_a_deep_event_is_passed_on_unchanged(harness):
    """
    No parser goes so deep, and none has to.
    """
    aggregate = another()
    content = body(aggregate)[:-2] + b',"deep":' + b"[" * 9000 + b"]" * 9000 + b"}}"

    assert OK == await harness.relayed("hmac", content)
    assert content == await harness.payload(id_of(aggregate))


async def test_the_same_event_again_is_answered_alike_and_stored_once(harness):
    """
    For any sender, any other content of the body, and any source.
    """
    aggregate = another()
    content = body(aggregate)
    answers = [
        await harness.relayed("hmac", content),
        await harness.relayed("hmac", content.replace(b"v2", b"v3")),
        await harness.relayed("jwt", jwt(content)),
    ]

    assert [OK] * 3 == answers
    assert content == await harness.payload(id_of(aggregate))


@pytest.mark.parametrize(
    "changed",
    [
        {b"user.human.added": b"user.human.changed"},
        {b'"event_payload":{': b'"event_payload":{"more":1,'},
        {b'"event_payload":{': b'"another":{'},
    ],
)
async def test_another_event_with_the_key_of_one_is_refused(harness, changed):
    """
    No ZITADEL sends it: it would be lost, and the sender is told so.
    """
    aggregate = another()
    content = body(aggregate)
    assert OK == await harness.relayed("hmac", content)
    for old, new in changed.items():
        assert old in content
        status, answer = await harness.relayed("hmac", content.replace(old, new))

    assert (409, "already_exists") == (status, answer["code"])
    text = f'Events[0]: the id "{id_of(aggregate)}" belongs to an event'
    assert answer["message"].startswith(text)
    assert content == await harness.payload(id_of(aggregate))


@pytest.mark.parametrize("payload", [b"[1]", b'"no Base64"', b"17", b"null"])
async def test_payloads_of_any_shape_are_compared(harness, payload):
    """
    What is no object is carried as it came, and is a part of the event all the same.
    """
    aggregate = another()
    head, _, _ = body(aggregate).partition(b'"event_payload":')
    content = head + b'"event_payload":' + payload + b"}"
    answers = [
        await harness.relayed("hmac", content),
        await harness.relayed("hmac", content.replace(b"v2", b"v3")),
    ]
    status, _ = await harness.relayed("hmac", head + b'"event_payload":[2]}')

    assert ([OK] * 2, 409) == (answers, status)


async def test_an_object_and_its_base64_are_the_same_payload(harness):
    """
    ZITADEL writes the data of some events so.
    """
    aggregate = another()
    head, _, payload = body(aggregate).partition(b'"event_payload":')
    encoded = base64.b64encode(payload[:-1]).decode()
    first = await harness.relayed("hmac", body(aggregate))
    again = await harness.relayed("hmac", head + f'"event_payload":"{encoded}"}}'.encode())

    assert [OK] * 2 == [first, again]
    assert 1 == len(await harness.deliveries(id_of(aggregate)))


@pytest.mark.parametrize(
    ("hops", "code", "text"),
    [
        ("15", "", ""),
        ("16", "failed_precondition", "Outrider-Hops is 16, and the limit is 16: "),
        ("many", "invalid_argument", "invalid header Outrider-Hops: 'many' must be"),
    ],
)
async def test_hops_of_another_outrider_are_counted_on(harness, hops, code, text):
    """
    A target of one may be the relay of the next.
    """
    content = body(another())
    headers = {**signature(content, harness.now), "Outrider-Hops": hops}
    _, answer = await harness.relayed("hmac", content, headers)

    assert code == answer.get("code", "")
    assert answer.get("message", "").startswith(text)


async def test_the_next_event_of_an_aggregate_is_another_one(harness):
    """
    The sequence tells them apart.
    """
    aggregate = another()
    for sequence in (7, 8):
        await harness.relayed("hmac", body(aggregate, sequence))

    assert [1, 1] == [
        len(await harness.deliveries(id_of(aggregate, sequence))) for sequence in (7, 8)
    ]


async def test_fifty_concurrent_copies_are_one_event(harness):
    """
    Two nodes behind one name, and a proxy that tries again.
    """
    aggregate = another()
    content = body(aggregate)
    answers = await asyncio.gather(*(harness.relayed("hmac", content) for _ in range(50)))

    assert [OK] * 50 == answers
    assert 1 == len(await harness.deliveries(id_of(aggregate)))


async def test_a_replayed_call_makes_no_second_delivery(harness):
    """
    Within the window the signature still holds; the event is known.
    """
    aggregate = another()
    content = body(aggregate)
    headers = signature(content, harness.now)
    answers = [await harness.relayed("hmac", content, headers) for _ in range(2)]

    assert [OK, OK] == answers
    assert 1 == len(await harness.deliveries(id_of(aggregate)))


@pytest.mark.parametrize(("late", "is_taken"), [(58, True), (-58, True), (62, False), (-62, False)])
async def test_the_window_is_the_source_s_in_both_directions(harness, late, is_taken):
    """
    A recorded call is worth nothing a minute later, nor is one from the future.
    """
    content = body(another())
    answer = await harness.relayed("hmac", content, signature(content, harness.now - late))

    assert (OK if is_taken else UNSIGNED) == answer


async def test_each_of_several_keys_will_do(harness):
    """
    While a key is changed, ZITADEL and the relay may know different pairs of them.
    """
    for signing_keys in ((OLD,), (KEY,), ("unknown", KEY), (OLD, KEY)):
        content = body(another())
        headers = signature(content, harness.now, *signing_keys)
        assert OK == await harness.relayed("hmac", content, headers)


async def test_both_names_of_the_header_are_read(harness):
    """
    ZITADEL sends one, its reference names the other, outrider sends both.
    """
    content = body(another())
    (value,) = signature(content, harness.now).values()
    (other,) = signature(content, harness.now, "another").values()
    both = {"ZITADEL-Signature": value, "X-ZITADEL-Signature": value}

    assert OK == await harness.relayed("hmac", content, {"X-ZITADEL-Signature": value})
    assert OK == await harness.relayed("hmac", content, both)
    assert UNSIGNED == await harness.relayed(
        "hmac", content, {**both, "X-ZITADEL-Signature": other}
    )


BAD_SIGNATURES: dict[str, Callable[[bytes, float], dict[str, str]]] = {
    "none": lambda content, now: {},
    "empty": lambda content, now: {"ZITADEL-Signature": ""},
    "of another key": lambda content, now: signature(content, now, "another"),
    "of another body": lambda content, now: signature(content + b" ", now),
    "without a time": lambda content, now: {"ZITADEL-Signature": "v1=" + "0" * 64},
    "with two times": lambda content, now: {
        "ZITADEL-Signature": f"t={now:.0f},{signature(content, now)['ZITADEL-Signature']}"
    },
    "of another time": lambda content, now: {
        "ZITADEL-Signature": signature(content, now)["ZITADEL-Signature"].replace("t=", "t=1")
    },
    "not ASCII": lambda content, now: {"ZITADEL-Signature": "t=1,v1=ü"},
    "too long": lambda content, now: {"ZITADEL-Signature": "t=1" + ",v1=0" * 5000},
    "a bearer token": lambda content, now: {"Authorization": "Bearer otr_of_the_admin"},
}


@pytest.mark.parametrize(
    "source", ["hmac", "jwt", "jwe", "nobody", "", "hmac/", "HMAC", "%68mac%2F"]
)
@pytest.mark.parametrize("bad", BAD_SIGNATURES)
async def test_what_is_not_signed_is_refused_like_a_call_to_an_unknown_source(harness, source, bad):
    """
    Strangers learn neither what is wrong, nor which sources there are.
    """
    content = body(another())
    response = await harness.post(source, content, BAD_SIGNATURES[bad](content, harness.now))
    unknown = await harness.post("nobody-knows", content)

    assert UNSIGNED == (response.status, json.loads(response.body))
    assert (unknown.status, unknown.body, unknown.headers) == (
        response.status,
        response.body,
        response.headers,
    )


def unsigned(content: bytes) -> bytes:
    """Unsigned, with `alg` none."""
    return b".".join([encoded(b'{"alg":"none","typ":"JWT"}'), encoded(content), b""])


def hs256(content: bytes) -> bytes:
    """The published key as if it were a shared secret."""
    pem = private_key("rsa").as_pem(private=False)
    shared = OctKey.import_key(base64.urlsafe_b64encode(pem).decode())
    return jws.serialize_compact({"alg": "HS256", "kid": "rsa"}, content, shared).encode()


def another_payload(content: bytes) -> bytes:
    """Signed, and changed after that."""
    head, _, tail = jwt(content).split(b".")
    return b".".join([head, encoded(content.replace(b"a", b"b")), tail])


def damaged(content: bytes) -> bytes:
    """One bit of what is encrypted."""
    parts = jwe(content).split(b".")
    parts[3] = (b"A" if parts[3][:1] != b"A" else b"B") + parts[3][1:]
    return b".".join(parts)


BAD_BODIES: dict[str, Make] = {
    "plain JSON": lambda content: content,
    "alg none": unsigned,
    "HS256 with the published key": hs256,
    "a key that nobody published": lambda content: jwt(content, "unpublished", "ES256"),
    "a key of another, under a known name": lambda content: jwt(
        content, "rsa of another", kid="rsa"
    ),
    "a key in its own header": lambda content: jwt(
        content, "unpublished", "ES256", kid="rsa", jwk=published("unpublished")
    ),
    "a critical header": lambda content: jwt(content, crit=["b64"], b64=True),
    "another payload": another_payload,
    "two parts": lambda content: jwt(content).rpartition(b".")[0],
    "four parts": lambda content: jwt(content) + b".e30",
    "a JWT in a JWT": lambda content: encoded(jwt(content)),
    "not ASCII": lambda content: "ä.ö.ü".encode(),
    "nothing": lambda content: b"",
}
BAD_SECRETS: dict[str, Make] = {
    "for another key": lambda content: encrypted(jwt(content), key_files("RSA-2048", 1).public_pem),
    "for another point": lambda content: encrypted(jwt(content), key_files("P-256", 1).public_pem),
    "damaged": damaged,
    "compressed, by its header": lambda content: jwe(content, zip="DEF"),
    "a critical header": lambda content: jwe(content, crit=["b64"], b64=True),
    "another algorithm": lambda content: jwe(content, alg="RSA1_5"),
    "another algorithm, by its header": lambda content: jwe(content, alg="dir"),
    "another encryption": lambda content: jwe(content, enc="A128CBC-HS256"),
    "unsigned inside": lambda content: encrypted(
        unsigned(content), key_files("RSA-2048").public_pem
    ),
    "plain inside": lambda content: encrypted(content, key_files("RSA-2048").public_pem),
    "encrypted inside": lambda content: encrypted(jwe(content), key_files("RSA-2048").public_pem),
    "five empty parts": lambda content: b"....",
}


@pytest.mark.parametrize(
    ("source", "bad"),
    [
        *((source, bad) for source in ("jwt", "only-jwt", "jwe") for bad in BAD_BODIES),
        *(("jwe", bad) for bad in BAD_SECRETS),
        *(("jwt", bad) for bad in ("for another key", "damaged")),
    ],
)
async def test_a_body_that_its_issuer_has_not_signed_is_refused(harness, source, bad):
    """
    Also when the sender knows the signing key: each of the two must hold.
    """
    content = {**BAD_BODIES, **BAD_SECRETS}[bad](body(another()))

    assert UNSIGNED == await harness.relayed(source, content)


async def test_a_new_web_key_is_fetched(harness):
    """
    ZITADEL's operator activates one without asking the relay's.
    """
    harness.issuer.keys.append(published("new"))
    harness.service.clock.now += COOL_DOWN
    aggregate = another()

    assert OK == await harness.relayed("jwt", jwt(body(aggregate), "new", "ES256"))
    assert body(aggregate) == await harness.payload(id_of(aggregate))


OTHERS = {
    b'{"fullMethod":"/a.B/C","request":{}}': "the body is the call of a request or response",
    b'{"fullMethod":"/a.B/C","request":{},"response":{}}': "the body is the call of a request or",
    b'{"function":"function/preuserinfo","user":{}}': "the body is the call of a function",
    b"{}": "the body is no event: event_type is missing",
    b"": "the body is no JSON object",
    b"[]": "the body is no JSON object",
    b"\xff": "the body is not UTF-8",
    b"e30.e30.c2ln": "a JWT or JWE, and this source is not told who signs: give it an issuer",
    b"e30..aXY.dGV4dA.dGFn\n": "a JWT or JWE",
    b"[" * 1000: "the body is no JSON object",
    b'{"event_type":7}': "event_type must be a text that is not empty",
}


@pytest.mark.parametrize("content", OTHERS, ids=lambda content: content[:30])
async def test_what_is_no_event_is_refused_with_a_reason(harness, content):
    """
    An operator bound the relay's target to something else, and reads the answer in ZITADEL's log.
    """
    status, error = await harness.relayed("hmac", content)

    assert (400, "invalid_argument") == (status, error["code"])
    assert OTHERS[content] in error["message"]


async def test_a_token_is_no_event(harness):
    """
    ZITADEL signs tokens with the same web key, and claims may be called anything.
    """
    claims = {**json.loads(body(another())), "iss": harness.issuer.url, "exp": 1}
    status, error = await harness.relayed("only-jwt", jwt(json.dumps(claims).encode()))

    assert (400, "the body is a token, and no event") == (status, error["message"])


async def test_an_event_that_comes_back_is_refused(harness):
    """
    A target that leads to its own server would deliver each event twice, at least.
    """
    service = harness.service
    event = {"id": another(), "eventType": "shop.opened", "aggregateId": "1"}
    await service.ask("PublishEvents", {"events": [event]})
    status, error = await harness.relayed("hmac", await harness.payload(event["id"]))

    assert (400, "failed_precondition") == (status, error["code"])
    assert (
        "the event comes from the instance that it would go to (a relay loop)" == error["message"]
    )


async def test_a_relayed_event_that_comes_back_ends_there(harness):
    """
    Whatever circle it went in: its key is in its body, which no server on the way changes.
    """
    aggregate = another()
    await harness.relayed("hmac", body(aggregate))
    for _ in range(3):
        assert OK == await harness.relayed("file", await harness.payload(id_of(aggregate)))

    assert 1 == len(await harness.deliveries(id_of(aggregate)))


async def test_events_without_a_sequence_are_told_apart_by_their_bodies(harness):
    """
    Another outrider sends such events; ZITADEL does not.
    """
    kind = another()
    bodies = [
        f'{{"event_type":"{kind}","created_at":"2025-01-02T03:04:05.{fraction}Z"}}'.encode()
        for fraction in (1, 2, 1)
    ]

    assert [OK] * 3 == [await harness.relayed("hmac", body) for body in bodies]
    found = await harness.service.ask("ListDeliveries", {"eventType": kind})
    assert 2 == len(found["deliveries"])


async def test_an_issuer_that_is_down_is_told_to_the_caller(harness):
    """
    503: nothing is stored, and what was signed may be right.
    """
    status, error = await harness.relayed("down", jwt(body(another())))

    assert (503, "unavailable") == (status, error["code"])


members = st.dictionaries(
    st.sampled_from(
        [
            *("aggregateID", "aggregateType", "resourceOwner", "instanceID", "version"),
            *("sequence", "event_type", "created_at", "userID", "event_payload", "fullMethod"),
        ]
    )
    | st.text(max_size=5),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=9)
        | st.sampled_from(["a.b", "2025-01-02T03:04:05Z", "\0", "\ud800", "x" * 1001]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=5,
    ),
)


@given(members, st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
async def test_any_signed_body_is_answered(harness, changes, is_nearly_good):
    """
    What is signed comes from a server that we trust, of a release that we do not know.
    """
    good = json.loads(body(another())) if is_nearly_good else {}
    status, _ = await harness.relayed("hmac", json.dumps({**good, **changes}).encode())

    assert status in {200, 400}


class FullStore:
    """A store whose disk is full."""

    def __init__(self, store: Any) -> None:
        self.read = store.read

    async def write(self, work: object, *, shared: bool = False, load: object = None) -> None:
        raise Unavailable("the store's disk is full: nothing of this call was stored")


async def test_a_store_that_is_down_is_told_to_the_caller(harness):
    """
    200 would lose the event: ZITADEL does not send it again.
    """
    store, log = FullStore(harness.service.store), Lines()
    routing = Routing(store, registered_catalogue())
    await routing.refresh()
    runtime = Runtime(now=harness.service.clock)
    source = SourceKeys(RelaySource(name="hmac"), InstanceId("1"), SignatureVerifier((KEY,), 300))
    relay = Relay({"hmac": source}, runtime, PublishEvents(store, runtime, routing, DIGEST), print)
    content = body(another())
    headers = signature(content, harness.now)
    exchange = in_process(relay_endpoint(relay, log, UnauthenticatedBodies()))
    response = await exchange(HttpRequest("POST", "/v1/relay/hmac", headers, content))

    assert (503, "unavailable") == (response.status, json.loads(response.body)["code"])


async def test_the_instance_of_a_source_must_exist(harness):
    """
    An event in an instance that is not there would be answered, and lost.
    """
    status, error = await harness.relayed("gone", body(another()))

    assert (400, "failed_precondition") == (status, error["code"])
    assert "the instance of this source does not exist" == error["message"]


async def test_only_post_is_answered(harness):
    """
    An operator who opens the URL in a browser sees that it is right.
    """
    response = await harness.post("hmac", b"", method="GET")

    assert (405, "POST") == (response.status, response.headers["allow"])


async def test_a_body_that_is_too_large_is_refused_before_it_is_read(harness):
    """
    No account is needed to send one.
    """
    status, error = await harness.relayed("hmac", b"x" * (4 * KIB * KIB + 1))

    assert (400, "request is larger than 4194304 bytes") == (status, error["message"])


async def test_sources_of_an_instance(tmp_path):
    """
    A tenant's ZITADEL reaches the tenant's targets, and no other's.
    """
    tenant = Instance(id=InstanceId("7"), name="tenant", hosts=("tenant.example",), created_at=NOW)
    stored = Settings(data_dir=tmp_path, master_key=bytes(range(32)))
    async with open_store(stored) as opened:
        await opened.store.write(lambda unit: unit.instances.add(tenant))
    sources = [{"name": "tenant", "signing_keys": KEY, "instance": tenant.id}]
    aggregate = another()
    relayed, _ = read_relayed(body(aggregate))
    event = {
        "id": id_of(aggregate),
        "eventType": relayed.event_type,
        "aggregateType": relayed.aggregate_type,
        "aggregateId": relayed.aggregate_id,
        "eventPayloadJson": relayed.payload_json,
    }
    async with running(tmp_path, relay_sources=json.dumps(sources)) as service:
        answer = await RelayHarness(service, OidcIssuer()).relayed("tenant", body(aggregate))
        (of_another,) = (await service.ask("PublishEvents", {"events": [event]}))["results"]
        headers = {**service.headers[Caller.ADMIN], "host": "tenant.example"}
        content = json.dumps({"events": [event]}).encode()
        response = await service.client.exchange(
            HttpRequest("POST", "/v1/events", headers, content)
        )
        (of_the_tenant,) = json.loads(response.body)["results"]

    assert OK == answer
    assert (None, True) == (of_another.get("duplicate"), of_the_tenant.get("duplicate"))
