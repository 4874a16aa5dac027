"""The functions to register for triggers, and the services that they are for."""

from __future__ import annotations

from copy import copy

from portable_fn.adapter.batch import Consumer
from portable_fn.adapter.dispatch import Dispatcher
from portable_fn.events import ChangeEvent
from portable_fn.record import Record
from portable_fn_azure.events.event_grid import unwrap
from portable_fn_azure.events.progress import Progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from portable_fn.adapter.batch import DeadLetter, Item
    from portable_fn.adapter.binding import Binding
    from portable_fn.events import Event
    from portable_fn.on import RetryPolicy
    from portable_fn.outcomes import Reject
    from portable_fn_azure.native import FunctionContext


class TriggerFunction(Record):
    """An Azure function to be: a trigger of a function, with the service that it is for.

    `many` says that it takes all that come at once, `settles` that it settles each by itself, `dead_letter` where rejected
    events go: the kind of queue, its name and its connection.
    """

    _fields = ("name", "service", "channel", "connection", "options", "many", "settles", "retry", "dead_letter")

    def __init__(
        self,
        name: str,
        function: Binding,
        trigger: Any,
        service: Service,
        channel: str,
        connection: str,
        options: dict[str, Any],
        settles: bool,
        dead_letter: tuple[str, str, str] | None,
    ) -> None:
        self.name = name
        self.function = function
        self.trigger = trigger
        self.service = service
        self.channel = channel
        self.connection = connection
        self.options = options
        self.many = service.takes_many and (settles or function.takes_batch)
        if "cardinality" in options:
            self.many = str(getattr(options["cardinality"], "value", options["cardinality"])).lower() == "many"
        self.settles = settles
        self.dead_letter = dead_letter
        self.retry: RetryPolicy | None = None
        if service.retry is not None:
            self.retry = getattr(trigger, "retry", None) or service.retry
        self.progress = Progress()
        # What this Azure function isn't for is another one's, even where both are of one function.
        alone = copy(function)
        alone.triggers = (trigger,)
        settle = None if dead_letter is None else _sender(*dead_letter, function.file)
        self.consumer = Consumer(Dispatcher([alone], unwrap), key=order_of, rejects=settles, dead_letter=settle)

    @property
    def place(self) -> str:
        """What the trigger listens to, such as a queue."""
        place: str = self.channel or getattr(self.trigger, "cron", "")
        return place

    @property
    def arguments(self) -> dict[str, Any]:
        """What a decorator of several at once or one takes, as the options have it."""
        return {"cardinality": "many" if self.many else "one", **self.options}


class Service(Record):
    """A service of Azure: the trigger's `words` that it is for, and how its binding is declared and its payload read.

    `connection` is the setting that says where it is, by default. `retry` is the host's policy where the trigger has none; None
    where the host takes none for it. `takes_many` says that it can hand over several at once, `competes` that of two functions
    for the same place only one would get an event.
    """

    _fields = ("name", "words", "connection", "retry", "takes_many", "competes")

    def __init__(
        self,
        name: str,
        words: tuple[str, ...],
        connection: str,
        declare: Callable[[Any, TriggerFunction], Any],
        items: Callable[[Any, TriggerFunction, FunctionContext | None], list[Item]],
        *,
        retry: RetryPolicy | None = None,
        takes_many: bool = False,
        competes: bool = False,
    ) -> None:
        self.name = name
        self.words = words
        self.connection = connection
        self.declare = declare
        self.items = items
        self.retry = retry
        self.takes_many = takes_many
        self.competes = competes


def order_of(event: Any) -> object:
    """What is in order: a session, a partition, and a table's changes."""
    if isinstance(event, ChangeEvent):
        return event.table
    partition = getattr(event, "partition", None)
    return partition if partition is not None else getattr(event, "key", None)


def _sender(kind: str, name: str, connection: str, file: str) -> DeadLetter:
    """What sends rejected events to a queue; an output binding would send only one of an invocation, without its attributes."""

    def send(event: Event[Any], reject: Reject, dead_letter: str, seconds: float | None) -> bool:
        from portable_fn_azure.drivers import queue as queues

        queues.dead_letter(kind, name, connection, event, reject, seconds, file)
        return True

    return send
