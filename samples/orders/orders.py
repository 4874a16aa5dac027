"""Ship orders from a queue: a failed order costs only itself, an impossible one is dead-lettered."""

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
    """Ship an order. Data that isn't an `Order` is rejected before."""
    wanted = order.data
    if wanted.sku not in CATALOGUE:
        raise Reject(f"there is no {wanted.sku}")
    try:
        carrier.book(wanted.id, wanted.parcels)
    except Busy as busy:
        raise Retry("the carrier is busy", after=busy.seconds) from busy
    ctx.log.info("order %s is on its way, attempt %s", wanted.id, order.attempt)
