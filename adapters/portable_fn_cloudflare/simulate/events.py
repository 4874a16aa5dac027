"""Simulate Cloudflare's queues, schedules, emails and RPC calls."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from email.header import Header
from email.utils import format_datetime
from itertools import groupby
from typing import Any

from portable_fn.adapter.binding import bindings
from portable_fn.adapter.cloudevents import write_structured, write_time
from portable_fn.events import CloudEvent, Event, Message, ObjectEvent, ScheduleEvent, Task
from portable_fn.testing.loop import run
from portable_fn.testing.results import Delivery, EventResult, Raised, reject_reason
from portable_fn.testing.services import carried_by
from portable_fn_cloudflare.entry import worker
from portable_fn_cloudflare.simulate.javascript import (
    FFI,
    JS,
    BindingWrapper,
    Env,
    ExecutionContext,
    JsBody,
    JsException,
    JsProxy,
    WorkerEntrypoint,
    javascript,
    jsnull,
    python_from_rpc,
    python_to_rpc,
)

# "queue" is as SDK 1.9.5 passes it, "queue_raw" as the SDK that was built in before 2026-04-21 does.
EVENT_SERVICES = {
    "Message": ("queue", "queue_raw", "email"),
    "ObjectEvent": ("r2_queue",),
    "CloudEvent": ("queue",),
    "ScheduleEvent": ("scheduled",),
    "Task": ("rpc",),
}

R2_WORDS = {"created": "PutObject", "deleted": "DeleteObject"}


def payloads(events: Sequence[Event[Any]], service: str) -> list[Any]:
    """Return what Cloudflare calls the Worker with: one batch for a queue's messages, one call for each other event."""
    if service in ("queue", "queue_raw", "r2_queue"):
        return [
            MessageBatch(queue, [QueueMessage(*sent(one)) for one in those])
            for queue, those in groupby(
                events, key=lambda one: getattr(one, "channel", "") or carried_by(one, "events")
            )
        ]
    made: dict[str, Callable[[Any], Any]] = {"scheduled": ScheduledController, "email": EmailMessage, "rpc": Call}
    return [made[service](one) for one in events]


def sent(event: Any) -> tuple[str, datetime, int, Any]:
    """Build a queue's message: id, time, attempts and the value as JavaScript has it."""
    attempts = getattr(event, "attempt", None) or 1
    return event.id, event.time or datetime.now(UTC), attempts, value(event)


def value(event: Event[Any]) -> Any:
    """Return what the sender sends: JSON if the content type is JSON, text if there is none, else bytes."""
    if isinstance(event, ObjectEvent):
        account, _, _ = event.source.rpartition("/")
        found: dict[str, Any] = {"key": event.key}
        if not event.type and event.action not in R2_WORDS:
            raise ValueError(f"R2 sends no notification for {event.action!r}; possible are {', '.join(R2_WORDS)}")
        if event.action != "deleted":
            found.update(size=event.size or 0, eTag=event.etag or "0" * 32)
        return {
            "account": account or "0" * 32,
            "action": event.type or R2_WORDS[event.action],
            "bucket": event.bucket,
            "object": found,
            "eventTime": write_time(event.time or datetime.now(UTC)),
        }
    if isinstance(event, CloudEvent):
        return write_structured(event)
    assert isinstance(event, Message), event
    try:
        text = event.body.decode()
        if event.content_type.partition(";")[0].endswith(("/json", "+json")):
            return json.loads(text)
    except ValueError:
        return event.body
    return text if not event.content_type or event.content_type.startswith("text/") else event.body


def playing(service: str) -> AbstractContextManager[None]:
    """Do nothing: the queues that a Worker sends to are in its env."""
    return nullcontext()


def invoker(targets: tuple[object, ...], service: str, seconds: float) -> Callable[[Any], Any]:
    """Call the Worker as Cloudflare does, and return what workerd reports.

    Its env has the process's environment, and a queue for every `dead_letter` of the functions' triggers.
    """
    default = worker(targets, WorkerEntrypoint, JS, FFI)
    names = {trigger.dead_letter for one in bindings(*targets) for trigger in one.triggers if trigger.dead_letter}

    def invoke(native: Any) -> Any:
        queues = {name: Queue() for name in names}
        env = Env({**os.environ, **(queues if service == "queue_raw" else _wrapped(queues))})
        answer = run(called(native, default, env, service))
        if isinstance(native, MessageBatch):
            answer["sent"] = [one for queue in queues.values() for one in queue.sent]
        return answer

    return invoke


