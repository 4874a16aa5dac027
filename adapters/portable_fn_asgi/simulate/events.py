"""Play the senders of events over HTTP: an outbox or Knative with CloudEvents, a Dapr sidecar, the caller of a task.

They send neutral requests and receive answers, so that tests can replace them with real servers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from portable_fn.adapter import cloudevents
from portable_fn.adapter.as_cloudevent import is_extension, write
from portable_fn.adapter.callers import unwarned
from portable_fn.data import to_json
from portable_fn.events import CloudEvent, Event, Message, ScheduleEvent, Task
from portable_fn.http import Request
from portable_fn.pairs import is_token
from portable_fn.testing import asgi
from portable_fn.testing.loop import run
from portable_fn.testing.results import Answer, Delivery, EventResult, Raised, refused
from portable_fn_asgi.drivers import topic
from portable_fn_asgi.entry import entry
from portable_fn_asgi.simulate.server import messages, scope

EVENT_SERVICES = {
    "Message": ("cloud_event", "dapr_pubsub", "dapr_bulk", "dapr_binding"),
    "ObjectEvent": ("cloud_event",),
    "ChangeEvent": ("cloud_event",),
    "ScheduleEvent": ("cloud_event", "dapr_job", "dapr_cron"),
    "CloudEvent": ("binary", "structured", "batched"),
    "Task": ("post",),
}
PUBSUB = "pubsub"


class AnswerToDapr(Answer):
    """An answer to a sidecar, with the subscriptions that the application lists."""

    subscriptions: list[dict[str, Any]]


def payloads(events: Sequence[Event[Any]], service: str) -> list[Request[Any]]:
    """Return the requests with the events: one for each, or one for a whole batch or bulk."""
    whole: Any = {"batched": _batched, "dapr_bulk": _bulk}.get(service)
    if whole is not None:
        return [whole(events)]
    single: Any = _SINGLE[service]
    return [single(event) for event in events]


@contextmanager
def playing(service: str) -> Iterator[None]:
    """Make sure that the call finds no sidecar, even if the environment names one.

    A rejected message is dropped, and Dapr sends it to its dead letters.
    """
    token = topic.has_sidecar.set(False)
    try:
        yield
    finally:
        topic.has_sidecar.reset(token)


def invoker(targets: tuple[object, ...], service: str, seconds: float) -> Callable[[Request[Any]], Any]:
    """Return a function that sends a request to the application; for Dapr, it also asks for the subscriptions."""
    with unwarned():
        application = entry(*targets, pubsub=PUBSUB)

    def call(request: Request[Any]) -> Any:
        try:
            return asgi.answer(run(messages(application, scope(request), request.raw_body)))
        except Exception as exc:
            return Raised.of(exc)

    def from_dapr(request: Request[Any]) -> Any:
        answer, listed = call(request), call(Request("GET", "/dapr/subscribe", host="127.0.0.1"))
        return answer if isinstance(answer, Raised) else from_sidecar(answer, listed)

    return from_dapr if service in ("dapr_pubsub", "dapr_bulk") else call


def from_sidecar(answer: Answer, listed: Answer) -> AnswerToDapr:
    """Return the answer together with the application's list of subscriptions."""
    known = AnswerToDapr(answer.status, answer.headers, answer.body, answer.chunks)
    known.subscriptions = listed.json() if listed.status == 200 else []
    return known


def results(events: Sequence[Event[Any]], service: str, answers: Sequence[Any]) -> Delivery:
    """Return what becomes of each event."""
    if service == "post":
        return _called(answers[0])
    # A batch has no reply.
    result = _reply(answers[0]) if len(answers) == 1 and service != "batched" else None
    return Delivery(_results(events, service, answers), result=result, error=refused(answers))


def _results(events: Sequence[Event[Any]], service: str, answers: Sequence[Any]) -> list[EventResult]:
    if service == "batched":
        return [_knative(answers[0])] * len(events)
    if service == "dapr_bulk":
        return _bulk_statuses(events, answers[0])
    if service == "dapr_pubsub":
        return [_pubsub_status(event, answer) for event, answer in zip(events, answers, strict=True)]
    if service in ("dapr_binding", "dapr_cron"):
        return [_binding(answer) for answer in answers]
    if service == "dapr_job":
        return [_job(answer) for answer in answers]
    return [_knative(answer) for answer in answers]


def _post(path: str, headers: list[tuple[str, str]], body: bytes) -> Request[Any]:
    return Request("POST", path, "", headers, body, host="127.0.0.1", scheme="http", client_ip="127.0.0.1")


