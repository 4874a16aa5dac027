"""Every story on every service of Toy's adapter."""

import pytest

from portable_fn.testing.stories import EventCell, HTTPCell, cells, false_claims

PROVIDER = "portable_fn_toy"
# By service, the stories that can't hold there, with the reason: each is tested to fail.
CANNOT = {
    "web": {"a stream's chunks arrive one by one": "an answer is one JSON object"},
    "queue": {
        "Message: its key arrives": "its messages have no keys",
        "Message: those after a failed one of the same key are redelivered, unhandled": "it has no order",
    },
}
# By service, kind and feature, the test that shows what no story tells.
SHOWN = {("web", "Request", "deadline"): "test_a_request_has_the_deadline_that_toy_tells"}


@pytest.mark.parametrize("cell", cells(PROVIDER, CANNOT), ids=lambda cell: cell.name)
def test_story(cell: HTTPCell | EventCell) -> None:
    cell.tell()


def test_what_is_declared_is_what_the_stories_show() -> None:
    assert [] == false_claims(PROVIDER, CANNOT, SHOWN)
