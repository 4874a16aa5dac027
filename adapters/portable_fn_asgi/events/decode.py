"""Decode the events of a request: CloudEvents, messages and schedules of Dapr, tasks."""

from __future__ import annotations

from portable_fn.adapter import cloudevents
from portable_fn.adapter.tasks import posted_task
from portable_fn.data import read_json
from portable_fn.errors import DecodeError, HTTPError
from portable_fn.events import CloudEvent, Event, Message
from portable_fn.on import EventTrigger
from portable_fn_asgi.events import cloud_events, dapr, foreign

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from portable_fn.adapter.batch import Item
    from portable_fn.adapter.binding import Binding
    from portable_fn.http import Request


class IncomingEvents:
    """The events of one request, and the source that sent it.

    Args:
        source: Decides the answer; a name in `encode.acknowledge`.
        items: The events, or why one is unreadable.
        request: The request.
        ids: Dapr's ids of the entries of a bulk.
    """

    def __init__(self, source: str, items: Sequence[Item], request: Request[Any], ids: Sequence[object] = ()) -> None:
        self.source = source
        self.items = items
        self.request = request
        self.ids = ids


def cloud_event(request: Request[Any], mode: str, foreigners: ForeignEvents) -> IncomingEvents:
    """Decode a CloudEvent, or a batch; `mode` is binary, structured or batched."""
    items = cloud_events.READ[mode](request)
    return IncomingEvents("cloud_event", [foreigners.refuse(item) for item in items], request)


def pubsub(request: Request[Any]) -> IncomingEvents:
    """Decode a message of Dapr's pub/sub, or a bulk of them."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == cloudevents.STRUCTURED:
        return IncomingEvents("dapr_pubsub", [dapr.pubsub(request)], request)
    if (bulk := _bulk(request)) is None:
        raise DecodeError(f"{request.path} takes what Dapr sends: a structured CloudEvent, or a bulk with entries")
    return bulk


def bulk_only(request: Request[Any]) -> IncomingEvents:
    """Decode a bulk of Dapr's pub/sub.

    Raises:
        HTTPError: 404 if the request has no bulk.
    """
    if (bulk := _bulk(request)) is None:
        raise HTTPError(404, f"Nothing answers {request.path}.")
    return bulk


def _bulk(request: Request[Any]) -> IncomingEvents | None:
    try:
        value = read_json(request.body)
    except ValueError:
        return None
    if not dapr.is_bulk(value):
        if adapter := foreign.adapter_of_body(value):
            raise DecodeError(f"{request.path} doesn't take events of another provider: {adapter}")
        return None
    items, ids = dapr.bulk(value, request)  # type: ignore[arg-type]  # is_bulk checked that it is a dict
    return IncomingEvents("dapr_bulk", items, request, ids)


def task(request: Request[Any], name: str) -> IncomingEvents:
    """Decode the call of a task at its name."""
    return IncomingEvents("task", [posted_task(request, name, request.time)], request)


def task_at_root(request: Request[Any], name: str) -> IncomingEvents:
    """Decode the call of the only task, at "/".

    Raises:
        DecodeError: The body isn't JSON, or is an event of another provider.
    """
    incoming = task(request, name)
    [item] = incoming.items
    if adapter := foreign.adapter_of_body(item.input):  # type: ignore[union-attr]  # a Task
        raise DecodeError(f"the task {name!r} can't be called with an event of another provider: {adapter}")
    return incoming


class ForeignEvents:
    """Decide which CloudEvents of other providers the functions take: those whose type or topic a trigger names.

    A function for every CloudEvent or message takes all of them.
    """

    def __init__(self, functions: Iterable[Binding]) -> None:
        bare = {function.kind for function in functions if not function.triggers}
        self._take_any = bool(bare & {Event, CloudEvent, Message})
        self._take_messages = Message in bare
        self._channels = {name for function in functions for trigger in function.triggers for name in trigger.channels}
        self._triggers = [
            trigger
            for function in functions
            if function.kind in (Event, CloudEvent)
            for trigger in function.triggers
            if isinstance(trigger, EventTrigger)
        ]

    def is_message(self, event: CloudEvent[Any], channel: str) -> bool:
        """Whether the functions take the event as a message of the channel."""
        return self._take_messages or channel in self._channels or not foreign.adapter_of_type(event.type)

    def refuse(self, item: Item) -> Item:
        """Return the item; instead of another provider's event that no function takes, a DecodeError naming the adapter.

        Otherwise such an event would reach a function whose trigger names something else, or be acknowledged without a call.
        """
        if not isinstance(item, CloudEvent) or self._take_any or not (adapter := foreign.adapter_of_type(item.type)):
            return item
        types = (trigger.types for trigger in self._triggers)
        if (
            any(trigger.wants(item) for trigger in self._triggers)
            or any(foreign.adapter_of_type(type) == adapter for known in types for type in known)
            or cloud_events.message(item).channel in self._channels
        ):
            return item
        return DecodeError(f"no function takes a CloudEvent of type {item.type[:200]!r}: {adapter}")


def unwrapper(kinds: set[type[Event[Any]]], foreigners: ForeignEvents) -> Callable[[Event[Any]], list[Event[Any]]]:
    """Return a function that unwraps events for functions of these kinds."""

    def unwrap(event: Event[Any]) -> list[Event[Any]]:
        if isinstance(event, dapr.DaprMessage):
            # Dapr wraps any other message in a CloudEvent with Dapr's type, which functions of messages don't need.
            return [] if event.cloud_event.type == dapr.OWN_TYPE and Message in kinds else [event.cloud_event]
        if isinstance(event, Message):
            return cloudevents.inside(event)
        if not isinstance(event, CloudEvent):
            return []
        neutral = cloud_events.neutral(event)
        if neutral is not None and (Event in kinds or any(isinstance(neutral, kind) for kind in kinds)):
            return [neutral]
        # A CloudEvent in a message was offered as a message before.
        if Message in kinds and not any(isinstance(envelope, Message) for envelope in event.envelopes):
            message = cloud_events.message(event)
            return [message] if foreigners.is_message(event, message.channel) else []
        return []

    return unwrap
