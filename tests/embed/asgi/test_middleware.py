"""The middleware around real applications, behind a real server."""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
from contextlib import asynccontextmanager
from typing import Annotated

import pytest
from fastapi import APIRouter, FastAPI, Query, Request
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from embed.asgi_server import call, parse, request, serve
from outrider.cli.catalogue.openapi import operations_of, read_openapi
from outrider.domain.routing.catalogue_entry import Entry, EntryKind
from outrider.embed import Engine, TargetChange, TargetType, on_request, on_response
from outrider.embed.asgi import Identity, OutriderMiddleware
from outrider.errors import OutriderError
from outrider.testing.receiver import Answer, Receiver

CREATE = "/acme.Shop/create"


def shop(engine: Engine, **options) -> FastAPI:
    """A service that returns what it got, in every shape of response."""

    @asynccontextmanager
    async def lifespan(_app):
        async with engine:
            yield

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(OutriderMiddleware, engine=engine, service="acme.Shop", **options)
    router = APIRouter(prefix="/v1")

    @router.post("/orders/{name}")
    async def create(name: str, request: Request):
        body = await request.body()
        query = str(request.url.query)
        return {"name": name, "query": query, "got": json.loads(body) if body else None}

    @router.delete("/orders/{name}")
    async def remove(name: str, request: Request):
        return {"name": name, "query": str(request.url.query)}

    @router.post("/raw")
    async def raw(request: Request):
        return Response(await request.body(), media_type="application/octet-stream")

    @router.get("/shape/{shape}")
    async def shape(shape: str):
        return SHAPES[shape]()

    app.include_router(router)
    return app


async def chunks(*parts: bytes):
    for part in parts:
        yield part


SHAPES = {
    "object": lambda: JSONResponse({"a": 1}, headers={"etag": '"1"', "x-kept": "yes"}),
    "list": lambda: JSONResponse([1, 2]),
    "text": lambda: Response('{"a": 1}', media_type="text/plain"),
    "gzip": lambda: Response(
        gzip.compress(b'{"a": 1}', mtime=0),
        media_type="application/json",
        headers={"content-encoding": "gzip"},
    ),
    "long": lambda: JSONResponse({"a": "x" * 5000}),
    "events": lambda: StreamingResponse(
        chunks(b"data: 1\n\n", b"data: 2\n\n"), media_type="text/event-stream"
    ),
    "stream": lambda: StreamingResponse(chunks(b'{"a":', b" 1}"), media_type="application/json"),
    "long stream": lambda: StreamingResponse(
        chunks(*[b'{"a": "', *[b"x" * 1000] * 5, b'"}']), media_type="application/json"
    ),
    "error": lambda: JSONResponse({"a": 1}, status_code=409),
    "nothing": lambda: Response(status_code=204),
}


@pytest.fixture
def engine(used_dir):
    return Engine.open(data_dir=used_dir, dev=True)


async def bind(engine: Engine, condition, receiver: Receiver, **options):
    target = await engine.create_target(f"target {condition}", receiver.url, **options)
    await engine.set_execution(condition, [target])
    return target


def answering(answer: object) -> Receiver:
    return Receiver(lambda _: Answer(body=json.dumps(answer).encode()))


def answering_body(body: object) -> Receiver:
    """A target that replaces the body of the message."""
    return answering({"body": body})


def seen(receiver: Receiver) -> list[object]:
    return [json.loads(target_call.body) for target_call in receiver.calls]


async def test_a_request_is_rewritten_and_its_length_fits(engine):
    """
    A body that is longer than its content-length would be cut in the application.
    """
    longer = {"amount": 2, "note": "ä" * 100}
    async with answering_body(longer) as receiver, serve(shop(engine)) as port:
        await bind(engine, on_request(CREATE), receiver)

        reply = await call(port, "POST", "/v1/orders/tea", {"amount": 1})

        assert (200, longer) == (reply.status, reply.json()["got"])
        [call_body] = seen(receiver)
        message = {"path": {"name": "tea"}, "query": {}, "body": {"amount": 1}}
        assert (CREATE, message) == (call_body["fullMethod"], call_body["request"])
        assert ["shop.example"] == call_body["headers"]["host"]


