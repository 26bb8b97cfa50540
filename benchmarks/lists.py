"""The time of a page of targets when there are a hundred thousand of them.

One page of 100, by each filter on names and by each date, as a user interface asks for it: with
the number of all that match. The server's time is that of the whole API in this process, from the
request's bytes to the answer's; no network and no proxy is in it. Next to it are the two queries
of the store that are its parts, and how SQLite makes them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

import structlog

from benchmarks import stores
from benchmarks.options import Options
from benchmarks.results import Result, spread, table
from outrider.adapters.sql.stores.sqlite import connect
from outrider.adapters.sql.targets.targets import SqlTargets
from outrider.bootstrap.api import open_api
from outrider.bootstrap.app_context import AppContext, open_store
from outrider.config.loading import Settings, from_environ
from outrider.domain.page import Page
from outrider.domain.targets.search import NameFilter, TargetSort, TextMethod
from support.builders import NOW, a_target

NAME = "lists"
_TOKEN = "otr_of_the_benchmark"
_PATH = "/zitadel.action.v2.ActionService/ListTargets"
_AT_ONCE = 2_000
_TEAMS = ("Billing", "Shop", "Identity", "Search", "Mail", "Audit", "Fraud", "Reports")
_HEADS = ("a page of 100", "server ms", "page ms", "total ms", "matching")


@dataclass(frozen=True, slots=True)
class Question:
    """One list, as people ask for it."""

    label: str
    text: str = ""
    method: TextMethod | None = None
    sort: TargetSort = TargetSort.CREATED
    offset: int = 0

    def request(self) -> dict[str, Any]:
        """As a ListTargetsRequest."""
        column = {TargetSort.CREATED: "CREATED_DATE", TargetSort.CHANGED: "CHANGED_DATE"}
        named = {"targetName": self.text, "method": self.method}
        return {
            "pagination": {"offset": self.offset},
            "sortingColumn": f"TARGET_FIELD_NAME_{column.get(self.sort, self.sort.name)}",
            "filters": [] if self.method is None else [{"targetNameFilter": named}],
        }

    def filters(self) -> list[NameFilter]:
        """As the store is asked."""
        return [] if self.method is None else [NameFilter(self.text, self.method)]


def _questions(count: int) -> Iterator[Question]:
    last = f"Billing hook {count - 8:06}"
    yield Question("newest first")
    yield Question("last changed first", sort=TargetSort.CHANGED)
    yield Question("by name", sort=TargetSort.NAME)
    yield Question("newest first, the last page", offset=count - 100)
    for method, few, many in (
        (TextMethod.EQUALS, last, None),
        (TextMethod.EQUALS_IGNORE_CASE, last.upper(), None),
        (TextMethod.STARTS_WITH, last[:-1], "Billing"),
        (TextMethod.STARTS_WITH_IGNORE_CASE, last[:-1].upper(), "BILLING"),
        (TextMethod.CONTAINS, last[5:-1], "hook"),
        (TextMethod.CONTAINS_IGNORE_CASE, last[5:-1].upper(), "HOOK"),
        (TextMethod.ENDS_WITH, last[-6:], "8"),
        (TextMethod.ENDS_WITH_IGNORE_CASE, last[-6:], "8"),
    ):
        label = method.name.lower().replace("_", " ")
        yield Question(f"{label}, few", few, method)
        if many is not None:
            yield Question(f"{label}, many", many, method)
    yield Question("contains, nothing", "nowhere", TextMethod.CONTAINS)


def run(options: Options) -> Result:
    """Each round asks everything once; what is shown are medians of rounds."""
    count = options.count or options.of(100_000, 2_000)
    rounds = options.rounds or options.of(30, 3)
    with tempfile.TemporaryDirectory(dir=options.scratch) as directory:
        settings = from_environ(
            stores.environ(Path(directory), OUTRIDER_ADMIN_TOKEN=_TOKEN, **options.environ)
        )
        result = Result(NAME, {"targets": count, "page": 100, **options.environ})
        result.rounds = asyncio.run(_measured(settings, count, rounds))
    result.table = _table(result)
    return result


async def _measured(settings: Settings, count: int, rounds: int) -> list[dict[str, Any]]:
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=quiet)
    async with open_store(settings) as context:
        await _fill(context, count)
        async with open_api(settings, context) as app:
            return [
                {
                    "question": question.label,
                    **await _server_ms(app, question, rounds),
                    **_store_ms(settings, context, question, rounds),
                }
                for question in _questions(count)
            ]


async def _fill(context: AppContext, count: int) -> None:
    def add(unit: Any, first: int) -> None:
        for number in range(first, min(first + _AT_ONCE, count)):
            at = NOW + timedelta(seconds=number)
            # Changed in another order than created.
            changed = at + timedelta(seconds=number * 7919 % count)
            name = f"{_TEAMS[number % len(_TEAMS)]} hook {number:06}"
            target_id = str(10**17 + number)
            target = a_target(target_id, name=name, created_at=at, changed_at=changed)
            unit.targets.add(context.instance, target)

    for first in range(0, count, _AT_ONCE):
        await context.store.write(lambda unit, first=first: add(unit, first))


async def _server_ms(app: Any, question: Question, rounds: int) -> dict[str, Any]:
    times = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        answer = await _call(app, question.request())
        times.append((time.perf_counter() - started) * 1e3)
    matching = int(answer["pagination"].get("totalResult", 0))
    # The first is another's: SQLite reads the pages of the file.
    return {"matching": matching, "server_ms": median(times[1:]), "server_ms_all": times}


async def _call(app: Any, request: dict[str, Any]) -> dict[str, Any]:
    """The answer to a call over Connect, from an application in this process."""
    body = json.dumps(request).encode()
    headers = {
        "host": "localhost",
        "content-type": "application/json",
        "content-length": str(len(body)),
        "authorization": f"Bearer {_TOKEN}",
    }
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": _PATH,
        "raw_path": _PATH.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 40000),
        "server": ("127.0.0.1", 80),
        "extensions": {},
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    answer = b"".join(message.get("body", b"") for message in sent)
    if sent[0]["status"] != 200:
        raise RuntimeError(answer.decode())
    return json.loads(answer)


def _store_ms(
    settings: Settings, context: AppContext, question: Question, rounds: int
) -> dict[str, Any]:
    with closing(connect(settings.database_file)) as connection:
        queries: list[str] = []
        connection.set_trace_callback(queries.append)
        targets = SqlTargets(connection, context.store.secrets)
        page = Page(question.offset)
        targets.search(context.instance, question.filters(), question.sort, page)
        connection.set_trace_callback(None)
        page_query, *count_queries = queries
        return {
            "page_ms": _median_ms(connection, page_query, rounds),
            "total_ms": sum(
                _median_ms(connection, count_query, rounds) for count_query in count_queries
            ),
            "plans": {query: _plan(connection, query) for query in queries},
        }


def _median_ms(connection: sqlite3.Connection, query: str, rounds: int) -> float:
    def once(work: Callable[[], object]) -> float:
        started = time.perf_counter()
        work()
        return (time.perf_counter() - started) * 1e3

    return median(once(lambda: connection.execute(query).fetchall()) for _ in range(rounds))


def _plan(connection: sqlite3.Connection, query: str) -> list[str]:
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")]


def _table(result: Result) -> str:
    rows = [
        (
            figures["question"],
            spread([figures["server_ms"]], ".1f"),
            f"{figures['page_ms']:.2f}",
            f"{figures['total_ms']:.2f}" if len(figures["plans"]) > 1 else "",
            f"{figures['matching']:,}",
        )
        for figures in result.rounds
    ]
    return "\n".join([table(_HEADS, rows), "", *_plans(result)])


def _plans(result: Result) -> Iterator[str]:
    """Each query plan of a page or a total, and the questions that have it."""
    questions_of: dict[str, list[str]] = {}
    for figures in result.rounds:
        for number, plan in enumerate(figures["plans"].values()):
            part = "total" if number else "page"
            questions_of.setdefault("; ".join(plan), []).append(f"{figures['question']} ({part})")
    for plan_text, questions in questions_of.items():
        yield f"- {plan_text}: {', '.join(questions)}"