def _wrapped(queues: dict[str, Queue]) -> dict[str, Any]:
    return {name: BindingWrapper(queue) for name, queue in queues.items()}


async def called(native: Any, default: type[Any], env: Env, service: str) -> Any:
    """Return the answer of a call after its background work."""
    context = ExecutionContext()
    instance = default(context, env)
    try:
        answer = await native.call(instance, wrapped=service != "queue_raw")
    except JsException as exc:
        answer = Raised(exc.name, str(exc))
    except Exception:
        answer = Raised("PythonError", traceback.format_exc())
    while context.work:
        await context.work.pop()
    return answer


def results(events: Sequence[Event[Any]], service: str, answers: Sequence[Any]) -> Delivery:
    """Return the outcome of each event: what was said for a message's id, or else how its batch ended."""
    if service in ("queue", "queue_raw", "r2_queue"):
        return Delivery(_queued(events, answers))
    made: list[EventResult] = []
    for answer in answers:
        if isinstance(answer, Raised):
            made.append(EventResult("retried"))
        elif service == "scheduled" and answer["outcome"] != "ok":
            made.append(EventResult("dead-lettered" if answer["noRetry"] else "retried"))
        elif service == "email" and answer["rejected"] is not None:
            made.append(EventResult("dead-lettered", why=answer["rejected"]))
        else:
            made.append(EventResult("acknowledged"))
    last = answers[-1]
    if service != "rpc":
        return Delivery(made)
    return Delivery(made, error=(last.name, last.message)) if isinstance(last, Raised) else Delivery(made, result=last)


def _queued(events: Sequence[Event[Any]], answers: Sequence[Any]) -> list[EventResult]:
    # Batches differ by their queues' names. Within a batch, an id is a message.
    retries = {one["msgId"]: one.get("delaySeconds") for answer in answers for one in answer["retryMessages"]}
    acks = {id for answer in answers for id in answer["explicitAcks"]}
    dead = [one for answer in answers for one in answer.get("sent", ())]
    reasons = dict(told for content_type, body in dead if content_type == "text" and (told := _told(body)) is not None)
    made: list[EventResult] = []
    for event in events:
        if event.id in retries:
            made.append(EventResult("retried", retries[event.id]))
        elif event.id in acks:
            # A letter without room for the reason is the message unchanged.
            if (why := reasons.get(event.id)) is None and wire(value(event)) in dead:
                why = ""
            made.append(EventResult("acknowledged") if why is None else EventResult("dead-lettered", why=why))
        elif all(_done(answer) for answer in answers):
            made.append(EventResult("acknowledged"))
        else:
            made.append(EventResult("retried"))
    return made


def _told(body: bytes) -> tuple[str, str] | None:
    """Return the id and the reason of a dead letter, or None for another text."""
    try:
        value = json.loads(body)
        return value["portablefnid"], reject_reason(value["portablefnreason"])
    except (ValueError, KeyError, TypeError):
        return None


def _done(answer: Any) -> bool:
    """Whether the batch acknowledges the messages for which the Worker said nothing."""
    return answer["ackAll"] or (answer["outcome"] == "ok" and not answer["retryBatch"]["retry"])


def wire(value: Any) -> tuple[str, bytes]:
    """Return the content type and body of a value that was sent to a queue."""
    if isinstance(value, str):
        return "text", value.encode()
    if isinstance(value, bytes):
        return "bytes", value
    return "json", json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def again(content_type: str, body: bytes) -> tuple[str, bytes]:
    """Record what was sent to a queue, in the form of `wire`."""
    return wire(json.loads(body)) if content_type == "json" else (content_type, body)


class QueueMessage:
    """JavaScript's message of a queue. The first call of `ack` or `retry` counts."""

    batch: MessageBatch

    def __init__(self, id: Any, time: Any, attempts: Any, value: Any) -> None:
        self.id = id
        self.timestamp = javascript(time)
        self.attempts = attempts
        self.body = javascript(value)

    def ack(self) -> None:
        if self.id not in self.batch.retries:
            self.batch.acks[self.id] = None

    def retry(self, *, delaySeconds: int | None = None) -> None:  # noqa: N803  # JavaScript's name
        if self.id not in self.batch.acks:
            delay = {} if delaySeconds is None else {"delaySeconds": delaySeconds}
            self.batch.retries[self.id] = {"msgId": self.id, **delay}


