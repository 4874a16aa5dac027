"""Clicks of a website are gathered to visits: a batch costs one write for each visitor, and each visitor's clicks stay in order."""

from collections import defaultdict

from pydantic import BaseModel

from portable_fn import Batch, Message, on, portable
from visits import Throttled, Visits


class Click(BaseModel):
    visitor: str
    page: str


visits = Visits()


@portable(on.stream("clicks", dead_letter="undeliverable"))
def gather(clicks: Batch[Message[Click]]) -> None:
    """The sender's key of each click is its visitor, so that those of one visitor come in order."""
    by_visitor: dict[str, list[Message[Click]]] = defaultdict(list)
    for click in clicks:
        by_visitor[click.data.visitor].append(click)
    for visitor, own in by_visitor.items():
        try:
            # By their ids, since a stream that is read again from a failure on delivers some twice.
            visits.add(visitor, {click.id: click.data.page for click in own})
        except Throttled:
            for click in own:
                clicks.retry(click, after=5, why="the table is throttled")
