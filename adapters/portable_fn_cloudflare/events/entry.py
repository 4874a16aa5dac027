"""Build the Worker's methods for queues, schedules and emails, and for tasks that other Workers call by RPC."""

from __future__ import annotations

from portable_fn.adapter.batch import Consumer
from portable_fn.adapter.calling import is_awaitable
from portable_fn.adapter.dispatch import Dispatcher
from portable_fn.errors import ConfigurationError, DecodeError, EncodeError
from portable_fn.events import (
    BROKEN,
    CloudEvent,
    Event,
    Message,
    ObjectEvent,
    ScheduleEvent,
    Task,
    unreadable,
)
from portable_fn.http import Request
from portable_fn.on import ScheduleTrigger, TaskTrigger
from portable_fn.outcomes import Done, Reject, Retry, to_raise
from portable_fn_cloudflare.decode import env_of
from portable_fn_cloudflare.events import decode as events
from portable_fn_cloudflare.events import encode as encode_events
from portable_fn_cloudflare.running import finish_unawaited, run_in_task
from portable_fn_cloudflare.values import raw

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence
    from typing import Any

    from portable_fn.adapter.binding import Binding
    from portable_fn.context import Context
    from portable_fn.outcomes import Outcome
    from portable_fn_cloudflare.native import FFI, JavaScript, MessageBatch, ScheduledController, WorkerEntrypoint

    Method = Callable[..., Coroutine[Any, Any, object]]

# https://developers.cloudflare.com/workers/runtime-apis/rpc/reserved-methods/, the handlers, the names of the SDK's class, and those
# of every JavaScript object: the caller's stub answers these itself (seen with workerd 1.20261117.1).
RESERVED = (
    "fetch", "connect", "queue", "scheduled", "email", "tail", "tailStream", "trace", "test", "alarm", "webSocketMessage",
    "webSocketClose", "webSocketError", "dup", "constructor", "then", "env", "ctx",
    "toString", "toLocaleString", "valueOf", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable",
)  # fmt: skip

# The limit of Email Routing: https://developers.cloudflare.com/email-routing/limits/
MAX_EMAIL = 25 * 1024 * 1024

# https://developers.cloudflare.com/queues/platform/limits/
MAX_MESSAGE = 128_000

# The kinds of a queue's message and of what it can hold.
_QUEUED = (Message, ObjectEvent, CloudEvent)


def methods(functions: Sequence[Binding], first: Iterator[bool], js: JavaScript, ffi: FFI) -> dict[str, Method]:
    """Build a method for each source that a function takes, and one for each task.

    Args:
        first: Its first item marks the cold start.

    Raises:
        ConfigurationError: A task has a name that RPC can't call.
    """
    queued = [function for function in functions if _is_for(function, *_QUEUED)]
    mailed = [function for function in queued if issubclass(Message, function.kind) and _is_for(function, Message)]
    timed = [function for function in functions if _is_for(function, ScheduleEvent)]
    router = EventRouter(first, js, ffi)
    by_name: dict[str, Method] = {}
    if queued:
        dispatcher = Dispatcher(queued, events.inside)
        by_name["queue"] = router.queue(dispatcher, _whole(queued))
        for function, taker in dispatcher.hidden():
            # R2's notifications and CloudEvents arrive only inside queues' messages.
            _warn(
                "%s is never called here: its events arrive inside a queue's messages, and %s takes all of those; name the queue "
                "on its trigger with via='…'",
                function.name, taker.name,
            )  # fmt: skip
    if mailed:
        by_name["email"] = router.email(Consumer(Dispatcher(mailed), rejects=True))
    if timed:
        by_name["scheduled"] = router.scheduled(Consumer(Dispatcher(timed), rejects=True))
    tasks = _tasks(functions)
    for name, those in tasks.items():
        by_name[name] = router.rpc(name, Consumer(Dispatcher(those), rejects=True))
    known = {id(function) for those in (queued, timed, *tasks.values()) for function in those}
    for function in functions:
        if function.kind is not Request and id(function) not in known:
            _warn("%s is never called here: Cloudflare has no source of %s", function.name, function.kind.__name__)
        for trigger in function.triggers:
            if isinstance(trigger, ScheduleTrigger) and trigger.timezone != "UTC":
                _warn("%s runs in UTC: Cloudflare has no time zones, such as %s", function.name, trigger.timezone)
    return by_name


