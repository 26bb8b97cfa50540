"""Numbers that travel: a new member on one side must not mean another on the wire."""

from __future__ import annotations

import pytest

from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.outcome import HAS_ANSWER, Outcome
from outrider.domain.targets.search import TextMethod
from outrider.domain.targets.target import PayloadType
from outrider_api.outrider.v1 import delivery_service_pb, outcome_pb
from outrider_api.zitadel.action.v2 import target_pb
from outrider_api.zitadel.filter.v2 import filter_pb


@pytest.mark.parametrize(
    ("ours", "wire"),
    [
        (DeliveryState, delivery_service_pb.DeliveryState),
        (Outcome, outcome_pb.Outcome),
        (PayloadType, target_pb.PayloadType),
        (TextMethod, filter_pb.TextFilterMethod),
    ],
    ids=lambda value: value.__module__.rpartition(".")[2],
)
def test_numbers_and_names_are_those_of_the_wire(ours, wire):
    """
    They are passed through without a table in between.
    """
    assert {our.name: our.value for our in ours} == {
        member.name: member.value for member in wire if member.name in ours.__members__
    }
    assert {member.value for member in wire} - {our.value for our in ours} <= {0}


def test_half_of_the_methods_ignore_case():
    """
    Every second one, by their numbers.
    """
    assert [
        text_method for text_method in TextMethod if text_method.name.endswith("_IGNORE_CASE")
    ] == [text_method for text_method in TextMethod if text_method.ignores_case]


def test_an_answer_is_what_a_receiver_sent():
    """
    Whatever it says; the others were never sent, or their end is not known.
    """
    assert {
        Outcome.UNREACHABLE,
        Outcome.BLOCKED,
        Outcome.BUILD_FAILED,
        Outcome.LOST,
    } == set(Outcome) - HAS_ANSWER
