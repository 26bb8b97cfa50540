"""The states of deliveries that a bulk operation applies to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.delivery.replay import FINAL, OPEN
from outrider.domain.delivery.search import DeliverySearch
from outrider.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class StateRules:
    """The states that are found when none is named, and why the others are refused."""

    default: tuple[DeliveryState, ...]
    refused: Mapping[DeliveryState, str]


REPLAYED = StateRules(
    (),
    dict.fromkeys(
        OPEN,
        "{0} deliveries are open, and open deliveries are not replayed: use RetryDeliveries"
        " (`outrider delivery retry`) to make them due now",
    ),
)
RETRIED = StateRules(
    OPEN,
    {
        **dict.fromkeys(
            FINAL,
            "{0} deliveries are finished and not attempted again: use ReplayDeliveries"
            " (`outrider delivery replay`) to make them again",
        ),
        DeliveryState.DELIVERING: (
            "an attempt of {0} deliveries is in flight: only PENDING and RETRYING ones can be due"
            " sooner"
        ),
    },
)
CANCELLED = StateRules(
    OPEN, dict.fromkeys(FINAL, "{0} deliveries are finished, and nothing of them is left to cancel")
)


def narrowed(search: DeliverySearch, rules: StateRules, where: str) -> DeliverySearch:
    """The search, for the states that the call is for.

    Raise `InvalidRequest` naming `where` for a state of which nothing could come, and for a search
    that finds everything: who means that can name a date, or states.
    """
    if search == DeliverySearch(before=search.before, limit=search.limit):
        raise InvalidRequest(f"invalid {where}: give ids or at least one filter")
    for position, state in enumerate(search.states):
        if state in rules.refused:
            reason = rules.refused[state].format(state.name)
            raise InvalidRequest(f"invalid {where}.States[{position}]: {reason}")
    return search if search.states else replace(search, states=rules.default)
