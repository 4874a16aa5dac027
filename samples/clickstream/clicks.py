"""Group the clicks of a website into visits: one write for each visitor of a batch, each visitor's clicks in order."""

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
    """Store the clicks by visitor. The sender's key is the visitor, so a visitor's clicks arrive in order."""
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
