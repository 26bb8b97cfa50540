"""Which schema a method has, and how often it is looked up."""

from __future__ import annotations

import json

import pytest

from outrider.adapters.json_schema import JsonSchemas
from outrider.bootstrap.app_context import registered_schemas
from outrider.domain.interception.proto_schema import ProtoSchemas
from outrider.domain.routing.catalogue_entry import Entry, EntryKind
from outrider.domain.routing.condition import ConditionKind
from outrider.errors import InvalidRequest
from outrider.usecases.routing.catalogue import ManageCatalogue
from outrider.usecases.routing.method_schemas import MethodSchemas
from support.builders import ANOTHER_INSTANCE, INSTANCE, an_actor
from worker.harness import LogRecorder

REQUEST, RESPONSE = ConditionKind.REQUEST, ConditionKind.RESPONSE
OWN, ZITADELS = "/shop.v1.Shop/Buy", "/zitadel.user.v2.UserService/AddHumanUser"
SCHEMA = json.dumps({"properties": {"total": {"type": "number"}}})


def unread() -> ProtoSchemas:
    raise AssertionError("ZITADEL's types were read")


class Counting:
    """A store that counts reads."""

    def __init__(self, store) -> None:
        self._store = store
        self.reads = 0

    async def read(self, work):
        self.reads += 1
        return await self._store.read(work)


@pytest.fixture
def log() -> LogRecorder:
    return LogRecorder()


@pytest.fixture
def counting(store) -> Counting:
    return Counting(store)


@pytest.fixture
def schemas(counting, routing, log) -> MethodSchemas:
    return MethodSchemas(counting, routing, JsonSchemas(), registered_schemas, log)


async def describe(store, routing, method: str, schema: str | None) -> None:
    entry = Entry(kind=EntryKind.METHOD, name=method, schema_json=schema)
    await ManageCatalogue(store, routing, JsonSchemas(), registered_schemas).add(
        an_actor(), [entry]
    )


async def test_methods_of_an_application_do_not_read_zitadels_types(store, routing, log):
    """
    Most servers never need them.
    """
    schemas = MethodSchemas(store, routing, JsonSchemas(), unread, log)
    assert await schemas.of(INSTANCE, OWN, REQUEST) is None
    await describe(store, routing, OWN, SCHEMA)
    assert await schemas.of(INSTANCE, OWN, REQUEST) is not None
    with pytest.raises(AssertionError, match="were read"):
        await schemas.of(INSTANCE, ZITADELS, REQUEST)


async def test_requests_and_responses_have_their_own_types(schemas):
    request = await schemas.of(INSTANCE, ZITADELS, REQUEST)
    response = await schemas.of(INSTANCE, ZITADELS, RESPONSE)
    assert request.has_member("username")
    assert not request.has_member("details")
    assert response.has_member("details")


async def test_a_schema_of_the_instance_comes_before_zitadels_types(store, routing, schemas):
    """
    Who describes a method means it.
    """
    assert not (await schemas.of(INSTANCE, ZITADELS, REQUEST)).has_member("total")
    await describe(store, routing, ZITADELS, SCHEMA)
    assert (await schemas.of(INSTANCE, ZITADELS, REQUEST)).has_member("total")
    assert not (await schemas.of(ANOTHER_INSTANCE, ZITADELS, REQUEST)).has_member("total")

    await describe(store, routing, ZITADELS, None)
    assert not (await schemas.of(INSTANCE, ZITADELS, REQUEST)).has_member("total")


async def test_a_method_may_have_a_schema_for_each_direction(store, routing, schemas):
    """
    Without its own schema a response is checked by the request's, where it fitted before.
    """
    entry = Entry(
        kind=EntryKind.METHOD,
        name=OWN,
        schema_json='{"properties":{"asked":{}}}',
        response_schema_json='{"properties":{"answered":{}}}',
    )
    await store.write(lambda unit: unit.catalogue.put(INSTANCE, [entry]))
    await routing.refresh()

    assert (await schemas.of(INSTANCE, OWN, REQUEST)).has_member("asked")
    assert (await schemas.of(INSTANCE, OWN, RESPONSE)).has_member("answered")
    assert not (await schemas.of(INSTANCE, OWN, RESPONSE)).has_member("asked")


async def test_a_schema_of_the_response_alone_checks_no_request(store, routing, schemas):
    """
    It says nothing about requests.
    """
    entry = Entry(kind=EntryKind.METHOD, name=OWN, response_schema_json="{}")
    await store.write(lambda unit: unit.catalogue.put(INSTANCE, [entry]))
    await routing.refresh()

    assert await schemas.of(INSTANCE, OWN, REQUEST) is None
    assert await schemas.of(INSTANCE, OWN, RESPONSE) is not None


async def test_a_schema_is_looked_up_once_for_each_revision(store, routing, schemas, counting):
    """
    Every call of the method asks for it.
    """
    for _ in range(3):
        await schemas.of(INSTANCE, OWN, REQUEST)
    assert 0 == counting.reads

    await describe(store, routing, OWN, SCHEMA)
    for _ in range(3):
        found = await schemas.of(INSTANCE, OWN, REQUEST)
    assert 1 == counting.reads
    assert found is await schemas.of(INSTANCE, OWN, REQUEST)

    await describe(store, routing, OWN, "{}")
    assert found is not await schemas.of(INSTANCE, OWN, REQUEST)
    assert 2 == counting.reads


async def test_an_unusable_schema_of_an_earlier_release_is_none(store, routing, schemas, log):
    """
    It took every object; calls continue as before, and the log says so once.
    """
    entry = Entry(kind=EntryKind.METHOD, name=OWN, schema_json='{"type":"nothing"}')
    await store.write(lambda unit: unit.catalogue.put(INSTANCE, [entry]))
    await routing.refresh()
    for _ in range(2):
        assert await schemas.of(INSTANCE, OWN, REQUEST) is None
    assert ["schema.rejected"] == [event for _, event, _ in log.kept]


async def test_an_unusable_schema_is_refused(store, routing):
    """
    Who adds it believes that answers are checked.
    """
    with pytest.raises(InvalidRequest, match=r"Entries\[0\]\.Schema: value must be"):
        await describe(store, routing, OWN, '{"type":"nothing"}')


async def test_few_methods_are_kept(store, routing, log):
    """
    Callers name methods as they like.
    """
    schemas = MethodSchemas(store, routing, JsonSchemas(), registered_schemas, log, most=10)
    for number in range(100):
        await schemas.of(INSTANCE, f"/a.B/M{number}", REQUEST)
    assert len(schemas._known) <= 10
