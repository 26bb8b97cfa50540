"""Whether an interception continues, and if not, with which error it stops."""

from __future__ import annotations

import pytest

from outrider.domain.calls.classify import ForwardedError
from outrider.domain.interception.decision import (
    execution_failed,
    forwarded_failure,
    interrupts,
    not_json,
)
from outrider.domain.outcome import Outcome
from outrider.domain.targets.policy import OnUnreachable, TargetPolicy
from outrider.domain.targets.target import TargetType
from support.builders import a_target

FORWARDED, OTHER = "EXEC-reUaUZCzCp", "EXEC-bmhNhpcqpF"


@pytest.mark.parametrize(
    ("status", "code", "error_id"),
    [
        (400, "invalid_argument", FORWARDED),
        (401, "unauthenticated", FORWARDED),
        (403, "permission_denied", FORWARDED),
        (404, "not_found", FORWARDED),
        (409, "already_exists", FORWARDED),
        (429, "resource_exhausted", FORWARDED),
        (402, "unknown", FORWARDED),
        (408, "unknown", FORWARDED),
        (499, "unknown", FORWARDED),
        (0, "failed_precondition", OTHER),
        (-1, "failed_precondition", OTHER),
        (1, "failed_precondition", OTHER),
        (200, "failed_precondition", OTHER),
        (308, "failed_precondition", OTHER),
        (399, "failed_precondition", OTHER),
        (500, "failed_precondition", OTHER),
        (503, "failed_precondition", OTHER),
        (2**63 - 1, "failed_precondition", OTHER),
    ],
)
def test_a_forwarded_status_becomes_a_code(status, code, error_id):
    """
    The caller sees the target's own words, and the code that they came with.
    """
    error = forwarded_failure(ForwardedError(status, "no such thing"))

    assert (code, error_id, "no such thing") == (error.code.value, error.id, error.message)
    assert f"no such thing ({error_id})" == str(error)


def test_a_forwarded_error_without_words_has_its_id_all_the_same():
    """
    As in ZITADEL: a space, and the id in parentheses.
    """
    assert f" ({FORWARDED})" == str(forwarded_failure(ForwardedError(403, "")))
    assert f" ({FORWARDED})" == str(forwarded_failure(ForwardedError(418, "")))


def test_the_texts_of_zitadel():
    """
    Clients compare them.
    """
    assert "Execution failed (EXEC-dra6yamk98)" == str(execution_failed())
    assert "Response is not valid JSON (ACTION-4m9s2)" == str(not_json())
    assert execution_failed().code == not_json().code == "failed_precondition"


@pytest.mark.parametrize("outcome", sorted(set(Outcome) - {Outcome.ACCEPTED}))
@pytest.mark.parametrize("choice", list(OnUnreachable))
@pytest.mark.parametrize("interrupt_on_error", [True, False])
def test_who_interrupts(outcome, choice, interrupt_on_error):
    """
    The policy has a say where no answer came, and nowhere else.
    """
    target = a_target(type=TargetType.REST_CALL, interrupt_on_error=interrupt_on_error)
    silent = outcome in {Outcome.UNREACHABLE, Outcome.BLOCKED}
    expected = {
        OnUnreachable.UNSPECIFIED: interrupt_on_error,
        OnUnreachable.CONTINUE: False,
        OnUnreachable.INTERRUPT: True,
    }[choice if silent else OnUnreachable.UNSPECIFIED]

    assert expected == interrupts(target, TargetPolicy(on_unreachable=choice), outcome)


def test_an_asynchronous_target_stops_nothing():
    """
    Whatever is written about it: an operator may have changed its type.
    """
    target = a_target(type=TargetType.REST_ASYNC, interrupt_on_error=True)
    policy = TargetPolicy(on_unreachable=OnUnreachable.INTERRUPT)

    assert not any(interrupts(target, policy, outcome) for outcome in Outcome)
