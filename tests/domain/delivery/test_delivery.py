"""Which deliveries depend on which, and what an attempt means: vectors, and a simulation."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.calls.request import RequestError, Response, Stage
from outrider.domain.delivery.delivery import (
    MAX_DELIVERIES,
    MAX_TARGETS,
    Attempt,
    Delivery,
    DeliveryState,
    Dependents,
    PlannedDelivery,
    cancel,
    check_delivery_count,
    plan_deliveries,
    settle,
)
from outrider.domain.ids import DeliveryId, EventId, ExecutionId
from outrider.domain.outcome import Outcome
from outrider.domain.routing import execution
from outrider.domain.targets.retry_schedule import RetrySchedule
from outrider.domain.targets.target import Target, TargetType
from outrider.errors import InvalidRequest
from support.builders import a_claimed_delivery, a_target, an_attempt
from support.runtime import NOW

VECTORS = json.loads(
    Path(__file__).parents[3].joinpath("vectors", "executions.json").read_text(encoding="utf-8")
)
TYPES = {target_type.name.lower(): target_type for target_type in TargetType}
# Two retries, so that deliveries die soon; 410 is final.
SHORT = RetrySchedule(waits=(timedelta(seconds=1), timedelta(seconds=2)))
OUTCOMES = st.sampled_from(
    [
        (Outcome.ACCEPTED, 200),
        (Outcome.ACCEPTED, 204),
        (Outcome.FAILED, 500),
        (Outcome.REFUSED, 410),
        (Outcome.UNREACHABLE, 0),
        (Outcome.LOST, 0),
    ]
)
EXECUTIONS = st.lists(
    st.tuples(st.sampled_from(TargetType), st.booleans()).map(
        lambda drawn: a_target(
            type=drawn[0],
            interrupt_on_error=drawn[1] and drawn[0] is not TargetType.REST_ASYNC,
        )
    ),
    max_size=7,
)


def plan_of(targets: list[Target]) -> list[PlannedDelivery]:
    return plan_deliveries(
        [
            (DeliveryId(str(index)), target.id, target.is_awaited)
            for index, target in enumerate(targets)
        ]
    )


@pytest.mark.parametrize("case", VECTORS["plans"], ids=lambda case: case["name"])
def test_deliveries_depend_on_each_other_as_in_the_vectors(case):
    """
    Each depends on the last awaited one in front.
    """
    planned = plan_of([a_target(type=TYPES[target]) for target in case["targets"]])
    fronts = [None if front is None else str(front) for front in case["depends_on"]]

    assert fronts == [delivery.depends_on for delivery in planned]
    assert case["has_dependents"] == [delivery.has_dependents for delivery in planned]


@pytest.mark.parametrize("case", VECTORS["settlements"], ids=lambda case: case["name"])
def test_an_attempt_means_what_the_vectors_say(case):
    """
    For its delivery, and for its dependents.
    """
    attempt = an_attempt(case["attempt"], Outcome[case["outcome"]], status_code=case["status_code"])
    target = a_target(
        type=TYPES[case["target_type"]], interrupt_on_error=case["interrupt_on_error"]
    )
    claimed = a_claimed_delivery("7", has_dependents=case["has_dependents"])
    settled = settle(claimed, attempt, target, RetrySchedule(), draw=0.0)
    wait = case["wait_seconds"]
    ended_at = attempt.started_at + attempt.duration

    assert (claimed.id, attempt) == (settled.delivery_id, settled.attempt)
    assert DeliveryState[case["state"]] is settled.state
    assert settled.due_at == (None if wait is None else ended_at + timedelta(seconds=wait))
    assert Dependents(case["dependents"]) is settled.dependents


def test_the_status_of_a_cut_answer_is_shown_and_decides_nothing():
    """
    A 410 pauses its target for good: half an answer is not enough for that.
    """
    response = Response(410, (), b"gone" * 1000, is_whole=False)
    failure = RequestError(Outcome.UNREACHABLE, Stage.ANSWER, "connection closed", response)
    attempt = Attempt.from_failure(1, NOW, timedelta(0), failure)
    settled = settle(a_claimed_delivery(), attempt, a_target(), SHORT, draw=0.0)

    assert (410, 2048, "connection closed") == (
        attempt.status_code,
        len(attempt.body_prefix),
        attempt.error,
    )
    assert (DeliveryState.RETRYING, False) == (settled.state, settled.pauses_target)
    for target_type in TargetType:
        target = a_target(type=target_type)
        again = settle(a_claimed_delivery(), attempt, target, SHORT, draw=0.0, checks_async=True)
        assert DeliveryState.RETRYING is again.state


def test_a_retry_is_counted_from_the_end_of_the_attempt():
    """
    A receiver that takes its time is not called again while it still does.
    """
    attempt = an_attempt(1, Outcome.UNREACHABLE, duration=timedelta(seconds=270))
    settled = settle(
        a_claimed_delivery(),
        attempt,
        a_target(),
        RetrySchedule(),
        draw=0.5,
        retry_after=timedelta(minutes=1),
    )

    assert NOW + timedelta(seconds=330) == settled.due_at


@pytest.mark.parametrize(
    ("has_dependents", "dependents"), [(True, Dependents.RELEASE), (False, Dependents.WAIT)]
)
def test_a_delivery_without_a_target_is_cancelled_untried(has_dependents, dependents):
    """
    Its dependents do not wait any longer.
    """
    settled = cancel(a_claimed_delivery("7", has_dependents=has_dependents))

    assert (DeliveryState.CANCELLED, None, None) == (
        settled.state,
        settled.attempt,
        settled.due_at,
    )
    assert dependents is settled.dependents


@pytest.mark.parametrize("state", DeliveryState)
def test_final_states_are_final(state):
    """
    A state that is not final changes by itself.
    """
    open_states = {DeliveryState.PENDING, DeliveryState.DELIVERING, DeliveryState.RETRYING}

    assert (state not in open_states) == state.is_final


@dataclass
class ExecutionRun:
    """One execution's deliveries, worked off by the decisions under test. It has no clock."""

    targets: list[Target]
    states: list[DeliveryState] = field(init=False)
    attempts: list[int] = field(init=False)
    depends_on: list[int | None] = field(init=False)
    planned: list[PlannedDelivery] = field(init=False)

    def __post_init__(self) -> None:
        self.planned = plan_of(self.targets)
        self.states = [DeliveryState.PENDING] * len(self.targets)
        self.attempts = [0] * len(self.targets)
        self.depends_on = [
            None if delivery.depends_on is None else int(delivery.depends_on)
            for delivery in self.planned
        ]

    def due(self) -> list[int]:
        """Everything that a worker could take now, retries included."""
        return [
            index
            for index, state in enumerate(self.states)
            if not state.is_final and self.depends_on[index] is None
        ]

    def attempt(self, index: int, outcome: Outcome, status_code: int) -> None:
        """Make one attempt, and do to the others what was decided."""
        self.attempts[index] += 1
        claimed = a_claimed_delivery(str(index), has_dependents=self.planned[index].has_dependents)
        attempt = an_attempt(self.attempts[index], outcome, status_code=status_code)
        settled = settle(claimed, attempt, self.targets[index], SHORT, draw=0.0)
        self.states[index] = settled.state
        if settled.dependents is Dependents.RELEASE:
            self.depends_on = [None if front == index else front for front in self.depends_on]
        elif settled.dependents is Dependents.CANCEL:
            self.cancel_dependents(index)

    def cancel_dependents(self, front: int) -> None:
        for index, depends_on in enumerate(self.depends_on):
            if depends_on == front:
                self.states[index] = DeliveryState.CANCELLED
                self.cancel_dependents(index)

    def may_begin(self, index: int) -> bool:
        """The rule as the documentation tells it, word by word."""
        in_front = [number for number in range(index) if self.targets[number].is_awaited]
        if not in_front:
            return True
        front = in_front[-1]
        if self.targets[front].interrupt_on_error:
            # Its dependents wait until it is delivered.
            return self.states[front] is DeliveryState.DELIVERED
        return self.attempts[front] > 0

    def may_never_begin(self, index: int) -> bool:
        """A target in front that interrupts has died, or can itself never begin."""
        return (
            any(
                target.interrupt_on_error
                and self.states[front] in {DeliveryState.DEAD, DeliveryState.CANCELLED}
                for front, target in enumerate(self.targets[:index])
            )
            and not self.attempts[index]
        )


