"""Metrics: each is declared, adds up over processes, and reads as Prometheus reads it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from outrider.domain.outcome import Outcome
from outrider.observability import metrics
from outrider.observability.collectors import PublishCollector, RpcCollector, StoreCollector
from outrider.observability.exposition import render
from outrider.observability.metrics import DECLARED, Dimension, Kind, Metric
from outrider.observability.multiprocess import Totals, collect, delete_ended
from outrider.observability.shared_metrics import (
    UndeclaredMetric,
    memory_metrics,
    open_shared_metrics,
)

# What Prometheus's own linter (promtool check metrics) asks of names.
UNITS = ("_seconds", "_bytes", "_info", "_revision")
# Numbers of things have no unit.
THINGS = {
    "outrider_calls_in_flight",
    "outrider_egress_connections",
    "outrider_store_commit_batch_size",
    "outrider_claim_batch_size",
    "outrider_deliveries",
    "outrider_processes",
    "outrider_targets_suspended",
    "outrider_target_queues",
}
FORBIDDEN_LABELS = re.compile(r"(^|_)(id|target|account|instance|event|host|url|user|token|name)$")
PROCEDURES = {"service": [("a.b.Service", "Get"), ("a.b.Service", "Set")]}


def families(text: str) -> dict[str, object]:
    """As another program reads it; counters by their full names."""
    found = {}
    for family in text_string_to_metric_families(text):
        found[family.name + ("_total" if family.type == "counter" else "")] = family
    return found


def samples(text: str, name: str) -> dict[tuple[str, ...], float]:
    """The samples of one name by label values."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


@pytest.mark.parametrize("metric", DECLARED.values(), ids=DECLARED)
def test_a_metric_is_named_as_prometheus_asks(metric: Metric):
    """
    Authors of alerts guess the name by these rules.
    """
    assert re.fullmatch(r"outrider(_[a-z]+)+", metric.name)
    assert (metric.kind is Kind.COUNTER) == metric.name.endswith("_total")
    assert metric.name.removesuffix("_total").endswith(UNITS) or (
        metric.kind is Kind.COUNTER or metric.name in THINGS
    )
    assert not re.search(r"_(ms|milliseconds|minutes|kb|mb|count|sum|bucket)(_|$)", metric.name)


@pytest.mark.parametrize("metric", DECLARED.values(), ids=DECLARED)
def test_the_help_of_a_metric_is_a_sentence(metric: Metric):
    """
    The page explains the name to a reader who has never seen it.
    """
    assert re.fullmatch(r"[A-Z].*\.", metric.help)
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert (metric.kind is Kind.HISTOGRAM) == bool(metric.buckets)


@pytest.mark.parametrize("metric", DECLARED.values(), ids=DECLARED)
def test_no_label_is_an_identifier(metric: Metric):
    """
    A label for each target is a bill that grows with every customer.
    """
    assert [] == [name for name in metric.label_names if FORBIDDEN_LABELS.search(name)]
    bounded = [dimension for dimension in metric.dimensions if not dimension.is_open]
    assert all(0 < len(dimension.values) <= 20 for dimension in bounded)


def test_only_procedures_and_the_release_are_left_to_the_process():
    """
    Every other set of values is written down.
    """
    open_ones = {
        dimension.names
        for metric in DECLARED.values()
        for dimension in metric.dimensions
        if dimension.is_open
    }

    assert {("service", "method"), ("version",)} == open_ones


def test_what_is_not_declared_cannot_be_counted():
    """
    A metric without a declaration would show up without help.
    """
    shared_metrics = memory_metrics()
    stranger = Metric("outrider_strangers_total", Kind.COUNTER, "Strangers.")

    with pytest.raises(UndeclaredMetric):
        shared_metrics.counter(stranger)
    with pytest.raises(UndeclaredMetric):
        shared_metrics.counter(metrics.ATTEMPTS, "unheard-of")
    with pytest.raises(UndeclaredMetric):
        shared_metrics.gauge(metrics.ATTEMPTS, "accepted")
    with pytest.raises(UndeclaredMetric):
        shared_metrics.counter(metrics.RPC_REQUESTS, "a.b.Service", "Get", "ok")


