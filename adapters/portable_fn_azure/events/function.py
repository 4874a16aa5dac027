"""What to register for a trigger, and the service that it listens to."""

from __future__ import annotations

from portable_fn.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from portable_fn.adapter.batch import Item
    from portable_fn.adapter.binding import Binding
    from portable_fn.on import RetryPolicy
    from portable_fn_azure.native import FunctionContext


class DeadLetterQueue(Record):
    """The queue for rejected events: its service, its name and the setting of its connection."""

    _fields = ("service", "name", "connection")

    def __init__(self, service: str, name: str, connection: str) -> None:
        self.service = service
        self.name = name
        self.connection = connection


class TriggerFunction(Record):
    """An Azure function to register: one trigger of a portable function, on one service.

    Args:
        channel: The queue, topic, stream, container or table that the trigger listens to.
        connection: The setting with the service's address.
        options: Further arguments of the trigger's decorator.
        settles: It settles each Service Bus message separately.
    """

    _fields = ("name", "service", "channel", "connection", "options", "settles", "dead_letter")

    def __init__(
        self,
        name: str,
        binding: Binding,
        trigger: Any,
        service: Service,
        channel: str,
        connection: str,
        options: dict[str, Any],
        settles: bool,
        dead_letter: DeadLetterQueue | None,
    ) -> None:
        self.name = name
        self.binding = binding
        self.trigger = trigger
        self.service = service
        self.channel = channel
        self.connection = connection
        self.options = options
        self.settles = settles
        self.dead_letter = dead_letter

    @property
    def takes_many(self) -> bool:
        """Whether one invocation gets several events."""
        if "cardinality" in self.options:
            cardinality = self.options["cardinality"]
            return str(getattr(cardinality, "value", cardinality)).lower() == "many"
        return self.service.takes_many and (self.settles or self.binding.takes_batch)

    @property
    def retry(self) -> RetryPolicy | None:
        """The retry policy that the host applies; None if it applies none to this service."""
        if self.service.retry is None:
            return None
        return getattr(self.trigger, "retry", None) or self.service.retry

    @property
    def place(self) -> str:
        """What the trigger listens to, such as a queue's name or a timer's schedule."""
        place: str = self.channel or getattr(self.trigger, "cron", "")
        return place


class Service(Record):
    """A service of Azure: how to declare its trigger and how to decode its payload.

    Args:
        words: The `on` words that it serves.
        connection: The setting with its address, unless `entry` gets another one.
        retry: The host's retry policy if the trigger has none; None if the host applies none to this service.
        takes_many: Whether one invocation can get several events.
        competes: Whether two functions on the same place would share its events.
    """

    _fields = ("name", "words", "connection", "retry", "takes_many", "competes")

    def __init__(
        self,
        name: str,
        words: tuple[str, ...],
        connection: str,
        declare: Callable[[Any, TriggerFunction], Any],
        decode: Callable[[Any, TriggerFunction, FunctionContext | None], list[Item]],
        *,
        retry: RetryPolicy | None = None,
        takes_many: bool = False,
        competes: bool = False,
    ) -> None:
        self.name = name
        self.words = words
        self.connection = connection
        self.declare = declare
        self.decode = decode
        self.retry = retry
        self.takes_many = takes_many
        self.competes = competes


def container_of(function: TriggerFunction) -> tuple[str, str]:
    """Return the database and the container of Cosmos DB."""
    database, slash, container = function.channel.partition("/")
    if not slash:
        database, container = "", function.channel
    return function.options.get("database_name", database), function.options.get("container_name", container)
