"""The same calls through each framework, over real sockets: the same answers."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from contextlib import asynccontextmanager, contextmanager
from http.client import HTTPConnection
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
import pytest
import uvicorn
from aiohttp import web
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.urls import path
from fastapi import FastAPI
from flask import Flask
from starlette.applications import Starlette

from outrider_receiver import Answer, Receiver, refuse
from outrider_receiver.frameworks import aiohttp as for_aiohttp
from outrider_receiver.frameworks import aws_lambda
from outrider_receiver.frameworks import django as for_django
from outrider_receiver.frameworks import flask as for_flask
from outrider_receiver.frameworks import starlette as for_starlette
from outrider_receiver.serve import ReceiverServer
from outrider_receiver.testing import SIGNING_KEY, Sender, SignedCall

MOST = 100_000
SENDER = Sender()


def make_receiver() -> Receiver:
    receiver = Receiver(signing_keys=SIGNING_KEY, max_body_bytes=MOST)

    @receiver.event("user.human.added")
    async def added(_event) -> None:
        await asyncio.sleep(0)

    @receiver.event("broken")
    def broken(_event) -> None:
        raise OSError("down")

    @receiver.function("preaccesstoken")
    def token(_call) -> Answer:
        return Answer(claims={"team": "Zoë"})

    @receiver.request()
    async def request(_call):
        return refuse(403, "no")

    return receiver


RECEIVER = make_receiver()
settings.configure(
    ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="tests", LOGGING_CONFIG=None
)
django.setup()
urlpatterns = [path("hook", for_django.view(RECEIVER))]


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def wsgi(application):
    server = make_server("127.0.0.1", 0, application, handler_class=Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def in_a_loop(running):
    """Whatever `async with running() as port` serves, in a loop of another thread."""
    ready, loop = threading.Event(), asyncio.new_event_loop()
    found: dict[str, object] = {}

    async def serve() -> None:
        found["stop"] = asyncio.Event()
        async with running() as port:
            found["port"] = port
            ready.set()
            await found["stop"].wait()

    def run() -> None:
        loop.run_until_complete(serve())
        # asyncio.to_thread makes threads that would outlive the loop.
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(20)
    try:
        yield found["port"]
    finally:
        loop.call_soon_threadsafe(found["stop"].set)
        thread.join(20)


def asgi(application):
    @asynccontextmanager
    async def running():
        config = uvicorn.Config(
            application, port=0, log_level="critical", lifespan="off", ws="none"
        )
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.005)
        yield server.servers[0].sockets[0].getsockname()[1]
        server.should_exit = True
        await task

    return in_a_loop(running)


def starlette_app():
    application = Starlette()
    application.add_route("/hook", for_starlette.endpoint(RECEIVER), methods=["POST"])
    return asgi(application)


def fastapi_app():
    application = FastAPI()
    application.post("/hook")(for_starlette.endpoint(RECEIVER))
    return asgi(application)


def flask_app():
    application = Flask("outrider_receiver")
    application.add_url_rule("/hook", view_func=for_flask.view(RECEIVER), methods=["POST"])
    return wsgi(application)


def aiohttp_app():
    @asynccontextmanager
    async def running():
        application = web.Application(client_max_size=10)
        application.router.add_post("/hook", for_aiohttp.endpoint(RECEIVER))
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
        await runner.cleanup()

    return in_a_loop(running)


@contextmanager
def own_server():
    server = ReceiverServer(RECEIVER)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


APPLICATIONS = {
    "starlette": starlette_app,
    "fastapi": fastapi_app,
    "flask": flask_app,
    "django wsgi": lambda: wsgi(WSGIHandler()),
    "django asgi": lambda: asgi(ASGIHandler()),
    "aiohttp": aiohttp_app,
    "own server": own_server,
}


@pytest.fixture(scope="module", params=APPLICATIONS)
def post(request):
    """Send one call; the status, the headers and the body of the answer."""
    with APPLICATIONS[request.param]() as port:

        def send(call: SignedCall, method: str = "POST"):
            connection = HTTPConnection("127.0.0.1", port, timeout=20)
            try:
                connection.request(method, "/hook", body=call.body, headers=call.headers)
                answer = connection.getresponse()
                return answer.status, dict(answer.getheaders()), answer.read()
            finally:
                connection.close()

        yield send


def test_an_event_is_received(post):
    """
    The body reaches the receiver byte for byte, and the handler is called.
    """
    status, headers, body = post(SENDER.event(event_payload={"name": "Zoë"}))

    assert (204, b"") == (status, body)
    assert "content-type" not in {name.lower() for name in headers}


def test_claims_are_answered(post):
    """
    With a type that says what it is.
    """
    status, headers, body = post(SENDER.function("preaccesstoken"))
    found = {name.lower(): value for name, value in headers.items()}

    assert 200 == status
    assert {"append_claims": [{"key": "team", "value": "Zoë"}]} == json.loads(body)
    assert "application/json" == found["content-type"]


def test_a_call_is_refused(post):
    """
    As the contract says it: 200, and the two names.
    """
    status, _, body = post(SENDER.request("/a.B/C", {}))

    assert (200, {"forwardedStatusCode": 403, "forwardedErrorMessage": "no"}) == (
        status,
        json.loads(body),
    )


def test_a_forged_call_is_not_believed(post):
    """
    The same 400 everywhere.
    """
    forged = Sender("guess").event()

    assert (400, b"no_match: no signature was made with a known signing key") == post(forged)[::2]


def test_a_handler_that_fails_has_the_event_come_again(post):
    """
    500 and nothing about why.
    """
    assert (500, b"") == post(SENDER.event("broken"))[::2]


def test_too_large_a_body_is_not_read(post):
    """
    Bounded before anything else.
    """
    assert 413 == post(SENDER.event(event_payload={"a": "x" * MOST}))[0]


def test_a_large_body_that_is_allowed_arrives_whole(post):
    """
    Whatever the framework's limit of forms is.
    """
    assert 204 == post(SENDER.event(event_payload={"a": "x" * (MOST - 1000)}))[0]


def test_a_header_that_came_twice_differently_is_not_believed(post):
    """
    Two readers could believe two things, whether the server joins the values or not.
    """
    call = SENDER.event()
    other = Sender("guess").event().headers["Zitadel-Signature"]
    status, _, body = post(SignedCall(call.body, {**call.headers, "zitadel-signature": other}))

    assert 400 == status
    assert body.partition(b":")[0] in {b"conflicting", b"malformed"}


def test_only_post_is_answered(post):
    """
    A browser that looks is told so.
    """
    assert 405 == post(SENDER.event(), "PUT")[0]


def v1(call: SignedCall, *, encoded: bool) -> dict[str, object]:
    """An event of a REST API, or of a load balancer with multi-value headers."""
    body = base64.b64encode(call.body).decode() if encoded else call.body.decode()
    several = {name: [value] for name, value in call.headers.items()}
    return {
        "httpMethod": "POST",
        "multiValueHeaders": several,
        "headers": call.headers,
        "body": body,
        "isBase64Encoded": encoded,
    }


def v2(call: SignedCall, *, encoded: bool) -> dict[str, object]:
    """An event of an HTTP API or a function URL: names in lower case."""
    lower = {name.lower(): value for name, value in call.headers.items()}
    return {
        **v1(call, encoded=encoded),
        "version": "2.0",
        "multiValueHeaders": None,
        "headers": lower,
    }


@pytest.mark.parametrize("event_of", [v1, v2])
@pytest.mark.parametrize("encoded", [True, False])
def test_lambda_answers_the_same(event_of, encoded):
    """
    Its events have the shapes that AWS documents; there is no server to be had here.
    """
    handler = aws_lambda.lambda_handler(RECEIVER)

    def send(call: SignedCall) -> dict[str, object]:
        return handler(event_of(call, encoded=encoded), None)

    claims = send(SENDER.function("preaccesstoken"))
    assert 200 == claims["statusCode"]
    assert [{"key": "team", "value": "Zoë"}] == json.loads(claims["body"])["append_claims"]
    assert {"Content-Type": "application/json"} == claims["headers"]
    assert 204 == send(SENDER.event(event_payload={"name": "Zoë"}))["statusCode"]
    assert 400 == send(Sender("guess").event())["statusCode"]
    assert 413 == send(SENDER.event(event_payload={"a": "x" * MOST}))["statusCode"]


def test_lambda_refuses_what_is_no_call():
    """
    A health check, a broken Base64, a header with two values.
    """
    handler = aws_lambda.lambda_handler(RECEIVER)
    call = v1(SENDER.event(), encoded=True)
    call["multiValueHeaders"]["Zitadel-Signature"].append("t=1,v1=00")

    assert 400 == handler({}, None)["statusCode"]
    assert 400 == handler({"body": "!", "isBase64Encoded": True}, None)["statusCode"]
    assert 400 == handler(call, None)["statusCode"]
