"""Names that may be meant by one that does not exist."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from heapq import nlargest

from outrider.domain.ids import ExecutionId
from outrider.domain.routing.catalogue import Catalogue
from outrider.domain.routing.condition import ConditionKind, Scope, condition_from_id

MAX_SUGGESTIONS = 3
_MIN_RATIO = 0.6
# To compare texts takes a time that grows with both lengths; no sensible name is longer.
_MAX_COMPARED_CHARS = 200
# How many names are compared sign by sign, of those that have most signs in common.
_MAX_COMPARED_NAMES = 200
_NAMED = frozenset({Scope.METHOD, Scope.NAME, Scope.EVENT})


def has_name(catalogue: Catalogue, kind: ConditionKind, name: str) -> bool:
    """Return whether the catalogue has the method, function or event type."""
    if kind is ConditionKind.EVENT:
        return catalogue.has_event_type(name)
    if kind is ConditionKind.FUNCTION:
        return catalogue.has_function(name)
    return catalogue.has_method(name)


def similar_names(
    catalogue: Catalogue, executions: Iterable[ExecutionId], kind: ConditionKind, name: str
) -> Sequence[str]:
    """Return up to three names of this kind that are spelled alike, the most alike first.

    They are those of the catalogue and of what executions are set for. The case of letters does
    not matter. Of a method whose service exists, only the methods of that service are compared.
    """
    names = {*_of_kind(catalogue, kind), *_bound(executions, kind)}
    names.discard(name)
    if kind in {ConditionKind.REQUEST, ConditionKind.RESPONSE}:
        service = name.rpartition("/")[0] + "/"
        names = {known for known in names if known.startswith(service)} or names
    return _most_alike(name, sorted(names))


def _of_kind(catalogue: Catalogue, kind: ConditionKind) -> Sequence[str]:
    if kind is ConditionKind.EVENT:
        return catalogue.event_types
    if kind is ConditionKind.FUNCTION:
        return catalogue.functions
    return catalogue.methods


def _bound(executions: Iterable[ExecutionId], kind: ConditionKind) -> Iterable[str]:
    conditions = map(condition_from_id, executions)
    return (
        condition.value
        for condition in conditions
        if condition.kind is kind and condition.scope in _NAMED
    )


def _most_alike(name: str, names: Sequence[str]) -> Sequence[str]:
    matcher: SequenceMatcher[str] = SequenceMatcher(None, autojunk=False)
    # The second text is analysed once for all comparisons.
    matcher.set_seq2(name[:_MAX_COMPARED_CHARS].casefold())
    upper_bounds: list[tuple[float, str]] = []
    for known in names:
        matcher.set_seq1(known[:_MAX_COMPARED_CHARS].casefold())
        if matcher.real_quick_ratio() >= _MIN_RATIO:
            upper_bounds.append((matcher.quick_ratio(), known))
    ratios: list[tuple[float, str]] = []
    for _, known in nlargest(_MAX_COMPARED_NAMES, upper_bounds):
        matcher.set_seq1(known[:_MAX_COMPARED_CHARS].casefold())
        ratios.append((matcher.ratio(), known))
    return [known for ratio, known in nlargest(MAX_SUGGESTIONS, ratios) if ratio >= _MIN_RATIO]
