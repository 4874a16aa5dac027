"""Outcomes: the handler's error and the delay that adapters read."""

from __future__ import annotations

import pytest

from portable_fn import Reject, Retry
from portable_fn.outcomes import DONE


@pytest.mark.parametrize("outcome", [Retry("busy"), Reject("unknown")])
def test_an_outcome_that_the_handler_raised_is_its_own_cause(outcome: Retry | Reject) -> None:
    assert outcome is outcome.cause


@pytest.mark.parametrize("outcome", [Retry("ValueError"), Reject("the data is invalid")])
def test_another_error_is_the_cause_of_the_outcome_that_it_means(outcome: Retry | Reject) -> None:
    outcome.error = error = ValueError("7")
    assert error is outcome.cause


def test_an_event_that_succeeds_has_no_cause() -> None:
    assert DONE.cause is None


@pytest.mark.parametrize(("after", "expected"), [(None, None), (0, 0), (0.001, 1), (30, 30), (30.5, 31)])
def test_a_delay_in_whole_seconds_is_rounded_up(after: float | None, expected: int | None) -> None:
    assert expected == Retry(after=after).whole_seconds
