"""Play Google's triggers: send events as requests, and read the answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from portable_fn.adapter import cloudevents
from portable_fn.adapter.dead_letter import ID, REASON, SOURCE
from portable_fn.data import to_json
from portable_fn.events import Event, ObjectEvent
from portable_fn.http import Request
from portable_fn.on import Trigger
from portable_fn.testing.results import Delivery, EventResult, Raised, refused, reject_reason
from portable_fn_gcp.simulate import changes, messages, objects, requests, tasks
from portable_fn_gcp.simulate.pubsub import Published, current

EVENT_SERVICES = {
    "Message": ("pubsub_push", "pubsub_push_unwrapped", "pubsub_eventarc", "pubsub_legacy", "cloud_tasks"),
    "ObjectEvent": ("storage_eventarc", "storage_notification", "storage_legacy"),
    "ChangeEvent": ("firestore", "firestore_base64", "firestore_legacy"),
    "ScheduleEvent": ("scheduler",),
    "CloudEvent": ("eventarc", "eventarc_structured", "eventarc_batched", "pubsub_structured"),
    "Task": ("workflows", "bigquery"),
}

_REQUESTS: dict[str, Callable[[Any], Request[Any]]] = {
    "pubsub_push": messages.pubsub_push,
    "pubsub_push_unwrapped": messages.pubsub_push_unwrapped,
    "pubsub_eventarc": messages.pubsub_eventarc,
    "pubsub_legacy": messages.pubsub_legacy,
    "pubsub_structured": messages.pubsub_structured,
    "cloud_tasks": messages.cloud_tasks,
    "storage_eventarc": objects.storage_eventarc,
    "storage_notification": objects.storage_notification,
    "storage_legacy": objects.storage_legacy,
    "firestore": changes.firestore,
    "firestore_base64": changes.firestore_base64,
    "firestore_legacy": changes.firestore_legacy,
    "scheduler": tasks.scheduler,
    "eventarc": requests.binary,
    "eventarc_structured": requests.structured,
    "workflows": tasks.workflows,
    "bigquery": tasks.bigquery,
}


def default_service(trigger: Trigger, event: Event[Any]) -> str | None:
    """Return the service that delivers such an event to a function with the trigger; None if any does."""
    if not trigger.via:
        return None
    return "storage_notification" if isinstance(event, ObjectEvent) else "pubsub_structured"


def payloads(events: Sequence[Event[Any]], service: str) -> list[Request[Any]]:
    """Return the requests that the trigger sends for the events."""
    if service == "eventarc_batched":
        values = [cloudevents.write_structured(event) for event in events]  # type: ignore[arg-type]  # the service's kind
        return [requests.post(to_json(values).encode(), {"content-type": cloudevents.BATCHED})]
    return [_REQUESTS[service](event) for event in events]


def ordering_key(request: Request[Any], service: str) -> str | None:
    """Return the key within which the trigger sends the next request only after the last is acknowledged.

    https://cloud.google.com/pubsub/docs/ordering. A subscription of Eventarc, or of a first-generation function, keeps no
    order.
    """
    if service == "pubsub_push_unwrapped":
        return request.headers.get("x-goog-pubsub-ordering-key")
    if service == "pubsub_push":
        message: Any = request.json()["message"]
        key: str | None = message.get("orderingKey")
        return key
    return None


def results(events: Sequence[Event[Any]], service: str, answers: Sequence[Any]) -> Delivery:
    """Return what becomes of the events.

    Args:
        events: The events, in order.
        service: The trigger that sent them.
        answers: For each request the HTTP answer, a Raised, or None if it isn't sent yet.
    """
    if service == "eventarc_batched":
        answers = [answers[0]] * len(events)
    if service in ("workflows", "bigquery"):
        return _called(service, answers[0])
    pubsub = current.get()
    published = [] if pubsub is None else pubsub.published
    rejected = {_rejected_id(message): reject_reason(message.attributes[REASON]) for message in published}
    return Delivery(
        [_result(event, service, answer, rejected) for event, answer in zip(events, answers, strict=True)],
        error=refused(answers),
        held=[index for index, answer in enumerate(answers) if answer is None],
    )


def _rejected_id(message: Published) -> str:
    # The id of a Cloud Tasks task begins with its queue.
    return message.attributes[ID].removeprefix(message.attributes[SOURCE] + "/")


def _result(event: Event[Any], service: str, answer: Any, rejected: dict[str, str]) -> EventResult:
    if answer is None or isinstance(answer, Raised):
        return EventResult("retried")
    if answer.status in (200, 204):
        id = event.id.removeprefix(event.source + "/")
        return EventResult("dead-lettered", why=rejected[id]) if id in rejected else EventResult("acknowledged")
    # The other services use their own retry policy.
    after = answer.headers.get("retry-after") if service == "cloud_tasks" else None
    return EventResult("retried", None if after is None else float(after))


def _called(service: str, answer: Any) -> Delivery:
    """Return what the caller of a task sees."""
    if isinstance(answer, Raised):
        return Delivery([EventResult("retried")], error=(answer.name, answer.message))
    if error := refused([answer]):
        return Delivery([EventResult("retried")], error=error)
    value = answer.json()
    if answer.status == 200:
        return Delivery([EventResult("acknowledged")], result=value["replies"] if service == "bigquery" else value)
    if service == "bigquery":
        name, _, message = value["errorMessage"].partition(": ")
        error = (name, message)
    else:
        error = (value["error"]["type"], value["error"]["message"])
    return Delivery([EventResult("retried")], error=error)
