"""An engine in this process: opened, used, closed, and refused a data directory."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import subprocess
import sys

import pytest

from outrider.domain.routing.catalogue_entry import EntryKind, EntryName
from outrider.embed import (
    ConditionKind,
    Engine,
    Event,
    TargetType,
    on_event,
    on_function,
    on_request,
    on_response,
)
from outrider.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidRequest,
    NotFound,
    OutriderError,
    PermissionDenied,
    StartupError,
    Unavailable,
)
from outrider.testing.receiver import Answer, Receiver

METHOD = "/acme.v1.Shop/Create"


def answering(body: object) -> Receiver:
    return Receiver(lambda _: Answer(body=json.dumps(body).encode()))


def refusing(status: int, message: str) -> Receiver:
    forwarded = {"forwardedStatusCode": status, "forwardedErrorMessage": message}
    return Receiver(lambda _: Answer(body=json.dumps(forwarded).encode()))


async def test_a_target_has_an_id_that_zitadels_clients_take(engine):
    """
    As over the API: a program may embed today and move to a server with Terraform tomorrow.
    """
    assert re.fullmatch(
        r"\d{18}", (await engine.create_target("audit", "https://hook.example/")).id
    )


async def test_a_target_rewrites_a_request(engine):
    """
    The least that an engine is for: no server, one call, one answer.
    """
    async with answering({"amount": 2}) as receiver:
        await engine.register_methods([METHOD])
        target = await engine.create_target("rewrite", receiver.url)
        await engine.set_execution(on_request(METHOD), [target])

        done = await engine.intercept_request(
            METHOD, {"amount": 1}, headers={"Host": ["shop.example"]}, org_id="7", user_id="9"
        )

        assert ({"amount": 2}, "request/acme.v1.Shop/Create") == (done.message, done.execution)
        assert done.interception_id.isdecimal()
        [call] = receiver.calls
        assert {
            "fullMethod": METHOD,
            "instanceID": json.loads(call.body)["instanceID"],
            "orgID": "7",
            "userID": "9",
            "request": {"amount": 1},
            "headers": {"Host": ["shop.example"]},
        } == json.loads(call.body)


async def test_a_target_refuses_a_request_with_its_own_words(engine):
    """
    The application has to see which target said no, and why, as an error of outrider's tree.
    """
    async with refusing(403, "not on a Sunday") as receiver:
        await engine.register_methods([METHOD])
        target = await engine.create_target("guard", receiver.url, interrupt_on_error=True)
        await engine.set_execution(on_request(METHOD), [target])

        with pytest.raises(PermissionDenied) as refusal:
            await engine.intercept_request(METHOD, {})

        assert "not on a Sunday" in str(refusal.value)
        assert target.id == refusal.value.target_id
        assert refusal.value.interception_id.isdecimal()


async def test_a_target_adds_to_a_response_and_sees_the_request(engine):
    """
    Targets check a response by its request.
    """
    async with answering({"id": "1", "note": "hello"}) as receiver:
        await engine.register_methods([METHOD])
        target = await engine.create_target("add", receiver.url)
        await engine.set_execution(on_response(METHOD), [target])

        done = await engine.intercept_response(METHOD, {"id": "1"}, request={"amount": 1})

        assert {"id": "1", "note": "hello"} == done.message
        assert {"amount": 1} == json.loads(receiver.calls[0].body)["request"]


async def test_functions_answer_what_their_targets_add_up_to(engine):
    """
    Token claims come from here in an identity provider that embeds.
    """
    async with answering({"append_claims": [{"key": "a", "value": 1}]}) as receiver:
        target = await engine.create_target("claims", receiver.url)
        await engine.set_execution(on_function("preuserinfo"), [target])

        done = await engine.call_function("preuserinfo", {"userinfo": {}})

        assert [{"key": "a", "value": 1}] == done.message["append_claims"]


async def test_what_nothing_matches_is_handed_back_itself(engine):
    """
    Most calls of most applications: they must cost nothing, and no copy.
    """
    request = {"amount": 1}

    done = await engine.intercept_request(METHOD, request)

    assert done.message is request
    assert (None, ()) == (done.execution, done.calls)


async def test_more_deliveries_than_one_call_may_make_are_refused(engine, receiver):
    """
    The same limit as over the wire, in the same words; nothing of the call is stored.
    """
    await engine.register_event_types(["order.created"])
    targets = [
        await engine.create_target(f"hook {number}", receiver.url, type="webhook")
        for number in range(6)
    ]
    await engine.set_execution(on_event("order.created"), targets)
    events = [Event(event_type="order.created", id=f"order {number}") for number in range(834)]

    with pytest.raises(InvalidRequest, match="send the first 833 of them alone"):
        await engine.publish(events)
    assert not (await engine.publish(events[0])).is_duplicate


async def test_a_published_event_arrives_signed(engine, receiver):
    """
    The engine delivers in the loop of its host.
    """
    target = await engine.create_target("hook", receiver.url, type="webhook")
    receiver.signing_keys = [target.signing_key]
    await engine.register_event_types(["order.created"])
    await engine.set_execution(on_event("order.created"), [target])

    published = await engine.publish(
        Event(event_type="order.created", aggregate_id="42", payload={"total": 3})
    )
    [call] = await receiver.wait_for(1)

    assert (1, False) == (published.deliveries, published.is_duplicate)
    assert call.verified is not None
    assert ("order.created", {"total": 3}) == (
        json.loads(call.body)["event_type"],
        json.loads(call.body)["event_payload"],
    )


async def test_the_same_id_is_a_duplicate(engine):
    """
    Applications retry: that must not double what their receivers do.
    """
    event = Event(event_type="order.created", id="order-7")

    [first, second] = [await engine.publish(event), (await engine.publish([event]))[0]]

    assert [False, True] == [first.is_duplicate, second.is_duplicate]


@pytest.mark.parametrize(
    ("event", "field"),
    [
        (Event(event_type="order created"), "EventType"),
        (Event(event_type="a" * 1001), "event_type"),
        (Event(event_type="a.b", id="i" * 201), "id"),
        (Event(event_type="a.b", sequence=-1), "sequence"),
        (Event(event_type="a.b", payload={"x": float("nan")}), "payload"),
        (Event(event_type="a.b", payload={"x": object()}), "payload"),
        (Event(event_type="a.b", payload={"x": "\ud800"}), "payload"),
        (Event(event_type="a.b", user_id="\ud800"), "user_id"),
    ],
)
async def test_an_event_that_cannot_be_is_refused_by_its_field(engine, event, field):
    """
    The same limits as over the wire: what was stored here has to be shown there.
    """
    with pytest.raises(InvalidRequest, match=field):
        await engine.publish(event)


async def test_an_engine_without_deliveries_leaves_them_to_others(tmp_path, receiver):
    """
    A web process may publish while a separate worker delivers.
    """
    data = tmp_path / "data"
    async with Engine.open(data_dir=data, dev=True, deliver=False) as engine:
        target = await engine.create_target("hook", receiver.url, type=TargetType.REST_WEBHOOK)
        await engine.set_execution(on_event(), [target])
        await engine.publish(Event(event_type="order.created"))
        [pending] = await engine.list_deliveries()
        assert "PENDING" == pending.state.name
    assert [] == receiver.calls

    async with Engine.open(data_dir=data, dev=True):
        await receiver.wait_for(1)


async def test_targets_and_executions_can_be_managed_without_a_server(engine, receiver):
    """
    An application without a server has no other tool.
    """
    made = await engine.put_target("hook", receiver.url, timeout=3)
    again = await engine.put_target("hook", f"{receiver.url}/2", timeout=4, type="webhook")
    await engine.register_methods([METHOD])
    await engine.set_execution("request/acme.v1.Shop/Create", [made])

    assert (made.id, made.signing_key) == (again.id, again.signing_key)
    assert [again] == await engine.list_targets()
    assert again == await engine.get_target(made.id)
    [execution] = await engine.list_executions()
    assert execution == await engine.get_execution(on_request(METHOD))
    assert "request/acme.v1.Shop/Create" == (await engine.explain("request", METHOD)).matched
    name = EntryName(METHOD, EntryKind.METHOD)
    with pytest.raises(FailedPrecondition):
        await engine.unregister([name])
    await engine.delete_execution(on_request(METHOD))
    assert 1 == await engine.unregister([name])
    assert None is await engine.get_execution(on_request(METHOD))
    assert await engine.delete_target(made) is not None
    with pytest.raises(NotFound):
        await engine.get_target(made)


async def test_processes_that_put_the_same_target_concurrently_all_have_it(engine, receiver):
    """
    Four workers of one host start together: three of them did not start at all.
    """
    put = [engine.put_target("shared", receiver.url, timeout=3) for _ in range(8)]
    made = await asyncio.gather(*put)

    assert 1 == len({target.id for target in made})
    assert ["shared"] == [target.name for target in await engine.list_targets()]


async def test_what_cannot_be_is_refused_with_the_errors_of_outrider(engine, receiver):
    """
    One tree of errors, at every entry point.
    """
    await engine.create_target("hook", receiver.url)

    for wrong, error in [
        (engine.create_target("hook", receiver.url), AlreadyExists),
        (engine.create_target("", receiver.url), InvalidRequest),
        (engine.create_target("a", "gopher://x"), InvalidRequest),
        (engine.create_target("a", receiver.url, type="carrier pigeon"), InvalidRequest),
        (engine.create_target("a", receiver.url, timeout=271), InvalidRequest),
        (engine.create_target("a", receiver.url, timeout=0), InvalidRequest),
        (engine.set_execution("letter/x", []), InvalidRequest),
        (engine.set_execution(on_request("/no.Such/Method"), []), NotFound),
        (engine.explain("letter", "x"), InvalidRequest),
        (engine.intercept_response(METHOD, {}, request={}), None),
    ]:
        if error is None:
            await wrong
            continue
        with pytest.raises(error):
            await wrong


async def test_an_engine_that_is_not_open_says_so(tmp_path):
    """
    A forgotten `async with` is found by its sentence.
    """
    engine = Engine.open(data_dir=tmp_path)

    with pytest.raises(Unavailable, match="async with engine"):
        await engine.publish(Event(event_type="a.b"))
    with pytest.raises(Unavailable, match="async with engine"):
        await engine.intercept_request(METHOD, {})
    await engine.aclose()


async def test_closing_waits_for_what_is_in_flight_and_may_be_repeated(tmp_path):
    """
    A host that stops must not cut its own last requests.
    """
    go_on = asyncio.Event()
    async with Receiver([Answer(hang_until=go_on, body=b'{"a":2}')]) as receiver:
        engine = await Engine.open(data_dir=tmp_path / "data", dev=True).start()
        await engine.register_methods([METHOD])
        await engine.set_execution(
            on_request(METHOD), [await engine.create_target("slow", receiver.url)]
        )
        call = asyncio.create_task(engine.intercept_request(METHOD, {"a": 1}))
        await receiver.wait_for(1)
        closing = asyncio.create_task(engine.aclose())
        await asyncio.sleep(0)
        assert not closing.done()
        go_on.set()

        assert {"a": 2} == (await call).message
        await closing
        await engine.aclose()
    assert not engine.is_open


async def test_an_engine_can_be_opened_again(tmp_path):
    """
    Frameworks start and stop an application many times in one process of tests.
    """
    engine = Engine.open(data_dir=tmp_path / "data", dev=True)
    for number in range(2):
        async with engine:
            published = await engine.publish(Event(event_type="a.b", id="1"))
            assert bool(number) is published.is_duplicate


async def test_settings_are_checked_like_those_of_a_server(tmp_path):
    """
    A misspelt setting must not be a silent default, and a secret is never repeated.
    """
    with pytest.raises(StartupError) as refusal:
        Engine.open(data_dirr=tmp_path, worker_concurrency=0, master_key="hunter2")

    text = str(refusal.value)
    assert "data_dirr: no such setting. Did you mean data_dir?" in text
    assert "worker_concurrency = '0': must be a whole number from 1 to 10000" in text
    assert "hunter2" not in text


async def test_the_environment_counts_where_no_argument_does(tmp_path):
    """
    The same variables as a server's: one deployment, two shapes.
    """
    environ = {"OUTRIDER_DATA_DIR": str(tmp_path / "env"), "OUTRIDER_MASTER_KEY": "A" * 43 + "="}

    engine = Engine.from_environ(environ, drain_timeout=1)

    assert f"<Engine {tmp_path / 'env'} [closed]>" == repr(engine)
    async with Engine.from_environ(environ, data_dir=tmp_path / "argument") as engine:
        assert f"<Engine {tmp_path / 'argument'} [open, in flight: 0]>" == repr(engine)
    assert not (tmp_path / "argument" / "master.key").exists()


def second(data_dir, *, beside: str = "False") -> subprocess.CompletedProcess[str]:
    script = f"""