def _is_for(function: Binding, *kinds: type[Event[Any]]) -> bool:
    if not function.triggers:
        return function.kind is Event or function.kind in kinds
    return any(trigger.kind in kinds for trigger in function.triggers)


def _whole(functions: Sequence[Binding]) -> dict[str, Dispatcher]:
    """Return the batch handlers that have a queue to themselves, by that queue. They get each batch whole."""
    by_queue: dict[str, list[Binding]] = {}
    for function in functions:
        for name in {name for trigger in function.triggers for name in trigger.channels}:
            by_queue.setdefault(name, []).append(function)
    return {
        name: Dispatcher(those, events.inside)
        for name, those in by_queue.items()
        if len(those) == 1 and those[0].takes_batch
    }


def _tasks(functions: Sequence[Binding]) -> dict[str, list[Binding]]:
    tasks: dict[str, list[Binding]] = {}
    for function in functions:
        names = [trigger.name for trigger in function.triggers if isinstance(trigger, TaskTrigger)]
        if not function.triggers and function.kind is Task:
            names = [function.name]
        for name in names:
            if name in RESERVED or name.startswith("_"):
                raise ConfigurationError(
                    f"{function.name} can't be called as {name!r} by RPC: Cloudflare reserves that name; rename the task "
                    f"with on.task('…')"
                )
            tasks.setdefault(name, []).append(function)
    return tasks


def _warn(message: str, *args: object) -> None:
    from portable_fn.logs import log

    log().warning(message, *args)


