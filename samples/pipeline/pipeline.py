"""Take an order's goods from the shelf: a step of a workflow, which sees its result and its errors' names."""

from pydantic import BaseModel

from portable_fn import Context, Reject, Retry, Task, on, portable


class OutOfStock(Reject):
    """A retry doesn't help: the workflow catches it and tells the customer."""


class ShelfLocked(Retry):
    """Somebody is counting the shelf: the workflow retries."""


class Order(BaseModel):
    sku: str
    count: int


SHELVES = {"lamp": 7, "desk": 1}
locked = {"sofa"}


@portable(on.task("reserve"))
def reserve(order: Task[Order], ctx: Context) -> dict:
    wanted = order.data
    if wanted.sku in locked:
        raise ShelfLocked(f"the shelf of {wanted.sku} is being counted")
    if wanted.count > (there := SHELVES.get(wanted.sku, 0)):
        raise OutOfStock(f"{wanted.count} of {wanted.sku} are wanted, {there} are there")
    return {"sku": wanted.sku, "reserved": wanted.count, "by": ctx.provider}