import asyncio
from outrider.embed import Engine, Event
async def main():
    async with Engine.open(data_dir={str(data_dir)!r}, dev=True, beside_engines={beside}) as engine:
        print((await engine.publish(Event(event_type="a.b", id="second"))).id)
asyncio.run(main())
"""
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=40, check=False
    )


async def test_a_second_program_on_the_same_directory_is_told_which_process_has_it(tmp_path):
    """
    Two hosts with one directory by mistake: both would deliver, and one would be a mystery.
    """
    data = tmp_path / "data"
    async with Engine.open(data_dir=data, dev=True) as engine:
        refused = await asyncio.to_thread(second, data)
        joined = await asyncio.to_thread(second, data, beside="True")
        known = await engine.publish(Event(event_type="a.b", id="second"))

    assert f"process {os.getpid()} embedded" in refused.stderr
    assert "StartupError" in refused.stderr
    assert ("second\n", True) == (joined.stdout, known.is_duplicate)


async def test_no_secret_shows_in_what_an_engine_prints(tmp_path, caplog):
    """
    Hosts log their objects, and theirs is not our log.
    """
    caplog.set_level(logging.DEBUG, logger="outrider")
    async with Engine.open(
        data_dir=tmp_path / "data", dev=True, admin_token="open-sesame-0123"
    ) as engine:
        async with answering({}) as receiver:
            target = await engine.create_target("a", receiver.url)
            await engine.register_methods([METHOD])
            await engine.set_execution(on_request(METHOD), [target])
            await engine.intercept_request(METHOD, {})
        shown = repr(engine) + repr(target) + caplog.text

    assert "interception.called" in caplog.text
    assert "open-sesame-0123" not in shown
    assert target.signing_key not in shown


async def test_interceptions_end_when_their_caller_is_cancelled(engine):
    """
    A client that leaves must not keep a permit of a target.
    """
    async with Receiver([Answer(hang_until=asyncio.Event())]) as receiver:
        await engine.register_methods([METHOD])
        target = await engine.create_target("slow", receiver.url)
        await engine.set_execution(on_request(METHOD), [target])
        call = asyncio.create_task(engine.intercept_request(METHOD, {}))
        await receiver.wait_for(1)

        call.cancel()

        with pytest.raises(asyncio.CancelledError):
            await call
        assert repr(engine).endswith("[open, in flight: 0]>")


async def test_the_budget_of_the_caller_ends_a_slow_target(engine):
    """
    A deadline counts for all targets together.
    """
    async with Receiver([Answer(hang_until=asyncio.Event())]) as receiver:
        await engine.register_methods([METHOD])
        target = await engine.create_target("slow", receiver.url, interrupt_on_error=True)
        await engine.set_execution(on_request(METHOD), [target])

        with pytest.raises(OutriderError):
            await engine.intercept_request(METHOD, {}, timeout=0.05)


async def test_what_an_engine_stores_is_for_its_user_alone(tmp_path):
    """
    Hosts have the umask that they have, and directories that others may read.
    """
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    async with Engine.open(data_dir=data, dev=True) as engine:
        await engine.publish(Event(event_type="order.created"))
        modes = {path.name: path.stat().st_mode & 0o077 for path in data.iterdir()}

    assert {0} == set(modes.values())
    assert {"outrider.db", "outrider.db-wal"} <= modes.keys()


async def test_an_unknown_host_name_is_no_instance(tmp_path):
    """
    Serving the default instance instead would mix two tenants.
    """
    with pytest.raises(StartupError, match=r"nobody\.example"):
        await Engine.open(data_dir=tmp_path / "data", instance_host="nobody.example").start()
    async with Engine.open(data_dir=tmp_path / "data") as engine:
        assert not engine.matches(ConditionKind.REQUEST, METHOD)


def test_importing_the_engine_imports_no_framework():
    """
    A program without gRPC or Starlette embeds without them.
    """
    script = """
import sys
import outrider.embed, outrider.embed.asgi
print(sorted({"grpc", "starlette", "fastapi", "google.protobuf"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=40, check=True
    )

    assert "[]\n" == done.stdout