async def test_a_call_without_a_body_is_seen_whole(engine):
    """
    What a guard has to judge of a DELETE is in its path and its query.
    """
    async with Receiver() as receiver, serve(shop(engine)) as port:
        await bind(engine, on_request("/acme.Shop/remove"), receiver, type="webhook")

        reply = await call(port, "DELETE", "/v1/orders/77?force=1&a=x%20y&a=&b", content_type="")

        assert {"name": "77", "query": "force=1&a=x%20y&a=&b"} == reply.json()
        query = {"force": "1", "a": ["x y", ""], "b": ""}
        assert [{"path": {"name": "77"}, "query": query}] == [
            target_call["request"] for target_call in seen(receiver)
        ]


@pytest.mark.parametrize("body", [[1, 2.50], "text", 7, True, None, []])
async def test_every_json_value_is_a_body(tmp_path, body):
    """
    Lists and single values are JSON as well, on the way in and on the way out.
    """
    engine = Engine.open(data_dir=tmp_path / "data", dev=True)
    async with answering_body([body, "changed"]) as receiver, serve(shop(engine)) as port:
        await bind(engine, on_request(CREATE), receiver, interrupt_on_error=True)

        reply = await call(port, "POST", "/v1/orders/tea", json.dumps(body).encode())

        assert [body, "changed"] == reply.json()["got"]
        assert [body] == [target_call["request"]["body"] for target_call in seen(receiver)]


@pytest.mark.parametrize(
    ("answer", "query", "got"),
    [
        ({"path": {"name": "tea"}, "query": {"x": 2}, "body": {"a": 1}}, "x=2", {"a": 1}),
        ({"query": {"x": ["1", True], "y": "ä&"}}, "x=1&x=true&y=%C3%A4%26", None),
        ({"query": {"x": "1"}, "body": {"a": 1}}, "x=1", {"a": 1}),
        ({}, "", None),
    ],
)
async def test_an_answer_is_the_request_whole(tmp_path, answer, query, got):
    """
    Nothing is merged: what an answer leaves out, but for the path, is not there any more.
    """
    engine = Engine.open(data_dir=tmp_path / "data", dev=True)
    async with answering(answer) as receiver, serve(shop(engine)) as port:
        await bind(engine, on_request(CREATE), receiver, interrupt_on_error=True)

        reply = await call(port, "POST", "/v1/orders/tea?x=1", {"a": 1})

        assert {"name": "tea", "query": query, "got": got} == reply.json()


@pytest.mark.parametrize(
    "answer",
    [
        {"amount": 2},
        {"path": {"name": "coffee"}},
        {"path": {}},
        {"query": [1]},
        {"query": {"x": {}}},
        {"query": {"x": [None]}},
        [],
    ],
)
async def test_an_answer_of_another_shape_is_a_failure_of_its_target(tmp_path, answer):
    """
    A target that was written for another shape must show, and not empty a body.
    """
    engine = Engine.open(data_dir=tmp_path / "data", dev=True)
    async with answering(answer) as receiver, serve(shop(engine)) as port:
        await bind(engine, on_request(CREATE), receiver, interrupt_on_error=True)

        reply = await call(port, "POST", "/v1/orders/tea", {"amount": 1})

        assert (400, "failed_precondition") == (reply.status, reply.json()["code"])


async def test_no_body_is_an_empty_message(engine):
    """
    Targets check calls without a body too, and may give them one.
    """
    async with answering_body({"amount": 1}) as receiver, serve(shop(engine)) as port:
        await bind(engine, on_request(CREATE), receiver)

        reply = await call(port, "POST", "/v1/orders/tea", content_type="")

        assert {"amount": 1} == reply.json()["got"]
        assert "body" not in json.loads(receiver.calls[0].body)["request"]


