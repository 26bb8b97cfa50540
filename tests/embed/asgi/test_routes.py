"""Paths and the methods that they are."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from fastapi import APIRouter, FastAPI
from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import Route, compile_path

from outrider.cli.catalogue.openapi import operations_of, read_openapi
from outrider.embed.asgi.routes import RoutedMethod, routes_from_table, routes_of_app

METHOD = "/acme.v1.Shop/Create"
TEMPLATES = [
    "/orders/{id}",
    "/orders/{id}/lines/{line:int}",
    "/files/{rest:path}",
    "/sizes/{size:float}",
    "/a.b/{id:uuid}/c",
    "/orders/{größe}",
    "/",
]
PATHS = st.one_of(
    st.from_regex(r"/(orders|files|sizes|a\.b)(/[a-z0-9.]{0,3}){0,4}\n?", fullmatch=True),
    st.text("/ao.1\n", max_size=8).map("/".__add__),
)


@pytest.mark.parametrize("template", TEMPLATES)
@given(path=PATHS)
def test_a_template_fits_the_paths_that_starlette_fits(template, path):
    """
    A path that the application answers and the middleware does not know is a way past the guard.
    """
    routes = routes_from_table({f"GET {template}": METHOD})
    match = compile_path(template)[0].match(path)

    expected = RoutedMethod(METHOD, match.groupdict()) if match else None
    assert expected == routes.find("GET", path)


def test_the_first_route_that_fits_counts():
    """
    As in the routers of the frameworks.
    """
    routes = routes_from_table({"GET /orders/{id}": METHOD, "GET /orders/new": "/acme.v1.Shop/New"})

    assert RoutedMethod(METHOD, {"id": "new"}) == routes.find("GET", "/orders/new")
    assert None is routes.find("POST", "/orders/new")
    assert [METHOD, "/acme.v1.Shop/New"] == routes.full_methods


def test_names_that_no_method_has_are_made_into_ones():
    """
    Endpoints may be named after anything; the catalogue takes identifiers.
    """

    async def endpoint(_request):
        """Nothing."""

    routes = routes_of_app([Route("/x", endpoint, name="list orders-v2")], "acme.Shop")

    assert ["/acme.Shop/list_orders_v2"] == routes.full_methods


def test_operations_are_named_as_an_import_of_the_document_names_them():
    """
    Executions are set for one name, whether the catalogue has it from the document or from here.
    """
    app = FastAPI()
    router = APIRouter(prefix="/v1")

    @router.post("/orders/{shop}", operation_id="createOrder")
    async def create(shop: str):
        """Nothing."""

    @app.get("/named", name="list orders")
    async def named():
        """Nothing."""

    app.include_router(router)
    app.add_api_route("/later", named, operation_id="later-on")
    imported = operations_of(read_openapi(app.openapi()), "acme.Shop")
    routes = routes_of_app(app.routes, "acme.Shop")

    assert RoutedMethod("/acme.Shop/createOrder", {"shop": "tea"}) == routes.find(
        "POST", "/v1/orders/tea"
    )
    given = {"/acme.Shop/createOrder", "/acme.Shop/later_on"}
    assert given <= {operation.full_method for operation in imported}
    assert given | {"/acme.Shop/list_orders"} <= {*routes.full_methods}


def test_a_route_without_a_name_is_its_method_and_the_words_of_its_path():
    """
    As an operation without an id: some frameworks name no route.
    """
    routes = routes_of_app([SimpleNamespace(path="/orders/{id}", methods={"GET"})], "acme.Shop")

    assert ["/acme.Shop/get_orders_id"] == routes.full_methods
