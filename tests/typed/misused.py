"""What a type checker finds wrong: the lines that end so, and no other."""

from __future__ import annotations

from typing import Any, assert_type

from hypothesis import strategies as st

from portable_fn import Batch, Context, Message, ObjectEvent, Task, on, portable
from portable_fn.testing import deliver, fake, parse, strategies
from portable_fn.testing.plugin import Deliver
from portable_fn.testing.results import EventResult


class Order:
    sku: str


@portable(on.queue("orders"))
def ship(order: Message[Order], ctx: Context) -> str:
    order.data.price  # wrong
    return order.data  # wrong


@portable
def whole(batch: Batch[Message[Order]]) -> None:
    batch.retry(batch[0].data)  # wrong


ship(fake.message(), fake.context())
ship(fake.request(), fake.context())  # wrong
ship(fake.message())  # wrong
order: Message[Order] = fake.message()
task: Task[Order] = fake.message()  # wrong
assert_type(order.data, Any)  # wrong

deliver(ship, fake.message())
assert_type(deliver(ship, fake.message()), int)  # wrong
deliver(ship, fake.message()).status  # wrong
deliver(ship, fake.request()).outcomes  # wrong
deliver(ship, {"Records": []})  # wrong
deliver(ship, fake.message(), to=1)  # wrong
EventResult("dead_lettered")  # wrong
parse({}, kind=Order)  # wrong
parse({}, kind=ObjectEvent).channel  # wrong


def test_by_the_fixture(deliver: Deliver) -> None:
    deliver(ship, fake.message(), to="all").outcomes  # wrong
    deliver(ship, fake.message(), to=["aws"]).outcomes  # wrong


fake.message(atempt=3)  # codespell:ignore atempt  # wrong
fake.message(attempt="3")  # wrong
fake.object(action="exploded")  # wrong
fake.change(action="created")  # wrong
strategies.messages(attempt=st.just(3))
strategies.messages(attempt=st.just("3"))  # wrong

portable("orders")  # wrong
on.queue("orders", retry=3)  # wrong
on.object("uploads", "created", "exploded")  # wrong
on.change("users", "created")  # wrong
on.schedule()  # wrong