async def test_an_interruption_is_an_http_error_with_its_message(engine):
    """
    403 with the words of the target: callers have to know what to change.
    """
    refusal = {"forwardedStatusCode": 403, "forwardedErrorMessage": "not on a Sunday"}
    async with answering(refusal) as receiver, serve(shop(engine)) as port:
        target = await bind(engine, on_request(CREATE), receiver, interrupt_on_error=True)

        reply = await call(port, "POST", "/v1/orders/tea", {"amount": 1})

        assert 403 == reply.status
        assert ("permission_denied", True) == (
            reply.json()["code"],
            "not on a Sunday" in reply.json()["message"],
        )
        assert target.id in json.dumps(reply.json()["details"])
        assert "EXEC-reUaUZCzCp" == reply.json()["details"][0]["id"]
        assert reply.headers["outrider-interception-id"] in json.dumps(reply.json()["details"])


async def test_errors_can_be_rendered_as_the_application_does(engine):
    """
    An application has its own shape of errors.
    """

    def render(error: OutriderError) -> tuple[int, bytes]:
        return 422, json.dumps({"detail": error.code.value}).encode()

    async with (
        Receiver([Answer(status=500)]) as receiver,
        serve(shop(engine, render=render)) as port,
    ):
        await bind(engine, on_request(CREATE), receiver, interrupt_on_error=True)

        reply = await call(port, "POST", "/v1/orders/tea", {"amount": 1})

        assert (422, {"detail": "failed_precondition"}) == (reply.status, reply.json())


async def test_a_response_is_added_to(engine):
    """
    Its length, and every other header about its bytes, must be right.
    """
    async with answering_body({"a": 1, "b": "ö"}) as receiver, serve(shop(engine)) as port:
        await bind(engine, on_response("/acme.Shop/shape"), receiver)

        reply = await call(port, "GET", "/v1/shape/object")

        assert {"a": 1, "b": "ö"} == reply.json()
        assert str(len(reply.body)) == reply.headers["content-length"]
        assert (None, "yes") == (reply.headers.get("etag"), reply.headers["x-kept"])


async def test_a_response_may_be_replaced_by_an_error(engine):
    """
    Nothing of the response may have left by then.
    """
    refusal = {"forwardedStatusCode": 404, "forwardedErrorMessage": "nothing to see"}
    async with answering(refusal) as receiver, serve(shop(engine)) as port:
        await bind(engine, on_response("/acme.Shop/shape"), receiver, interrupt_on_error=True)

        reply = await call(port, "GET", "/v1/shape/object")

        assert (404, "not_found") == (reply.status, reply.json()["code"])


UNREADABLE = sorted(SHAPES.keys() - {"object", "list", "stream", "error", "nothing"})
FREE = {"type": "webhook"}
GUARD = {"interrupt_on_error": True}


@pytest.mark.parametrize(
    ("shape", "options", "bound"),
    [
        *((shape, {}, FREE) for shape in UNREADABLE),
        *((shape, {"on_unreadable": "pass"}, GUARD) for shape in UNREADABLE),
        *((shape, {}, GUARD) for shape in ["error", "nothing"]),
    ],
)
async def test_what_no_target_has_to_see_passes_untouched(tmp_path, shape, options, bound):
    """
    Streams, files and compressed bodies that nothing guards; errors and empty responses.
    """
    engine = Engine.open(data_dir=tmp_path / "data", dev=True)
    async with (
        answering_body({"never": True}) as receiver,
        serve(shop(engine, max_body_bytes=3000, **options)) as port,
    ):
        untouched = await call(port, "GET", f"/v1/shape/{shape.replace(' ', '%20')}")
        await bind(engine, on_response("/acme.Shop/shape"), receiver, **bound)

        reply = await call(port, "GET", f"/v1/shape/{shape.replace(' ', '%20')}")

        assert (untouched.status, untouched.body) == (reply.status, reply.body)
        assert [] == receiver.calls