def test_metrics_are_made_in_one_place():
    """
    The table is what the documentation is made from: there are no other declarations.
    """
    root = Path(metrics.__file__).parent.parent
    made = [
        path.name
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Metric"
    ]

    assert ["metrics.py"] == made


def test_every_declared_metric_is_shown_with_its_type_and_help():
    """
    Also before anything has happened: a dashboard must not wait for the first failure.
    """
    text = render(Totals())

    found = families(text)
    assert list(DECLARED) == list(found)
    assert {metric.name: (str(metric.kind), metric.help) for metric in DECLARED.values()} == {
        name: (family.type, family.documentation) for name, family in found.items()
    }


def test_numbers_are_read_as_they_were_counted(tmp_path):
    """
    Buckets add up from below, labels are escaped, sums have their fractions.
    """
    shared_metrics = open_shared_metrics(tmp_path, {"service": [('odd"ser\\vice', "Get\nSet")]})
    shared_metrics.counter(metrics.ATTEMPTS, "refused").add(3)
    histogram = shared_metrics.histogram(metrics.ATTEMPT_DURATION)
    for seconds in (0.0005, 0.02, 0.02, 400.5):
        histogram.observe(seconds)
    shared_metrics.counter(metrics.RPC_REQUESTS, 'odd"ser\\vice', "Get\nSet", "ok").add()
    text = render(collect(tmp_path))
    shared_metrics.close()

    assert 3 == samples(text, "outrider_delivery_attempts_total")["refused",]
    buckets = samples(text, "outrider_attempt_duration_seconds_bucket")
    assert (1, 1, 3, 3, 4) == tuple(
        buckets[bound,] for bound in ("0.0005", "0.01", "0.025", "300", "+Inf")
    )
    assert 400.5405 == pytest.approx(samples(text, "outrider_attempt_duration_seconds_sum")[()])
    assert 4 == samples(text, "outrider_attempt_duration_seconds_count")[()]
    assert {('odd"ser\\vice', "Get\nSet", "ok"): 1} == samples(text, "outrider_rpc_requests_total")


