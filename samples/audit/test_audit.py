"""Test the audit trail, by a direct call and through each provider's database."""

import json

import pytest

from audit import audit, difference
from portable_fn.testing import fake

# Cloudflare has no database that tells of changes.
with_a_database = pytest.mark.providers("aws", "gcp", "azure", "asgi")

# Azure's change feed tells of no removals, and of no values before, unless the container keeps all versions.
with_values_before = pytest.mark.providers("aws", "gcp", "asgi")

OLD = {"id": "7", "email": "ada@example.com", "plan": "free", "password": "hunter2"}
NEW = {"id": "7", "email": "ada@example.com", "plan": "paid", "password": "correct horse"}


@pytest.fixture
def written(capsys):
    """Return the recorded entries, by call."""
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_difference_is_of_the_fields_that_changed():
    assert {"plan": ["free", "paid"], "seats": [None, 2]} == difference(
        {"id": 7, "plan": "free"}, {"id": 7, "plan": "paid", "seats": 2}
    )


def test_a_secret_is_seen_to_change_and_not_shown(written):
    audit(fake.change("accounts", before=OLD, after=NEW))

    (entry,) = written()
    assert {"plan": ["free", "paid"], "password": ["…", "…"]} == entry["fields"]


@with_a_database
def test_an_inserted_account_is_written_down_on_every_provider_with_a_database(deliver, written):
    delivery = deliver(audit, fake.change("accounts", after=NEW))

    (entry,) = written()
    assert ["acknowledged"] == delivery.outcomes
    assert ("accounts", {"id": "7"}) == (entry["audit"], entry["key"])
    assert [None, "paid"] == entry["fields"]["plan"]


@with_values_before
def test_an_update_shows_what_was_before(deliver, written):
    deliver(audit, fake.change("accounts", before=OLD, after=NEW))

    (entry,) = written()
    assert "updated" == entry["action"]
    assert {"plan": ["free", "paid"], "password": ["…", "…"]} == entry["fields"]


@with_values_before
def test_a_removed_account_shows_what_was_removed(deliver, written):
    deliver(audit, fake.change("accounts", before=OLD))

    (entry,) = written()
    assert "removed" == entry["action"]
    assert ["free", None] == entry["fields"]["plan"]