@pytest.mark.parametrize("shape", UNREADABLE)
async def test_an_unreadable_response_does_not_pass_its_guard(tmp_path, shape):
    """
    A guard of responses is passed by with a content type, a length or a stream otherwise.
    """
    engine = Engine.open(data_dir=tmp_path / "data", dev=True)
    async with (
        answering_body({"never": True}) as receiver,
        serve(shop(engine, max_body_bytes=3000)) as port,
    ):
        await bind(engine, on_response("/acme.Shop/shape"), receiver, interrupt_on_error=True)

        reply = await call(port, "GET", f"/v1/shape/{shape.replace(' ', '%20')}")

        assert (500, "internal") == (reply.status, reply.json()["code"])
        assert "/acme.Shop/shape cannot be shown to the targets" in reply.json()["message"]
        assert [] == receiver.calls


async def test_messages_fit_the_schemas_of_the_openapi_document(engine):
    """
    One shape: an answer that changes nothing must not violate what the import says of the method.
    """
    app = shop(engine)

    @app.get("/search/{page}", operation_id="search")
    async def search(
        page: int, tag: Annotated[list[int], Query()], *, exact: bool = False
    ) -> list[int]:
        return [page, *tag]

    [operation] = [
        found
        for found in operations_of(read_openapi(app.openapi()), "acme.Shop")
        if found.full_method == "/acme.Shop/search"
    ]

    def echo(target_call) -> Answer:
        message = json.loads(target_call.body)
        return Answer(body=json.dumps(message.get("response", message["request"])).encode())

    async with Receiver(echo) as receiver, serve(app) as port:
        await engine.register(
            [
                Entry(
                    kind=EntryKind.METHOD,
                    name=operation.full_method,
                    schema_json=json.dumps(operation.request),
                    response_schema_json=json.dumps(operation.response),
                )
            ]
        )
        for condition in (on_request(operation.full_method), on_response(operation.full_method)):
            await bind(engine, condition, receiver, interrupt_on_error=True)

        reply = await call(port, "GET", "/search/3?tag=1&tag=2&exact=true", content_type="")

        assert (200, [3, 1, 2]) == (reply.status, reply.json())
        assert 2 == len(receiver.calls)


async def test_lists_are_responses_like_others(engine):
    """
    Most collections are answered as a list.
    """
    async with answering_body([2]) as receiver, serve(shop(engine)) as port:
        await bind(engine, on_response("/acme.Shop/shape"), receiver)

        reply = await call(port, "GET", "/v1/shape/list?x=1")

        assert [2] == reply.json()
        [target_call] = seen(receiver)
        assert {"body": [1, 2]} == target_call["response"]
        assert {"path": {"shape": "list"}, "query": {"x": "1"}} == target_call["request"]


async def test_a_short_stream_of_json_is_a_response_like_others(engine):
    """
    Frameworks send JSON in pieces, too.
    """
    async with answering_body({"b": 2}) as receiver, serve(shop(engine)) as port:
        await bind(engine, on_response("/acme.Shop/shape"), receiver)

        reply = await call(port, "GET", "/v1/shape/stream")

        assert {"b": 2} == reply.json()


async def test_an_unchanged_body_passes_byte_for_byte(engine):
    """
    A target that only reads must not change white space, numbers or their order.
    """
    async with Receiver() as receiver, serve(shop(engine)) as port:
        await bind(engine, on_response("/acme.Shop/shape"), receiver, type="webhook")

        reply = await call(port, "GET", "/v1/shape/stream")

        assert b'{"a": 1}' == reply.body
        assert 1 == len(receiver.calls)


FORM = "multipart/form-data; boundary=x"


