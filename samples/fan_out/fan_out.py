"""Invoice each placed order, take it from the stock and count it: three functions for one topic."""

from pydantic import BaseModel

from portable_fn import Message, Reject, on, portable


class Order(BaseModel):
    id: str
    sku: str
    count: int
    cents: int


# They live as long as the process; real ones are databases.
invoices: dict[str, int] = {}
taken: dict[str, tuple[str, int]] = {}
counted: dict[str, str] = {}

placed = on.topic("orders-placed", dead_letter="undeliverable")

# What each does is by the order's id, so that an order that comes twice changes nothing: in one app, all three get it again
# where one of them fails.


@portable(placed)
def invoice(order: Message[Order]) -> None:
    invoices[order.data.id] = order.data.count * order.data.cents


@portable(placed)
def take(order: Message[Order]) -> None:
    if order.data.count < 1:
        raise Reject(f"nobody can take {order.data.count}")
    taken[order.data.id] = (order.data.sku, order.data.count)


@portable(placed)
def count(order: Message[Order]) -> None:
    counted[order.data.id] = order.data.sku
