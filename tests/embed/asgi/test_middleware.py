"""The middleware around real applications, behind a real server."""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
from contextlib import asynccontextmanager

import pytest
from fastapi import APIRouter, FastAPI, Request
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from embed.asgi_server import call, request, serve
from outrider.embed import Engine, on_request, on_response
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
        return {"name": name, "got": json.loads(body) if body else None}

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
        gzip.compress(b'{"a": 1}'),
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
def engine(tmp_path):
    return Engine.open(data_dir=tmp_path / "data", dev=True)


async def bind(engine: Engine, condition, receiver: Receiver, **options):
    target = await engine.create_target(f"target {condition}", receiver.url, **options)
    await engine.set_execution(condition, [target])
    return target


def answering(body: object) -> Receiver:
    return Receiver(lambda _: Answer(body=json.dumps(body).encode()))


async def test_a_request_is_rewritten_and_its_length_fits(engine):
    """
    A body that is longer than its content-length would be cut in the application.
    """
    longer = {"amount": 2, "note": "ä" * 100}
    async with answering(longer) as receiver, serve(shop(engine)) as port:
        await bind(engine, on_request(CREATE), receiver)

        reply = await call(port, "POST", "/v1/orders/tea?x=1", {"amount": 1})

        assert (200, {"name": "tea", "got": longer}) == (reply.status, reply.json())
        [seen] = [json.loads(target_call.body) for target_call in receiver.calls]
        assert (CREATE, {"amount": 1}) == (seen["fullMethod"], seen["request"])
        assert ["shop.example"] == seen["headers"]["host"]


async def test_no_body_is_an_empty_message(engine):
    """
    Targets check calls without a body too, and may give them one.
    """
    async with answering({"amount": 1}) as receiver, serve(shop(engine)) as port:
        await bind(engine, on_request(CREATE), receiver)

        reply = await call(port, "POST", "/v1/orders/tea", content_type="")

        assert {"name": "tea", "got": {"amount": 1}} == reply.json()
        assert {} == json.loads(receiver.calls[0].body)["request"]


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
    async with answering({"a": 1, "b": "ö"}) as receiver, serve(shop(engine)) as port:
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


@pytest.mark.parametrize("shape", sorted(SHAPES.keys() - {"object", "stream"}))
async def test_what_is_no_json_object_passes_untouched(tmp_path, shape):
    """
    Streams, files, errors and compressed bodies are none of a target's business.
    """
    engine = Engine.open(data_dir=tmp_path / "data", dev=True)
    async with (
        answering({"never": True}) as receiver,
        serve(shop(engine, max_body_bytes=3000)) as port,
    ):
        untouched = await call(port, "GET", f"/v1/shape/{shape.replace(' ', '%20')}")
        await bind(engine, on_response("/acme.Shop/shape"), receiver)

        reply = await call(port, "GET", f"/v1/shape/{shape.replace(' ', '%20')}")

        assert (untouched.status, untouched.body) == (reply.status, reply.body)
        assert [] == receiver.calls


async def test_a_short_stream_of_json_is_a_response_like_others(engine):
    """
    Frameworks send JSON in pieces, too.
    """
    async with answering({"b": 2}) as receiver, serve(shop(engine)) as port:
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


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"[1]", "application/json", 415),
        (b"{bad", "application/json", 415),
        (b'{"a": NaN}', "application/json", 415),
        (b'{"a": 1}', "text/plain", 415),
        (b'{"a": "' + b"x" * 3000 + b'"}', "application/json", 413),
        (b'{"a": "' + b"x" * 500_000 + b'"}', "application/json", 413),
    ],
)
async def test_other_requests_pass_or_are_refused_as_the_application_wants(
    tmp_path, body, content_type, status
):
    """
    A target that guards must not be passed by with a content type, where the application says so.
    """
    engine = Engine.open(data_dir=tmp_path / "data", dev=True)
    raw = "/acme.Shop/raw"
    async with answering({"never": True}) as receiver:
        async with serve(shop(engine, max_body_bytes=2000)) as port:
            await bind(engine, on_request(raw), receiver)
            passed = await call(port, "POST", "/v1/raw", body, content_type=content_type)
        async with serve(shop(engine, max_body_bytes=2000, refuse_others=True)) as port:
            refused = await call(port, "POST", "/v1/raw", body, content_type=content_type)

        assert (200, body) == (passed.status, passed.body)
        assert (status, "invalid_argument") == (refused.status, refused.json()["code"])
        assert [] == receiver.calls


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
        seen = json.loads(receiver.calls[0].body)
        assert ("ada", "7") == (seen["userID"], seen["orgID"])


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
        async with answering({"a": 2}) as receiver, serve(app, lifespan="off") as port:
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
    async with answering({"b": 2}) as receiver, serve(app) as port:
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
    async with serve(app) as port, answering({"a": 2}) as receiver:
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