@pytest.mark.parametrize(
    ("body", "content_type", "headers", "status"),
    [
        (b"{bad", "application/json", "", 415),
        (b'{"a": NaN}', "application/json", "", 415),
        (b'{"a": 1}', "text/plain", "", 415),
        (b'{"a": 1}', "application/json", "Content-Type: text/plain\r\n", 415),
        (b'--x\r\n\r\n{"a": 1}\r\n--x--', FORM, "", 415),
        (b"a=1", "application/x-www-form-urlencoded", "", 415),
        (
            gzip.compress(b'{"a": 1}', mtime=0),
            "application/json",
            "Content-Encoding: gzip\r\n",
            415,
        ),
        (b'{"a": "' + b"x" * 3000 + b'"}', "application/json", "", 413),
        (b'{"a": "' + b"x" * 500_000 + b'"}', "application/json", "", 413),
    ],
)
async def test_an_unreadable_request_does_not_pass_its_guard(
    tmp_path, body, content_type, headers, status
):
    """
    A target that guards must not be passed by with a content type or a length, unless the
    application says so; what no target can stop passes.
    """
    engine = Engine.open(data_dir=tmp_path / "data", dev=True)
    post = {"content_type": content_type, "headers": headers}
    method = on_request("/acme.Shop/raw")
    async with answering_body({"never": True}) as receiver:
        async with serve(shop(engine, max_body_bytes=2000)) as port:
            target = await bind(engine, method, receiver)
            free = await call(port, "POST", "/v1/raw", body, **post)
            await engine.update_target(
                target, TargetChange(type=TargetType.REST_CALL, interrupt_on_error=True)
            )
            refused = await call(port, "POST", "/v1/raw", body, **post)
        passing = shop(engine, max_body_bytes=2000, on_unreadable="pass")
        async with serve(passing) as port:
            passed = await call(port, "POST", "/v1/raw", body, **post)

        assert (200, body) == (passed.status, passed.body) == (free.status, free.body)
        assert (status, "invalid_argument") == (refused.status, refused.json()["code"])
        assert "guard /acme.Shop/raw" in refused.json()["message"]
        assert [] == receiver.calls


async def test_a_body_in_chunks_is_a_body(engine):
    """
    A length that is not said must not be a way past a guard, nor past the limit.
    """
    async with (
        answering_body({"a": 2}) as receiver,
        serve(shop(engine, max_body_bytes=20)) as port,
    ):
        await bind(engine, on_request(CREATE), receiver, interrupt_on_error=True)
        replies = []
        for chunk in (b'{"a": 1}', b'{"a": "' + b"x" * 20 + b'"}'):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            head = b"POST /v1/orders/tea HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
            coding = b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            writer.write(head + coding + b"%x\r\n%b\r\n0\r\n\r\n" % (len(chunk), chunk))
            replies.append(parse(await reader.read()))
            writer.close()

        assert [200, 413] == [reply.status for reply in replies]
        assert {"a": 2} == replies[0].json()["got"]


async def test_a_request_that_is_cut_does_not_reach_the_application(engine):
    """
    An endpoint that reads no body would do its work, and no guard would have seen the call.
    """
    called = []

    async def bare(scope, receive, send):
        called.append(scope["path"])
        await JSONResponse({})(scope, receive, send)

    async def leaving():
        return {"type": "http.disconnect"}

    async with engine, answering({}) as receiver:
        app = OutriderMiddleware(bare, engine=engine, methods={"DELETE /orders/{id}": CREATE})
        await engine.register_methods([CREATE])
        await bind(engine, on_request(CREATE), receiver)
        scope = {"type": "http", "method": "DELETE", "path": "/orders/7", "headers": []}

        await app(scope, leaving, None)

    assert [] == called


async def test_a_file_that_the_server_sends_does_not_pass_its_guard(engine):
    """
    Some servers are told the path of a file, and no byte of it comes through the middleware.
    """
    sent = []

    async def bare(scope, receive, send):
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.pathsend", "path": "/etc/passwd"})

    async def receive():
        return {"type": "http.request"}

    async def send(message):
        sent.append(message["type"])

    async with engine, answering({}) as receiver:
        app = OutriderMiddleware(bare, engine=engine, methods={"GET /file": CREATE})
        await engine.register_methods([CREATE])
        await bind(engine, on_response(CREATE), receiver, interrupt_on_error=True)

        scope = {"type": "http", "method": "GET", "path": "/file", "headers": []}
        await app(scope, receive, send)

    assert ["http.response.start", "http.response.body"] == sent


