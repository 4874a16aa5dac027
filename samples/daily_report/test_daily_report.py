"""Test the report, by a direct call and through each provider's schedule."""

import json
from datetime import UTC, datetime

import pytest

from portable_fn.testing import fake
from report import daily_report

NEW_YEAR = {"report": "sales", "day": "2026-01-01", "cents": {"lamp": 7800, "desk": 24900}}


def tick(day: int):
    return fake.schedule(at=datetime(2026, 1, day, 6, tzinfo=UTC), name="daily-report", cron="0 6 * * *")


def test_the_report_is_of_the_day_before_it_was_due(capsys):
    daily_report(tick(2))

    assert NEW_YEAR == json.loads(capsys.readouterr().out)


@pytest.mark.providers("all")
def test_every_provider_s_schedule_makes_the_report(deliver, capsys):
    assert ["acknowledged"] == deliver(daily_report, tick(2)).outcomes
    assert NEW_YEAR == json.loads(capsys.readouterr().out)


@pytest.mark.providers("all")
def test_a_day_whose_books_are_open_prints_nothing(deliver, capsys):
    deliver(daily_report, tick(9))

    assert "" == capsys.readouterr().out
