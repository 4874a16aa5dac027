"""Deliver one or several events by one provider, and show both sides and the outcomes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from portable_fn.adapter.binding import Binding
from portable_fn.cli.excerpt import Plain, plain
from portable_fn.cli.sending import line, log_kept
from portable_fn.cli.target import what
from portable_fn.providers import adapter
from portable_fn.recording.payload_json import to_json_value
from portable_fn.testing.delivery import deliver
from portable_fn.testing.extras import MissingExtra
from portable_fn.testing.results import Delivery
from portable_fn.testing.services import as_events, service_for
from portable_fn.testing.settings import placeholder_settings


@dataclass
class Delivered:
    """The delivery on one provider. `error` says why there is none; `missing` is true if it can't be done here."""

    provider: str
    service: str | None
    native_requests: list[Plain] = field(default_factory=list[Plain])
    native_answers: list[Plain] = field(default_factory=list[Plain])
    delivery: Delivery | None = None
    error: str | None = None
    missing: bool = False
    logged: list[str] = field(default_factory=list[str])

    @property
    def name(self) -> str:
        """The provider, and the service if there is one: `aws/sqs`."""
        return f"{self.provider}/{self.service}" if self.service else self.provider


def delivered(functions: list[Binding], event: Any, provider: str, service: str | None) -> Delivered:
    """Deliver the events once."""
    result = Delivered(provider, service)
    handler = [function.function for function in functions]
    first = as_events(event, handler)[0]
    with log_kept([]), placeholder_settings(handler):
        try:
            simulate = adapter(provider, "simulate")
            if first.kind_name not in simulate.EVENT_SERVICES:
                result.error, result.missing = f"has no source of {first.kind_name}", True
                return result
            result.service = service_for(simulate, provider, first, service, handler)
            result.delivery = delivery = deliver(handler, event, to=provider, via=result.service)
        except MissingExtra as exc:
            result.error, result.missing = str(exc).removeprefix(f"{provider} "), True
            return result
        except Exception as exc:
            result.error = what(exc)
            return result
    result.native_requests = [_written(native, provider, result.service) for native in delivery.native_requests]
    result.native_answers = [plain(native) for native in delivery.native_answers]
    result.logged = [f"{record.levelname.lower()}: {line(record)}" for record in delivery.logs]
    return result


def _written(native: Any, provider: str, service: str) -> Plain:
    try:
        payload: Plain = to_json_value(native, provider, service)
    except TypeError:
        # A third party's adapter may not write its payloads as JSON.
        return plain(native)
    return payload


def services(event: Any, provider: str) -> tuple[str, ...]:
    """Return the provider's services that send such events."""
    names: tuple[str, ...] = adapter(provider, "simulate").EVENT_SERVICES.get(as_events(event)[0].kind_name, ())
    return names


def as_json(delivered: Delivered) -> dict[str, Any]:
    """Return the delivery as a JSON object."""
    delivery = delivered.delivery
    return {
        "provider": delivered.provider,
        "service": delivered.service,
        "native_requests": delivered.native_requests,
        "native_answers": delivered.native_answers,
        "outcomes": delivery
        and [
            {"id": event.id, "outcome": result.outcome, "after": result.after, "why": result.why}
            for event, result in zip(delivery.events, delivery.results, strict=True)
        ],
        "result": delivery and plain(delivery.result),
        "error": delivered.error,
        "raised": delivery and delivery.error and {"name": delivery.error[0], "message": delivery.error[1]},
        "log": delivered.logged,
    }