async def test_head_is_get_for_guards_as_for_frameworks(engine):
    """
    Frameworks answer HEAD by the code of GET: its side effects are the same.
    """

    async def bare(scope, receive, send):
        await JSONResponse({})(scope, receive, send)

    app = OutriderMiddleware(bare, engine=engine, methods={"GET /orders/{id}": CREATE})
    refusal = {"forwardedStatusCode": 403, "forwardedErrorMessage": "no"}
    async with engine, answering(refusal) as receiver, serve(app, lifespan="off") as port:
        await engine.register_methods([CREATE])
        await bind(engine, on_request(CREATE), receiver, interrupt_on_error=True)

        replies = [await call(port, verb, "/orders/7") for verb in ("GET", "HEAD", "OPTIONS")]

    assert [403, 403, 200] == [reply.status for reply in replies]


async def test_targets_are_told_who_calls_and_have_a_deadline(engine):
    """
    The identity is what the application found out; a slow target must not delay its callers.
    """

    def identify(scope) -> Identity:
        return Identity(user_id=dict(scope["headers"])[b"x-user"].decode(), org_id="7")

    def patience(scope) -> float:
        return float(dict(scope["headers"])[b"x-patience"])

    hangs = asyncio.Event()
    async with (
        Receiver([Answer(), Answer(hang_until=hangs)]) as receiver,
        serve(shop(engine, identify=identify, deadline=patience)) as port,
    ):
        await bind(engine, on_request(CREATE), receiver, interrupt_on_error=True)
        # A caller with time gets its answer, however busy the machine is.
        answers = [
            await call(
                port,
                *("POST", "/v1/orders/tea", {}),
                headers=f"X-User: ada\r\nX-Patience: {seconds}\r\n",
            )
            for seconds in (30, 0.2)
        ]

        assert [200, 400] == [answer.status for answer in answers]
        first = json.loads(receiver.calls[0].body)
        assert ("ada", "7") == (first["userID"], first["orgID"])


@pytest.mark.parametrize("condition", [on_request(CREATE), on_response(CREATE)])
async def test_a_client_that_leaves_ends_the_chain(tmp_path, condition):
    """
    No caller waits for that answer: the target's permit is for another one.
    """
    engine = Engine.open(data_dir=tmp_path / "data", dev=True)
    async with (
        Receiver([Answer(hang_until=asyncio.Event())]) as receiver,
        serve(shop(engine)) as port,
    ):
        await bind(engine, condition, receiver)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("POST", "/v1/orders/tea", {"amount": 1}))
        await receiver.wait_for(1)

        writer.transport.abort()

        async with asyncio.timeout(10):
            while receiver.connection_count:
                await asyncio.sleep(0.01)
        assert "in flight: 0" in repr(engine)
        del reader


async def test_methods_are_known_when_the_application_has_started(engine):
    """
    Operators set executions before the first call.
    """
    inner = Starlette(routes=[Route("/ping/{n:int}", lambda _: JSONResponse({}), name="ping")])
    app = shop(engine)
    app.mount("/inner", inner)
    async with serve(app), answering({}) as receiver:
        for name in ("create", "raw", "shape", "ping"):
            await bind(engine, on_request(f"/acme.Shop/{name}"), receiver)


async def test_a_table_names_methods_and_the_first_call_registers_them(tmp_path):
    """
    Applications that are no framework's, behind servers without a lifespan.
    """

    async def bare(scope, receive, send):
        assert "http" == scope["type"]
        message = await receive()
        await JSONResponse(json.loads(message["body"]))(scope, receive, send)

    async with Engine.open(data_dir=tmp_path / "data", dev=True) as engine:
        methods = {"POST /orders/{id}": CREATE, "PUT /files/{rest:path}": "/acme.Shop/put"}
        app = OutriderMiddleware(bare, engine=engine, methods=methods)
        async with answering_body({"a": 2}) as receiver, serve(app, lifespan="off") as port:
            assert {"a": 1} == (await call(port, "POST", "/orders/7", {"a": 1})).json()
            await bind(engine, on_request(CREATE), receiver)
            await bind(engine, on_request("/acme.Shop/put"), receiver)

            replies = [
                (await call(port, method, path, {"a": 1})).json()
                for method, path in [
                    ("POST", "/orders/7"),
                    ("POST", "/orders/7%0A"),
                    ("PUT", "/files/a/b"),
                    ("POST", "/orders/7/8"),
                    ("PUT", "/orders/7"),
                ]
            ]

            assert [{"a": 2}] * 3 + [{"a": 1}] * 2 == replies


