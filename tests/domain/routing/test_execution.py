"""Which lists of targets can be set, and which pages can be asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.page import MAX_LIMIT, Page, checked_page
from outrider.domain.routing.execution import MAX_TARGETS, check_target_list, check_targets_exist
from outrider.errors import InvalidRequest, NotFound
from support.builders import an_event_condition, an_execution


def test_an_execution_is_known_by_its_condition():
    """
    There is one for each condition, and no other name for it.
    """
    assert (
        an_event_condition("a.b").execution_id
        == an_execution("1", condition=an_event_condition("a.b")).id
    )


@pytest.mark.parametrize("targets", [[""], ["1", ""], ["", "1"]])
def test_an_empty_entry_is_refused(targets):
    """
    With ZITADEL's id.
    """
    with pytest.raises(InvalidRequest) as refused:
        check_target_list(targets)

    assert "Execution is invalid (COMMAND-hdm4zl1hmd)" == str(refused.value)


def test_a_list_that_no_event_can_be_stored_for_is_refused():
    """
    When it is set, and not when the first event comes.
    """
    check_target_list([str(number) for number in range(MAX_TARGETS)])
    with pytest.raises(InvalidRequest) as refused:
        check_target_list([str(number) for number in range(MAX_TARGETS + 1)])

    assert (
        "invalid SetExecutionRequest.Targets: value must contain no more than 1000 item(s), not"
        " 1001: the deliveries of an event are one transaction"
    ) == str(refused.value)


@given(st.lists(st.sampled_from("12345")), st.sets(st.sampled_from("1234")))
def test_a_list_is_valid_when_all_entries_exist_and_none_is_there_twice(targets, existing):
    """
    ZITADEL counts distinct ids, so that a duplicate is not found.
    """
    check_target_list(targets)
    if set(targets) <= existing and len(set(targets)) == len(targets):
        check_targets_exist(targets, existing)
        return
    with pytest.raises(NotFound) as refused:
        check_targets_exist(targets, existing)
    assert "Target not found (COMMAND-17e8fq1ggk)" == str(refused.value)


@pytest.mark.parametrize(("limit", "applied"), [(0, 100), (1, 1), (100, 100), (1000, 1000)])
def test_a_page_has_the_limit_that_was_asked_for(limit, applied):
    """
    And a hundred rows when none was.
    """
    assert Page(5, applied, ascending=True) == checked_page(5, limit, ascending=True)


@pytest.mark.parametrize("limit", [MAX_LIMIT + 1, 2**32 - 1])
def test_a_page_that_is_too_large_is_refused(limit):
    """
    With the text and the id that clients know.
    """
    with pytest.raises(InvalidRequest) as refused:
        checked_page(0, limit, ascending=False)

    assert "Limit exceeded (QUERY-4M0fs)" == str(refused.value)