class MessageBatch:
    """JavaScript's batch of a queue's messages."""

    def __init__(self, queue: str, messages: list[QueueMessage]) -> None:
        self.queue = queue
        self.messages = messages
        for message in messages:
            message.batch = self

    async def call(self, instance: Any, *, wrapped: bool) -> dict[str, Any]:
        """Return what workerd reports about the call."""
        self.acks: dict[str, None] = {}
        self.retries: dict[str, dict[str, Any]] = {}
        outcome = "ok"
        try:
            await instance.queue(BindingWrapper(self) if wrapped else self, None, None)
        except Exception:
            outcome = "exception"
        return {
            "outcome": outcome,
            "ackAll": False,
            "retryBatch": {"retry": False},
            "explicitAcks": list(self.acks),
            "retryMessages": list(self.retries.values()),
        }


class Queue:
    """A queue that a Worker sends to."""

    def __init__(self, *, fails: bool = False) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.fails = fails

    async def send(self, body: Any, *, contentType: str = "json") -> None:  # noqa: N803  # JavaScript's name
        if self.fails:
            raise JsException("Queue send failed")
        value = body.value if isinstance(body, JsProxy) else None if body is jsnull else body
        made = wire(value)
        if contentType == "json":
            made = "json", json.dumps(value).encode()
        elif contentType != made[0]:
            raise JsException(f"TypeError: The body isn't {contentType}")
        self.sent.append(again(*made))


class ScheduledController:
    """JavaScript's controller of a schedule."""

    def __init__(self, event: ScheduleEvent[Any]) -> None:
        self.cron = event.cron or "* * * * *"
        time = event.time or datetime.now(UTC)
        self.scheduledTime = round(time.timestamp() * 1000)
        self.no_retry = False

    def noRetry(self) -> None:  # noqa: N802  # JavaScript's name
        self.no_retry = True

    async def call(self, instance: Any, *, wrapped: bool) -> dict[str, Any]:
        """Return what workerd reports about the call."""
        outcome = "ok"
        try:
            await instance.scheduled(self, None, None)
        except Exception:
            outcome = "exception"
        return {"outcome": outcome, "noRetry": self.no_retry}


class EmailMessage:
    """JavaScript's email."""

    def __init__(self, event: Message[Any]) -> None:
        attributes = {"message-id": event.id, **event.attributes}
        if event.subject:
            ascii_only = event.subject.isascii() and event.subject.isprintable()
            attributes["subject"] = event.subject if ascii_only else Header(event.subject, "utf-8", 10_000).encode()
        if event.time is not None:
            attributes.setdefault("date", format_datetime(event.time))
        setattr(self, "from", str(attributes.get("return-path", "<ada@example.com>")).strip("<>"))
        self.to = event.channel
        # JavaScript's Headers strip spaces around a value.
        self.headers = sorted((name, str(value).strip()) for name, value in attributes.items())
        self.rawSize = len(event.body)
        self.raw = JsBody(event.body)
        self.rejected: str | None = None

    def setReject(self, reason: str) -> None:  # noqa: N802  # JavaScript's name
        self.rejected = reason

    async def call(self, instance: Any, *, wrapped: bool) -> dict[str, Any]:
        """Return the reason of the rejection, if there is one."""
        await instance.email(self, None, None)
        return {"rejected": self.rejected}


class Call:
    """An RPC call of a method by its name."""

    def __init__(self, event: Task[Any]) -> None:
        self.name = event.name
        self.args = [] if event.input is None else [event.input]

    async def call(self, instance: Any, *, wrapped: bool) -> Any:
        """Return what the caller receives."""
        args = [python_from_rpc(javascript(one)) for one in self.args]
        result = python_to_rpc(await getattr(instance, self.name)(*args))
        if len(repr(result)) > 32 * 1024 * 1024:
            raise ValueError("Serialized RPC arguments or return values are limited to 32MiB")
        return result