@given(EXECUTIONS, st.data())
def test_first_attempts_happen_in_the_order_of_the_list(targets, data):
    """
    At every moment exactly those may begin that the documentation lets begin; and all end.
    """
    run = ExecutionRun(targets)
    rounds = 0
    while due := run.due():
        begun = {index for index in range(len(targets)) if run.attempts[index]}
        may_begin = {index for index in range(len(targets)) if run.may_begin(index)}
        assert may_begin - begun == set(due) - begun
        run.attempt(data.draw(st.sampled_from(due)), *data.draw(OUTCOMES))
        rounds += 1
        assert rounds <= 3 * len(targets)

    assert all(state.is_final for state in run.states)


@given(EXECUTIONS, st.data())
def test_only_dependents_of_a_dead_interrupting_target_are_cancelled(targets, data):
    """
    And none that had begun.
    """
    run = ExecutionRun(targets)
    while due := run.due():
        run.attempt(data.draw(st.sampled_from(due)), *data.draw(OUTCOMES))
    cancelled = {
        index for index, state in enumerate(run.states) if state is DeliveryState.CANCELLED
    }

    assert cancelled == {index for index in range(len(targets)) if run.may_never_begin(index)}
    assert not any(run.attempts[index] for index in cancelled)


@given(st.lists(st.booleans(), max_size=8))
def test_a_plan_depends_only_on_what_is_in_front_and_marks_it(awaited):
    """
    The store releases by the mark: without it a delivery would wait for ever.
    """
    planned = plan_deliveries(
        [
            (DeliveryId(str(index)), a_target().id, is_awaited)
            for index, is_awaited in enumerate(awaited)
        ]
    )
    depended_on = {delivery.depends_on for delivery in planned}

    for index, delivery in enumerate(planned):
        assert delivery.has_dependents == (delivery.id in depended_on)
        assert delivery.depends_on is None or int(delivery.depends_on) < index


