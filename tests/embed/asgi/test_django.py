"""The middleware around a real Django application, behind a real server."""

from __future__ import annotations

import json
import sys
from types import ModuleType

import django
import pytest
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import JsonResponse
from django.urls import clear_url_caches, include, path, re_path
from django.views import View

from embed.asgi_server import call, serve
from outrider.embed import Engine, Event, on_request, on_response
from outrider.embed.asgi import OutriderMiddleware
from outrider.errors import NotFound
from outrider.testing.receiver import Answer, Receiver

ENGINES: list[Engine] = []
ORDER = {"amount": 1}


async def orders(request, number: int):
    body = json.loads(request.body) if request.body else None
    return JsonResponse({"method": request.method, "number": number, "got": body})


def publish(request):
    """A view that is no coroutine: Django runs it in a thread."""
    result = ENGINES[0].run(ENGINES[0].publish(Event(event_type="order.created")))
    return JsonResponse({"id": result.id})


class Items(View):
    async def get(self, request, name: str):
        return JsonResponse([name, request.GET.get("x")], safe=False)


URLS = ModuleType("urls_of_the_shop")
URLS.urlpatterns = [
    path("orders/<int:number>/", orders),
    path("publish", publish, name="publish"),
    path("api/", include([re_path(r"^items/(?P<name>[a-z]+)$", Items.as_view(), name="items")])),
]


@pytest.fixture
def engine(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, URLS.__name__, URLS)
    if not settings.configured:
        settings.configure(
            ROOT_URLCONF=URLS.__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x", MIDDLEWARE=[]
        )
        django.setup()
    monkeypatch.setattr(settings, "ROOT_URLCONF", URLS.__name__, raising=False)
    clear_url_caches()
    engine = Engine.open(data_dir=tmp_path / "data", dev=True)
    ENGINES[:] = [engine]
    return engine


def shop(engine: Engine, **options) -> OutriderMiddleware:
    return OutriderMiddleware(
        get_asgi_application(), engine=engine, service="acme.Shop", opens_engine=True, **options
    )


def answering(answer: object) -> Receiver:
    return Receiver(lambda _: Answer(body=json.dumps(answer).encode()))


async def bind(engine: Engine, condition, receiver: Receiver, **options) -> None:
    target = await engine.create_target(f"target {condition}", receiver.url, **options)
    await engine.set_execution(condition, [target])


@pytest.mark.parametrize("lifespan", ["on", "off"])
async def test_django_needs_no_table_of_methods(engine, lifespan):
    """
    Its URLs are known, and the engine is open from the first call on.
    """
    async with serve(shop(engine), lifespan=lifespan) as port:
        first = await call(port, "POST", "/orders/7/?x=1", ORDER)
        async with answering({"body": {"amount": 2}}) as receiver:
            await bind(engine, on_request("/acme.Shop/post_orders_number"), receiver)
            changed = await call(port, "POST", "/orders/7/?x=1", ORDER)
            other = await call(port, "GET", "/orders/7/", content_type="")
        assert engine.is_open
        [seen] = receiver.calls

    assert (200, ORDER) == (first.status, first.json()["got"])
    assert {"method": "POST", "number": 7, "got": {"amount": 2}} == changed.json()
    assert {"method": "GET", "number": 7, "got": None} == other.json()
    message = {"path": {"number": "7"}, "query": {"x": "1"}, "body": ORDER}
    assert message == json.loads(seen.body)["request"]
    if lifespan == "on":
        assert not engine.is_open
    await engine.aclose()


async def test_views_behind_expressions_and_includes_are_methods(engine):
    """
    Lists as answers, too; a view of a class has the methods that it has code for.
    """
    async with serve(shop(engine)) as port, answering({"body": ["changed"]}) as receiver:
        await bind(engine, on_response("/acme.Shop/get_api_items_name"), receiver)
        listing = await call(port, "GET", "/api/items/tea?x=1", content_type="")
        missing = await call(port, "GET", "/api/items/7", content_type="")
        refused = await call(port, "POST", "/api/items/tea", ORDER)

        assert ["changed"] == listing.json()
        assert [404, 405] == [missing.status, refused.status]
        assert {"body": ["tea", "1"]} == json.loads(receiver.calls[0].body)["response"]
        with pytest.raises(NotFound):
            await engine.set_execution(on_request("/acme.Shop/post_api_items_name"), [])


async def test_a_view_in_a_thread_publishes(engine):
    """
    Most views of Django are no coroutines.
    """
    async with serve(shop(engine)) as port:
        reply = await call(port, "GET", "/publish", content_type="")

    assert (200, True) == (reply.status, reply.json()["id"].isdecimal())


async def test_an_engine_that_cannot_be_opened_answers_503_and_why(engine, tmp_path):
    """
    Behind a server without lifespan nothing else tells the operator.
    """
    holder = Engine.open(data_dir=tmp_path / "data", dev=True)
    async with holder, serve(shop(engine), lifespan="off") as port:
        reply = await call(port, "GET", "/orders/7/", content_type="")

    assert (503, "unavailable") == (reply.status, reply.json()["code"])
    assert "beside_engines=True" in reply.json()["message"]


async def test_an_application_without_routes_is_told_to_give_a_table(engine, monkeypatch):
    """
    Neither Starlette's routes nor Django's URLs: it cannot be known what a call is.
    """
    monkeypatch.setattr(settings, "ROOT_URLCONF", None)

    async def bare(scope, receive, send):
        raise AssertionError("it is not called")

    app = OutriderMiddleware(bare, engine=engine)
    async with serve(app, lifespan="off") as port:
        reply = await call(port, "GET", "/", content_type="")

    assert 503 == reply.status
    assert "methods=" in reply.json()["message"]
