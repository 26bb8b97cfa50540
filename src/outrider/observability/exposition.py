"""The text that Prometheus reads, version 0.0.4.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from outrider.observability.metrics import DECLARED, Kind, Metric, Values
from outrider.observability.multiprocess import Totals

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def render(totals: Totals) -> str:
    """Every declared metric with its help and type, and its series.

    Series of zeros are left out where the values of labels are many (`Metric.is_open`).
    """
    by_name: dict[str, list[tuple[Values, list[float]]]] = {}
    for (name, values), numbers in totals.series.items():
        by_name.setdefault(name, []).append((values, numbers))
    lines: list[str] = []
    for metric in DECLARED.values():
        lines.append(f"# HELP {metric.name} {_escape_help(metric.help)}")
        lines.append(f"# TYPE {metric.name} {metric.kind}")
        for values, numbers in by_name.get(metric.name, ()):
            if any(numbers) or not metric.is_open:
                lines.extend(_samples(metric, values, numbers))
    return "\n".join(lines) + "\n"


def _samples(metric: Metric, values: Values, numbers: Sequence[float]) -> Iterator[str]:
    labels = dict(zip(metric.label_names, values, strict=True))
    if metric.kind is not Kind.HISTOGRAM:
        yield f"{metric.name}{_labels(labels)} {_number(numbers[0])}"
        return
    count = 0.0
    *counts, total = numbers
    bounds = [*map(_number, metric.buckets), "+Inf"]
    for bound, bucket_count in zip(bounds, counts, strict=True):
        count += bucket_count
        yield f"{metric.name}_bucket{_labels({**labels, 'le': bound})} {_number(count)}"
    yield f"{metric.name}_sum{_labels(labels)} {_number(total)}"
    yield f"{metric.name}_count{_labels(labels)} {_number(count)}"


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items()) + "}"


def _escape(value: str) -> str:
    return _escape_help(value).replace('"', r"\"")


def _escape_help(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
