"""Orders from a queue are shipped: one that fails costs only itself, and one that can't ever be shipped is dead-lettered."""

from pydantic import BaseModel, Field

from carrier import Busy, Carrier
from portable_fn import Context, Message, Reject, Retry, on, portable


class Order(BaseModel):
    id: str
    sku: str
    parcels: int = Field(ge=1)


CATALOGUE = {"lamp", "desk"}
carrier = Carrier(room=100)


@portable(on.queue("orders", dead_letter="undeliverable"))
def ship(order: Message[Order], ctx: Context) -> None:
    """What is no Order is rejected before it comes here."""
    wanted = order.data
    if wanted.sku not in CATALOGUE:
        raise Reject(f"there is no {wanted.sku}")
    try:
        carrier.book(wanted.id, wanted.parcels)
    except Busy as busy:
        raise Retry("the carrier is busy", after=busy.seconds) from busy
    ctx.log.info("order %s is on its way, attempt %s", wanted.id, order.attempt)