def _json(value: object) -> bytes:
    return to_json(value).encode()


def _binary(event: Event[Any]) -> Request[Any]:
    return _post("/", *cloudevents.write_binary(write(event)))


def _structured(event: Event[Any]) -> Request[Any]:
    return _post("/", [("content-type", cloudevents.STRUCTURED)], cloudevents.write_structured_body(write(event)))


def _batched(events: Sequence[Event[Any]]) -> Request[Any]:
    return _post(
        "/", [("content-type", cloudevents.BATCHED)], cloudevents.write_batched([write(event) for event in events])
    )


def _envelope(message: Message[Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the CloudEvent in which Dapr wraps a message, and the broker's metadata."""
    extensions: dict[str, str] = {}
    metadata: dict[str, str] = {}
    for name, attribute in message.attributes.items():
        if not isinstance(attribute, str):
            raise ValueError(f"Dapr's attributes are strings, but {name!r} is {type(attribute).__name__}")
        (extensions if attribute and is_extension(name) else metadata)[name] = attribute
    value = cloudevents.write_structured(
        CloudEvent(
            message.id,
            message.source,
            "com.dapr.event.sent",
            message.body,
            subject=message.subject,
            time=message.time,
            content_type=message.content_type,
            extensions=extensions,
        )
    )
    trace = extensions.get("traceparent", "")
    value |= {"topic": message.channel, "pubsubname": PUBSUB, "traceid": trace, "traceparent": trace}
    value.setdefault("tracestate", "")
    if message.attempt is not None:
        # Service Bus uses this name.
        metadata["metadata.DeliveryCount"] = str(message.attempt)
    return value, metadata | _kafka_metadata(message)


def _kafka_metadata(message: Message[Any]) -> dict[str, str]:
    metadata = {"__key": message.key, "__partition": message.partition, "__offset": message.sequence}
    return {name: value for name, value in metadata.items() if value is not None}


def _pubsub(message: Message[Any]) -> Request[Any]:
    value, metadata = _envelope(message)
    headers = [("content-type", cloudevents.STRUCTURED), ("user-agent", "Go-http-client/1.1"), ("pubsubname", PUBSUB)]
    return _post(_route(message), headers + [_header(*pair) for pair in metadata.items()], _json(value))


def _header(name: str, value: str) -> tuple[str, str]:
    if not is_token(name):
        raise ValueError(f"Dapr sends metadata as headers, and a header can't be named {name!r}")
    return name, value


def _bulk(events: Sequence[Message[Any]]) -> Request[Any]:
    entries = []
    for number, message in enumerate(events):
        value, metadata = _envelope(message)
        entry = {"entryId": str(number), "event": value, "metadata": metadata, "contentType": cloudevents.STRUCTURED}
        entries.append(entry)
    bulk = {
        "id": "9f9d1d8a-8e43-4a5c-9c5d-1f7d1d2f6d0e",
        "type": "com.dapr.event.sent.bulk",
        "topic": events[0].channel,
        "pubsubname": PUBSUB,
        "metadata": {"pubsubName": PUBSUB},
        "entries": entries,
    }
    return _post(_route(events[0]), [("content-type", "application/json")], _json(bulk))


def _route(message: Message[Any]) -> str:
    return f"/portable_fn/{quote(message.channel, safe='')}"


def _binding_of(message: Message[Any]) -> Request[Any]:
    """Build a binding's message, with the id of Pub/Sub's component and the time of storage queues'."""
    headers = [("content-type", "application/json"), ("user-agent", "Go-http-client/1.1"), ("id", message.id)]
    if message.time is not None:
        headers.append(("insertionTime", cloudevents.write_time(message.time.replace(microsecond=0))))
    if message.attempt is not None:
        headers.append(("dequeueCount", str(message.attempt)))
    headers += _kafka_metadata(message).items()
    for name, value in message.attributes.items():
        if not isinstance(value, str):
            raise ValueError(f"Dapr's attributes are strings, but {name!r} is {type(value).__name__}")
        headers.append(_header(name, value))
    return _post(f"/{quote(message.channel, safe='')}", headers, message.body)


def _job_of(event: ScheduleEvent[Any]) -> Request[Any]:
    body = b"" if event.input is None else _json(event.input)
    return _post(f"/job/{quote(event.name, safe='')}", [("content-type", "application/json")], body)


def _cron_of(event: ScheduleEvent[Any]) -> Request[Any]:
    if event.time is None:
        raise ValueError("a cron binding sends the time of its run: pass fake.schedule an `at`")
    time = f"{event.time:%Y-%m-%d %H:%M:%S.%f}".rstrip("0").rstrip(".") + " +0000 UTC"
    headers = [("content-type", "application/json"), ("readTimeUTC", time), ("timeZone", "UTC")]
    return _post(f"/{quote(event.name, safe='')}", headers, b"")


def _task_of(task: Task[Any]) -> Request[Any]:
    headers = [("content-type", "application/json"), ("x-request-id", task.id)]
    return _post(f"/{quote(task.name, safe='')}", headers, _json(task.input))


_SINGLE = {
    "cloud_event": _binary,
    "binary": _binary,
    "structured": _structured,
    "dapr_pubsub": _pubsub,
    "dapr_binding": _binding_of,
    "dapr_job": _job_of,
    "dapr_cron": _cron_of,
    "post": _task_of,
}

# https://github.com/knative/specs/blob/main/specs/eventing/data-plane.md#event-acknowledgement-and-delivery-retry
_KNATIVE_RETRIES = (404, 408, 409, 429)


def _knative(answer: Any) -> EventResult:
    if isinstance(answer, Raised):
        return EventResult("retried")
    if answer.status < 300:
        return EventResult("acknowledged")
    if answer.status in _KNATIVE_RETRIES or answer.status >= 500:
        after = answer.headers.get("retry-after")
        return EventResult("retried", None if after is None else float(after))
    return EventResult("dead-lettered", why=_detail(answer))


def _detail(answer: Answer) -> str:
    # The dead letter has the body as knativeerrordata.
    detail: str = answer.json().get("detail", "") if answer.headers.get("content-type", "").endswith("+json") else ""
    return detail


def _reply(answer: Any) -> CloudEvent[Any] | None:
    if isinstance(answer, Raised) or not 200 <= answer.status < 300 or not answer.body or "ce-id" not in answer.headers:
        return None
    return cloudevents.binary(answer.headers, answer.body)


def _pubsub_status(event: Any, answer: Any) -> EventResult:
    """Decide as Dapr does in pkg/runtime/subscription/postman/http."""
    if isinstance(answer, Raised):
        return EventResult("retried")
    if answer.status == 404:
        return _dropped(event, answer)
    if not 200 <= answer.status < 300:
        return EventResult("retried")
    try:
        status = answer.json()["status"] if answer.body else ""
    except (ValueError, KeyError, TypeError):
        status = ""
    return _of_status(event, answer, status or "SUCCESS")


def _of_status(event: Any, answer: Any, status: object) -> EventResult:
    if status == "SUCCESS":
        return EventResult("acknowledged")
    return _dropped(event, answer) if status == "DROP" else EventResult("retried")


def _dropped(event: Any, answer: Any) -> EventResult:
    subscriptions = [entry for entry in getattr(answer, "subscriptions", []) if entry["topic"] == event.channel]
    return EventResult("dead-lettered" if any(entry.get("deadLetterTopic") for entry in subscriptions) else "lost")


def _bulk_statuses(events: Sequence[Any], answer: Any) -> list[EventResult]:
    if isinstance(answer, Raised) or not (200 <= answer.status < 300 or answer.status == 404):
        return [EventResult("retried") for _ in events]
    if answer.status == 404:
        return [EventResult("lost") for _ in events]
    try:
        statuses = {entry["entryId"]: entry.get("status") for entry in answer.json()["statuses"]}
    except (ValueError, KeyError, TypeError):
        return [EventResult("retried") for _ in events]
    return [_of_status(event, answer, statuses.get(str(number), "RETRY")) for number, event in enumerate(events)]


def _binding(answer: Any) -> EventResult:
    # Dapr acknowledges another 2xx in the end, but a resiliency policy counts it as a failure.
    return EventResult("acknowledged" if not isinstance(answer, Raised) and answer.status == 200 else "retried")


def _job(answer: Any) -> EventResult:
    if isinstance(answer, Raised):
        return EventResult("retried")
    return EventResult("acknowledged" if 200 <= answer.status < 300 else "lost" if answer.status == 404 else "retried")


def _called(answer: Any) -> Delivery:
    if isinstance(answer, Raised):
        return Delivery([EventResult("retried")], error=(answer.name, answer.message))
    if answer.status == 200:
        return Delivery([EventResult("acknowledged")], result=answer.json())
    problem = answer.json()
    after = answer.headers.get("retry-after")
    is_rejected = answer.status == 400 and "error" in problem
    result = EventResult(
        "dead-lettered" if is_rejected else "retried",
        None if after is None else float(after),
        problem["detail"] if is_rejected else "",
    )
    return Delivery([result], error=(problem.get("error", problem["title"]), problem["detail"]))