COUNTS_AND_DIES = """
import os, signal, sys
from pathlib import Path
from outrider.observability import metrics
from outrider.observability.shared_metrics import open_shared_metrics
shared_metrics = open_shared_metrics(Path(sys.argv[1]))
shared_metrics.counter(metrics.DELIVERIES_CLAIMED).add(5)
shared_metrics.gauge(metrics.PROCESSES, "worker").set(1)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_dead_process_counted_stays_and_its_gauges_go(tmp_path):
    """
    Else every restart of a worker would look like a failure to `rate()`, and like a worker too many.
    """
    subprocess.run([sys.executable, "-c", COUNTS_AND_DIES, str(tmp_path)], check=False)
    shared_metrics = open_shared_metrics(tmp_path)
    shared_metrics.counter(metrics.DELIVERIES_CLAIMED).add(2)
    shared_metrics.gauge(metrics.PROCESSES, "worker").set(1)

    for _ in range(3):
        found = collect(tmp_path).series
        assert [7] == found[metrics.DELIVERIES_CLAIMED.name, ()]
        assert [1] == found[metrics.PROCESSES.name, ("worker",)]
    assert 1 == len(list(tmp_path.glob("*.cells")))
    shared_metrics.close()
    assert [7] == collect(tmp_path).series[metrics.DELIVERIES_CLAIMED.name, ()]
    assert [] == list(tmp_path.glob("*.cells"))


def test_a_server_that_starts_begins_at_zero(tmp_path):
    """
    And leaves alone what a worker counts that was started by hand and lives.
    """
    dead, alive = open_shared_metrics(tmp_path), open_shared_metrics(tmp_path)
    dead.counter(metrics.DELIVERIES_CLAIMED).add(5)
    dead.close()
    alive.counter(metrics.DELIVERIES_CLAIMED).add(1)
    collect(tmp_path)
    delete_ended(tmp_path)

    assert [1] == collect(tmp_path).series[metrics.DELIVERIES_CLAIMED.name, ()]
    alive.close()
    delete_ended(tmp_path)
    assert (metrics.DELIVERIES_CLAIMED.name, ()) not in collect(tmp_path).series


def test_what_another_release_counted_is_left_out(tmp_path):
    """
    A worker of an older release may run next to a newer server.
    """
    shared_metrics = open_shared_metrics(tmp_path)
    shared_metrics.counter(metrics.DELIVERIES_CLAIMED).add(1)
    content = next(tmp_path.glob("*.cells")).read_bytes()
    name = metrics.DELIVERIES_CLAIMED.name.encode()
    (tmp_path / "old.cells").write_bytes(content.replace(name, b"x" * len(name)))
    (tmp_path / "odd.cells").write_bytes(b"not metrics at all")

    assert [1] == collect(tmp_path).series[metrics.DELIVERIES_CLAIMED.name, ()]
    shared_metrics.close()


def test_a_file_is_its_users_alone(tmp_path):
    """
    Metrics reveal traffic volumes.
    """
    shared_metrics = open_shared_metrics(tmp_path / "metrics")
    (path,) = (tmp_path / "metrics").glob("*.cells")

    assert (0o700, 0o600) == (
        (tmp_path / "metrics").stat().st_mode & 0o777,
        path.stat().st_mode & 0o777,
    )
    shared_metrics.close()


def test_calls_are_counted_once_there_are_metrics_for_them(tmp_path):
    """
    The services are made before the metrics know their names.
    """
    rpcs = RpcCollector()
    rpcs.answered("/a.b.Service/Get", "ok", 0.1)
    shared_metrics = open_shared_metrics(tmp_path, PROCEDURES)
    rpcs.count_in(shared_metrics)
    rpcs.answered("/a.b.Stranger/Get", "ok", 0.1)
    for code in ("ok", "ok", "not_found"):
        rpcs.answered("/a.b.Service/Get", code, 0.1)
    text = render(collect(tmp_path))
    shared_metrics.close()

    expected = {("a.b.Service", "Get", "ok"): 2, ("a.b.Service", "Get", "not_found"): 1}
    assert expected == samples(text, "outrider_rpc_requests_total")
    assert {("a.b.Service", "Get"): 3} == samples(text, "outrider_rpc_duration_seconds_count")


def test_every_outcome_and_state_has_its_offset():
    """
    A new outcome without one would be an error in the middle of a delivery.
    """
    assert {outcome.name.lower() for outcome in Outcome} == set(metrics.OUTCOMES)
    shared_metrics = memory_metrics()
    PublishCollector(shared_metrics).published(1, 1, 1)
    StoreCollector(shared_metrics)(3, 0.01, failed=True)
    assert (
        1.0
        == shared_metrics.numbers[shared_metrics.offsets[metrics.STORE_COMMITS.name, ("failed",)]]
    )


def test_dimensions_make_every_combination():
    """
    Each series has its offset from the start, in a fixed order.
    """
    two = Metric(
        "x",
        Kind.GAUGE,
        "X.",
        (Dimension(("a", "b"), (("1", "2"), ("3", "4"))), Dimension(("c",), (("5",), ("6",)))),
    )

    expected = [("1", "2", "5"), ("1", "2", "6"), ("3", "4", "5"), ("3", "4", "6")]
    assert expected == list(two.series({}))


def test_counting_needs_no_library():
    """
    A program that embeds an engine did not ask for one.
    """
    script = (
        "import sys; import outrider.observability.collectors, outrider.observability.exposition\n"
        "print(sorted({'prometheus_client', 'opentelemetry', 'structlog'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert "[]" == done.stdout.strip()
