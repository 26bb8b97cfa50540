"""Measure whether one tenant's worst calls delay another's: no caller may block the others.

A whole server with a worker. Tenant B makes `PER_SECOND` calls a second, events and interceptions in
turn, each timed from when it was due. At the same time tenant A makes the worst call of one kind, again and
again, one kind after the other. The aim: B's p99 rises by at most 50 ms. The server may use every
core, the callers and the receivers have one.
"""

from __future__ import annotations

import json
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import uvloop

from benchmarks.machine import cores, usable_cores
from benchmarks.options import Options
from benchmarks.processes import sink, started
from benchmarks.results import Result, table
from benchmarks.servers import Server, server
from benchmarks.stall_answers import accepted_answers, refused_answers
from benchmarks.stall_calls import JSON, StallCall, stall_calls
from benchmarks.stall_load import Connections, Steady, Tenant, Worst, beside, steady
from benchmarks.stall_state import State, prepare, state_calls

NAME = "stall"
PER_SECOND = 100
AIM_MS = 50
_RECEIVER = Path(__file__).with_name("stall_receiver.py")
_HOST = "steady.example"
_FLOOD = 64
_QUICK_OF_EACH = 2
_INTERCEPT = "/v1/intercept/request"


def run(options: Options) -> Result:
    """A round is one server, B alone before and after, and every kind of call during B's."""
    seconds = options.of(4, 1) / options.of(1, 4)
    result = Result(NAME, {"per_second": PER_SECOND, "seconds": seconds, **options.environ})
    for _ in range(options.rounds or options.of(3, 1)):
        with tempfile.TemporaryDirectory(dir=options.scratch) as directory:
            result.rounds.append(_round(Path(directory), options, seconds))
    result.table = _table(result)
    return result


def _round(data_dir: Path, options: Options, seconds: float) -> dict[str, Any]:
    state = prepare(data_dir, options)
    with (
        _receivers() as (sink_url, answers_url),
        server(data_dir, options, on_cores=usable_cores()) as asked,
    ):
        noisy = Tenant(asked.port, f"127.0.0.1:{asked.port}", asked.token)
        quiet = _quiet_tenant(asked, noisy, sink_url)
        kinds = _kinds(noisy, state, answers_url, sink_url, options)
        return _measured(noisy, quiet, kinds, seconds)


@contextmanager
def _receivers() -> Iterator[tuple[str, str]]:
    driving = frozenset({cores()[1]})
    with sink(cores()[1]) as url, started([_RECEIVER], cores=driving) as process:
        yield url, f"http://127.0.0.1:{int(process.stdout.readline())}"


def _measured(
    noisy: Tenant, quiet: Tenant, kinds: Sequence[Worst], seconds: float
) -> dict[str, Any]:
    requests = [
        quiet.json_request("/v1/events", b'{"events":[{"eventType":"steady.went"}]}'),
        quiet.json_request(_INTERCEPT, b'{"fullMethod":"/steady.v1.Calls/Make","request":{"a":1}}'),
    ]
    figures = {}
    for name, worst in [("alone", None), *_named(kinds), ("alone, afterwards", None)]:
        with beside(noisy, worst) as answers:
            made = uvloop.run(_steady(quiet, requests, seconds))
        figures[name] = {**_cuts(made), **(_of_answers(answers) if worst else {})}
    return figures


def _named(kinds: Sequence[Worst]) -> list[tuple[str, Worst]]:
    return [(worst.call.name, worst) for worst in kinds]


async def _steady(quiet: Tenant, requests: Sequence[bytes], seconds: float) -> Steady:
    connections = Connections(quiet.port)
    # The first calls open connections.
    await steady(connections, requests, PER_SECOND, seconds / 8)
    made = await steady(connections, requests, PER_SECOND, seconds)
    connections.close()
    return made


def _cuts(made: Steady) -> dict[str, float]:
    cuts = quantiles(made.times, n=100, method="inclusive")
    return {
        "p50_ms": cuts[49] * 1e3,
        "p99_ms": cuts[98] * 1e3,
        "max_ms": max(made.times) * 1e3,
        "failed": made.failed,
    }


def _of_answers(answers: Sequence[tuple[int, float]]) -> dict[str, Any]:
    statuses = sorted({status for status, _ in answers})
    slowest = max((seconds for _, seconds in answers), default=0.0)
    return {"calls": len(answers), "statuses": statuses, "slowest_call_ms": slowest * 1e3}


