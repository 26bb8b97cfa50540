"""`/metrics` of the whole API: who may read it, and that everything declared is there."""

from __future__ import annotations

import json

import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.calls.service import ADMIN_TOKEN, bearer, running
from api.calls.table import Caller
from api.wires import HttpRequest
from fakes.memory.store import MemoryStore
from outrider.bootstrap.app_context import registered_catalogue
from outrider.observability.metrics import DECLARED
from outrider.observability.process_metrics import ProcessMetrics
from outrider.observability.scrape import Scrape
from outrider.usecases.delivery.store_stats import StoreStats
from outrider.usecases.routing.routing_table import Routing
from support.builders import INSTANCE
from support.runtime import fixed_runtime

OWNER_OF_ALL = bearer(ADMIN_TOKEN)


@pytest.fixture
async def service(tmp_path):
    async with running(tmp_path) as service:
        yield service


async def scraped(service, headers=OWNER_OF_ALL, *, method="GET", path="/metrics"):
    return await service.client.exchange(HttpRequest(method, path, dict(headers)))


def values(response) -> dict[str, float]:
    """Every sample, by its name and label values."""
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(response.body.decode())
        for sample in family.samples
    }


async def test_a_role_that_reads_deliveries_reads_the_metrics(service):
    """
    Prometheus gets its own token, which can do nothing else.
    """
    viewer = await service.ask("CreateToken", {"account": "scraper", "roles": ["IAM_OWNER_VIEWER"]})
    publisher = await service.ask("CreateToken", {"account": "p", "roles": ["EVENT_PUBLISHER"]})

    assert 200 == (await scraped(service)).status
    assert 200 == (await scraped(service, bearer(viewer["token"]))).status
    refused = await scraped(service, bearer(publisher["token"]))
    assert (403, "permission_denied") == (refused.status, refused.json()["code"])


@pytest.mark.parametrize("caller", [Caller.NOBODY, Caller.OTHER_SCHEME, Caller.UNKNOWN])
async def test_a_stranger_reads_nothing(service, caller):
    """
    The metrics reveal traffic volumes.
    """
    response = await scraped(service, service.headers[caller])

    assert (401, "Bearer") == (response.status, response.headers["www-authenticate"])
    assert b"outrider_" not in response.body


async def test_a_tenant_does_not_read_the_numbers_of_all(service):
    """
    They are of every instance together.
    """
    made = await service.ask("CreateInstance", {"name": "other", "hosts": ["other.test"]})
    headers = {**bearer(made["token"]), "host": "other.test"}

    assert 403 == (await scraped(service, headers)).status
    assert 200 == (await scraped(service, {**OWNER_OF_ALL, "host": "other.test"})).status


async def test_a_setting_opens_it_to_all_callers(tmp_path):
    """
    For a network where only Prometheus reaches the port.
    """
    async with running(tmp_path, metrics_public=True) as service:
        response = await scraped(service, {})

    assert (200, "text/plain; version=0.0.4; charset=utf-8") == (
        response.status,
        response.headers["content-type"],
    )


async def test_only_the_path_itself_and_only_reading(service):
    """
    A prefix of a path is no other page, and nothing here can be changed.
    """
    head = await scraped(service, method="HEAD")

    assert (200, b"") == (head.status, head.body)
    assert 404 == (await scraped(service, path="/metrics/more")).status
    posted = await scraped(service, method="POST")
    assert (405, "GET, HEAD") == (posted.status, posted.headers["allow"])


async def test_everything_declared_is_there_and_what_happened_is_counted(service):
    """
    From the call that published to the rows that the store holds.
    """
    target = await service.ask(
        "CreateTarget",
        {"name": "t", "endpoint": f"{service.receiver}/ok", "restWebhook": {}, "timeout": "10s"},
    )
    await service.ask(
        "SetExecution",
        {"condition": {"event": {"event": "user.human.added"}}, "targets": [target["id"]]},
    )
    event = {"id": "e1", "eventType": "user.human.added"}
    await service.ask("PublishEvents", {"events": [event, {**event, "id": "e2"}]})
    await service.ask("PublishEvents", {"events": [event]})
    await service.ask("PauseTarget", {"targetId": target["id"]})
    unheard = json.dumps({"fullMethod": "/a.b.C/D", "request": {}}).encode()
    await service.client.exchange(
        HttpRequest(
            "POST",
            "/v1/intercept/request",
            {**OWNER_OF_ALL, "content-type": "application/json"},
            unheard,
        )
    )
    response = await scraped(service)
    text, found = response.body.decode(), values(response)

    assert [f"# TYPE {metric.name} {metric.kind}" for metric in DECLARED.values()] == [
        line for line in text.splitlines() if line.startswith("# TYPE")
    ]
    assert (2, 1) == tuple(
        found[f"outrider_events_published_total {result}"] for result in ("stored", "duplicate")
    )
    assert 2 == found["outrider_deliveries_created_total"]
    assert 2 == found["outrider_deliveries pending"]
    assert 1 == found["outrider_interceptions_total request unmatched"]
    assert (1, 0) == tuple(
        found[f"outrider_targets_suspended {reason}"] for reason in ("paused", "breaker_open")
    )
    assert 1 == found["outrider_target_queues"]
    published = "outrider_rpc_requests_total outrider.v1.EventService PublishEvents ok"
    assert 2 == found[published]
    assert 0 < found["outrider_store_commits_total ok"]
    assert 0 <= found["outrider_routing_age_seconds"] < 20
    assert 0 < found["outrider_oldest_open_delivery_age_seconds"]
    assert not {target["id"], service.instance, "e1"} & set(text.replace('"', " ").split())


class BrokenStore:
    """A store that cannot be read."""

    async def read(self, work):
        raise OSError("gone")


async def test_a_store_that_fails_leaves_the_other_numbers():
    """
    When the database is down an operator looks at the numbers.
    """
    runtime = fixed_runtime()
    routing = Routing(MemoryStore(), registered_catalogue())
    await routing.refresh()
    stats = StoreStats(BrokenStore(), runtime, INSTANCE)
    text = await Scrape(stats, runtime, routing, ProcessMetrics())()

    assert "outrider_build_info{" in text
    assert "\noutrider_store_stats_age_seconds " not in text