class EventRouter:
    """Builds the methods. Each call passes a new instance of the Worker."""

    def __init__(self, first: Iterator[bool], js: JavaScript, ffi: FFI) -> None:
        self._first = first
        self._js = js
        self._ffi = ffi

    def _context(self, worker: WorkerEntrypoint) -> events.CloudflareEventContext:
        return events.CloudflareEventContext(
            worker.ctx, next(self._first, False), lambda: env_of(worker.env, self._js, self._ffi)
        )

    def queue(self, dispatcher: Dispatcher, whole: dict[str, Dispatcher]) -> Method:
        async def queue(worker: WorkerEntrypoint, batch: MessageBatch, *_: object) -> None:
            batch = raw(batch)
            context = self._context(worker)
            await run_in_task(self._consume(whole.get(events.queue_of(batch), dispatcher), batch, context))
            await finish_unawaited(context)

        return queue

    async def _consume(self, dispatcher: Dispatcher, batch: MessageBatch, context: Context) -> None:
        natives, items = events.messages(batch, self._ffi)
        parked: dict[int, str] = {}

        def dead_letter(event: Event[Any], reject: Reject, binding: str, seconds: float | None) -> bool:
            if binding not in context.env:
                context.log.error("there is no binding %s for the dead letters", binding)
                return False
            # Sending must be awaited, so it waits until the handlers are done.
            parked[id(reject)] = binding
            return True

        outcomes = await _handled(Consumer(dispatcher, dead_letter=dead_letter), items, context)
        rejected = []
        for native, item, outcome in zip(natives, items, outcomes, strict=True):
            if isinstance(outcome, Reject) and isinstance(item, Message):
                rejected.append((native, item, outcome))
            else:
                encode_events.acknowledge(native, outcome, context)
        sent: dict[object, Outcome] = {}
        for native, item, reject in rejected:
            # A batch may hold one message twice, and two messages with one id.
            message = item.id, item.fingerprint
            if message not in sent:
                sent[message] = await self._dead_lettered(item, reject, parked[id(reject)], context)
            encode_events.acknowledge(native, sent[message], context)

    async def _dead_lettered(self, message: Message[Any], reject: Reject, name: str, context: Context) -> Outcome:
        """Send a dead letter to the queue of the binding. If that fails, the message is retried."""
        try:
            body, content_type = self._letter(message, reject, context)
            await raw(context.env[name]).send(body, contentType=content_type)
        except Exception as exc:
            context.log.error("%s can't be sent to the dead letters %s", message.id, name, exc_info=exc)
            return Retry(f"rejected: {reject.why}")
        return reject

    def _letter(self, message: Message[Any], reject: Reject, context: Context) -> tuple[object, str]:
        from portable_fn.adapter.dead_letter import is_like, structured

        text = structured(message, reject)
        # A message that looks like a letter can't be sent without its reason: it is retried.
        if len(text) <= MAX_MESSAGE or is_like(message.body):
            # If sent as JSON, JavaScript would round its numbers.
            return text.decode(), "text"
        context.log.warning(
            "the dead letter of %s has no room for the reason: the message is sent unchanged", message.id
        )
        if not message.content_type:
            return message.text, "text"
        if message.content_type == "application/json":
            return self._js.JSON.parse(message.text), "json"
        return self._ffi.to_js(memoryview(message.body)), "bytes"

    def scheduled(self, consumer: Consumer) -> Method:
        async def scheduled(worker: WorkerEntrypoint, controller: ScheduledController, *_: object) -> None:
            item = _read(events.schedule, controller)
            outcome = await _one(item, consumer, self._context(worker))
            if isinstance(outcome, Reject) and hasattr(controller, "noRetry"):
                controller.noRetry()
            if not isinstance(outcome, Done):
                # Cloudflare shows the failure.
                raise _failure(outcome)

        return scheduled

    def email(self, consumer: Consumer) -> Method:
        async def email(worker: WorkerEntrypoint, native: Any, *_: object) -> None:
            item: Event[Any] | DecodeError
            try:
                headers = self._js.Array.from_(events.read(native, "headers")).to_py()
                item = events.email(native, headers, await _content(native))
            except (*BROKEN, self._ffi.JsException) as exc:
                item = unreadable(exc, "an email")
            outcome = await _one(item, consumer, self._context(worker))
            if isinstance(outcome, Reject):
                rejected = events.read(native, "setReject")(outcome.why or "rejected")
                # wrangler dev delivers an email by RPC, which returns a promise: miniflare's src/workers/core/email.ts
                if is_awaitable(rejected):
                    await rejected
            elif isinstance(outcome, Retry):
                raise _failure(outcome)

        return email

    def rpc(self, name: str, consumer: Consumer) -> Method:
        async def method(worker: WorkerEntrypoint, *args: Any, **by_name: Any) -> object:
            context = self._context(worker)
            item = _read(events.task, name, args, by_name, context.invocation_id, self._ffi)
            outcome = await _one(item, consumer, context)
            if not isinstance(outcome, Done):
                return encode_events.Thrown(outcome.cause, self._js)
            try:
                return encode_events.result(outcome.result, self._js)
            except EncodeError as exc:
                context.log.error("the result of %s can't be encoded", name, exc_info=exc)
                return encode_events.Thrown(exc, self._js)

        method.__name__ = name
        return method


async def _content(native: Any) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in events.read(native, "raw"):
        chunks.append(chunk.to_bytes())
        size += len(chunks[-1])
        if size > MAX_EMAIL:
            raise DecodeError(f"the email is over {MAX_EMAIL} bytes")
    return b"".join(chunks)


def _read(decode: Callable[..., Event[Any]], *args: Any) -> Event[Any] | DecodeError:
    try:
        return decode(*args)
    except DecodeError as exc:
        return exc


async def _one(item: Event[Any] | DecodeError, consumer: Consumer, context: Context) -> Outcome:
    """Return the outcome of a call that has one event."""
    (outcome,) = await run_in_task(_handled(consumer, [item], context))
    await finish_unawaited(context)
    return outcome  # type: ignore[no-any-return]  # run_in_task returns the awaitable's result


def _failure(outcome: Reject | Retry) -> Exception:
    """Return the error to raise. It is never a SystemExit, which would end the isolate."""
    cause = outcome.cause
    return to_raise(cause if isinstance(cause, Exception) else outcome, outcome.traceback)


async def _handled(consumer: Consumer, items: Sequence[Any], context: Context) -> list[Outcome]:
    outcomes = consumer.handle(items, context)
    return await outcomes if is_awaitable(outcomes) else outcomes  # type: ignore[misc, return-value]  # it is a list or awaitable
