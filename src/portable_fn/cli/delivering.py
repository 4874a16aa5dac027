"""An event, or several that come together, through one provider: what each side sees, and what became of them."""

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
    """What became of events on one provider; `error` says why there is no delivery, `missing` that it can't be had here."""

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
    """Delivers the events once."""
    found = Delivered(provider, service)
    handler = [function.function for function in functions]
    first = as_events(event, handler)[0]
    with log_kept([]), placeholder_settings(handler):
        try:
            simulate = adapter(provider, "simulate")
            if first.kind_name not in simulate.EVENT_SERVICES:
                found.error, found.missing = f"delivers no {first.kind_name}", True
                return found
            found.service = service_for(simulate, provider, first, service, handler)
            found.delivery = made = deliver(handler, event, to=provider, via=found.service)
        except MissingExtra as exc:
            found.error, found.missing = str(exc).removeprefix(f"{provider} "), True
            return found
        except Exception as exc:
            found.error = what(exc)
            return found
    found.native_requests = [_written(one, provider, found.service) for one in made.native_requests]
    found.native_answers = [plain(one) for one in made.native_answers]
    found.logged = [f"{record.levelname.lower()}: {line(record)}" for record in made.logs]
    return found


def _written(native: Any, provider: str, service: str) -> Plain:
    try:
        made: Plain = to_json_value(native, provider, service)
    except TypeError:
        # A third party's adapter need not say how its payloads are JSON.
        return plain(native)
    return made


def services(event: Any, provider: str) -> tuple[str, ...]:
    """The provider's services that hand over such events."""
    found: tuple[str, ...] = adapter(provider, "simulate").EVENT_SERVICES.get(as_events(event)[0].kind_name, ())
    return found


def as_json(found: Delivered) -> dict[str, Any]:
    """The delivery as an object of JSON."""
    made = found.delivery
    return {
        "provider": found.provider,
        "service": found.service,
        "native_requests": found.native_requests,
        "native_answers": found.native_answers,
        "outcomes": made
        and [
            {"id": event.id, "outcome": one.outcome, "after": one.after, "why": one.why}
            for event, one in zip(made.events, made.results, strict=True)
        ],
        "result": made and plain(made.result),
        "error": found.error,
        "raised": made and made.error and {"name": made.error[0], "message": made.error[1]},
        "log": found.logged,
    }