def _kinds(
    noisy: Tenant, state: State, answers_url: str, sink_url: str, options: Options
) -> Sequence[Worst]:
    """Calls by what they are made of: bodies, the answers of receivers, and what is stored."""
    _bind(noisy, "/stall.v1.Calls/Make", f"{sink_url}?calls")
    answers = [*accepted_answers(), *refused_answers()]
    groups: list[list[Worst]] = [
        [Worst(call, 1 if call.has_token else _FLOOD) for call in stall_calls()],
        [],
        [Worst(call, is_fresh=True) for call in state_calls(state)],
    ]
    for number, (name, *_) in enumerate(answers):
        if options.is_quick and number >= _QUICK_OF_EACH:
            break
        method = f"/stall.v1.Answers/A{number}"
        _bind(noisy, method, f"{answers_url}/{number}")
        body = json.dumps({"fullMethod": method, "request": {"a": 1}}).encode()
        groups[1].append(Worst(_answered(f"answer: {name}", body)))
    if options.is_quick:
        groups = [group[:_QUICK_OF_EACH] for group in groups]
    return [worst for group in groups for worst in group]


def _answered(name: str, body: bytes) -> StallCall:
    return StallCall(name, "POST", _INTERCEPT, JSON, lambda: body)


def _quiet_tenant(asked: Server, admin: Tenant, url: str) -> Tenant:
    """A separate instance, with an event and a method that are bound to a sink."""
    made = _ask(admin, "/v1/instances", {"name": "steady", "hosts": [_HOST]})
    quiet = Tenant(asked.port, _HOST, made["token"])
    _bind(quiet, "/steady.v1.Calls/Make", url)
    target = _create_target(quiet, "events", url, {"restWebhook": {}})
    _known(quiet, "CATALOGUE_KIND_EVENT_TYPE", "steady.went")
    _execute(quiet, {"event": {"event": "steady.went"}}, target)
    return quiet


def _bind(tenant: Tenant, method: str, url: str) -> None:
    """Let a target answer for a method."""
    target = _create_target(tenant, method, url, {"restCall": {"interruptOnError": False}})
    _known(tenant, "CATALOGUE_KIND_METHOD", method)
    _execute(tenant, {"request": {"method": method}}, target)


def _create_target(tenant: Tenant, name: str, url: str, kind: Mapping[str, Any]) -> str:
    fields = {"name": name, "endpoint": url, "timeout": "10s", **kind}
    return _ask(tenant, "/v2/actions/targets", fields)["id"]


def _known(tenant: Tenant, kind: str, name: str) -> None:
    _ask(tenant, "/v1/catalogue", {"entries": [{"kind": kind, "name": name}]})


def _execute(tenant: Tenant, condition: Mapping[str, Any], target: str) -> None:
    fields = {"condition": condition, "targets": [target]}
    _ask(tenant, "/zitadel.action.v2.ActionService/SetExecution", fields)


def _ask(tenant: Tenant, path: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """One call of the setup, whose answer is needed."""
    headers = {
        "Host": tenant.host,
        "Authorization": f"Bearer {tenant.token}",
        "Content-Type": "application/json",
    }
    url = f"http://127.0.0.1:{tenant.port}{path}"
    asking = urllib.request.Request(url, json.dumps(fields).encode(), headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(asking, timeout=30) as answer:
        return json.load(answer)


def _table(result: Result) -> str:
    rounds = result.rounds
    alone = [
        min(figures["alone"]["p99_ms"], figures["alone, afterwards"]["p99_ms"])
        for figures in rounds
    ]
    rows = []
    for kind in rounds[0]:
        rises = [
            figures[kind]["p99_ms"] - least for figures, least in zip(rounds, alone, strict=True)
        ]
        columns = [
            format(median(figures[kind][name] for figures in rounds), ".1f")
            for name in ("p50_ms", "p99_ms", "max_ms")
        ]
        rise, calls = median(rises), rounds[0][kind].get("calls", "")
        failed = sum(figures[kind]["failed"] for figures in rounds)
        mark = f"{failed} failed" if failed else "over the aim" if rise > AIM_MS else ""
        rows.append((kind, *columns, format(rise, "+.1f"), str(calls), mark))
    heads = ("during", "p50 ms", "p99 ms", "max ms", "p99 rises by", "calls", "")
    return table(heads, rows)