def test_payloads_and_answers_are_not_shown():
    """
    Deliveries are printed when something goes wrong; what they carry is the target's.
    """
    secret = b"secret"
    attempt = an_attempt(body_prefix=secret)
    delivery = Delivery(
        id=DeliveryId("7"),
        event_id=EventId("event-1"),
        event_type="user.human.added",
        target_id=a_target().id,
        execution=ExecutionId("event"),
        state=DeliveryState.DEAD,
        attempt_count=1,
        created_at=NOW,
        attempts=(attempt,),
        payload=secret,
    )

    assert "secret" not in f"{attempt} {delivery} {a_claimed_delivery(body=secret)}"


def to_few(*fan_outs: int) -> list[range]:
    """Events to the first targets of a list: each number is that of one event."""
    return list(map(range, fan_outs))


def to_others(*fan_outs: int) -> list[range]:
    """Events to targets that no other event goes to: each number is that of one event."""
    ends = [*accumulate(fan_outs)]
    return [range(end - fan_out, end) for end, fan_out in zip(ends, fan_outs, strict=True)]


@pytest.mark.parametrize(
    "fan_outs",
    [
        [],
        to_few(*[0] * 1000),
        to_few(0, 1000, 0),
        to_few(*[1000] * 5),
        to_few(*[5] * 1000),
        to_others(*[1] * 1000),
        to_others(500, 500),
    ],
    ids=lambda case: f"{len(case)} events, {sum(map(len, case))} deliveries",
)
def test_a_call_may_make_this_number_of_deliveries(fan_outs):
    """
    By few events to many targets, and by many events to few.
    """
    check_delivery_count(fan_outs)


@pytest.mark.parametrize(
    ("fan_outs", "events", "deliveries", "fitting"),
    [
        (to_few(*[300] * 400), 400, 120_000, 16),
        (to_few(*[6] * 834), 834, 5004, 833),
        (to_few(*[1000] * 5, 0, 1), 7, 5001, 6),
        (to_others(1000, 1), 2, 1001, 1),
        (to_others(0, 1, 1000, 0), 4, 1001, 2),
        (to_others(*[3] * 1000), 1000, 3000, 333),
    ],
)
def test_more_are_refused_with_how_many_events_fit(fan_outs, events, deliveries, fitting):
    """
    A publisher that halves its batch until it passes needs no number; one that reads does.
    """
    with pytest.raises(InvalidRequest) as refused:
        check_delivery_count(fan_outs)

    assert (
        f"invalid PublishEventsRequest.Events: {events} events would become {deliveries} deliveries,"
        " one call stores at most 5000, to at most 1000 different targets: send the first"
        f" {fitting} of them alone, and the others after it"
    ) == str(refused.value)
    check_delivery_count(fan_outs[:fitting])


def test_one_event_that_is_too_much_alone_is_named():
    """
    No smaller call helps: its execution is from a release that had no limit.
    """
    with pytest.raises(InvalidRequest) as refused:
        check_delivery_count(to_few(1, 2001))

    assert (
        "invalid PublishEventsRequest.Events[1]: the event would go to 2001 targets, one call stores"
        " deliveries to at most 1000: let its execution have fewer"
    ) == str(refused.value)


def test_each_execution_that_can_be_set_can_be_published_to():
    """
    Two limits that must not drift apart.
    """
    assert MAX_TARGETS == execution.MAX_TARGETS
    assert MAX_TARGETS <= MAX_DELIVERIES