async def test_a_closed_engine_answers_503(tmp_path):
    """
    Letting calls pass would let them by the targets that guard.
    """
    engine = Engine.open(data_dir=tmp_path / "data")
    app = OutriderMiddleware(JSONResponse({}), engine=engine, methods={"GET /": CREATE})

    async with serve(app, lifespan="off") as port:
        reply = await call(port, "GET", "/")

    assert (503, "unavailable") == (reply.status, reply.json()["code"])


async def test_a_table_that_cannot_be_read_is_found_at_the_start(tmp_path):
    """
    A row that never matches would be a guard that never stands.
    """
    with pytest.raises(ValueError, match="POST /path"):
        OutriderMiddleware(None, engine=Engine.open(data_dir=tmp_path), methods={"/orders": CREATE})


async def test_the_command_line_manages_an_engine_inside_an_application(tmp_path):
    """
    Operators must not need another tool for an embedded engine.
    """
    engine = Engine.open(data_dir=tmp_path / "data", dev=True, admin_token="open-sesame-0123")
    app = shop(engine)
    app.mount("/outrider", engine.api())
    async with serve(app) as port:
        await engine.create_target("from inside", "http://127.0.0.1:1/hook")

        listing = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "outrider", "target", "list", "--json"),
            *("--url", f"http://127.0.0.1:{port}/outrider", "--token", "open-sesame-0123"),
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await listing.communicate()

    assert (0, True) == (listing.returncode, b"from inside" in output)


async def test_compression_may_be_around_the_middleware(engine):
    """
    The order that the documentation names.
    """
    app = shop(engine)
    app.add_middleware(GZipMiddleware, minimum_size=1)
    gzipped = "Accept-Encoding: gzip\r\n"
    async with answering_body({"b": 2}) as receiver, serve(app) as port:
        await bind(engine, on_response("/acme.Shop/shape"), receiver)

        reply = await call(port, "GET", "/v1/shape/object", headers=gzipped)

    assert ("gzip", b'{"b": 2}') == (
        reply.headers["content-encoding"],
        gzip.decompress(reply.body),
    )


async def test_the_api_can_be_mounted(tmp_path):
    """
    ZITADEL's clients manage an engine inside an application like a server.
    """
    engine = Engine.open(data_dir=tmp_path / "data", dev=True, admin_token="open-sesame-0123")
    app = shop(engine)
    app.router.routes.append(Mount("/outrider", app=engine.api()))
    bearer = "Authorization: Bearer open-sesame-0123\r\n"
    async with serve(app) as port, answering_body({"a": 2}) as receiver:
        new_target = {"name": "a", "endpoint": receiver.url, "restCall": {}}
        path = "/outrider/v2/actions/targets"
        made = (await call(port, "POST", path, new_target, headers=bearer)).json()
        refused = await call(port, "POST", path, new_target)
        execution = {
            "condition": {"request": {"method": CREATE}},
            "targets": [made["id"]],
        }
        path = "/outrider/v2/actions/executions"
        assert 200 == (await call(port, "PUT", path, execution, headers=bearer)).status

        reply = await call(port, "POST", "/v1/orders/tea", {"a": 1})

        assert (401, {"a": 2}) == (refused.status, reply.json()["got"])
    reply_when_closed = OutriderMiddleware(engine.api(), engine=engine, methods={})
    async with serve(reply_when_closed, lifespan="off") as port:
        assert 503 == (await call(port, "GET", "/healthz")).status
