"""What the adapters declare that their providers can do."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass

from portable_fn.binding import KINDS
from portable_fn.capabilities import Service
from portable_fn.cli.failure import IMPORT, Failure
from portable_fn.cli.target import place, what
from portable_fn.errors import ConfigurationError
from portable_fn.events import Batch, Event
from portable_fn.providers import ADAPTERS, adapter

# The kinds that a service can hand over, in the order in which the matrix shows them.
HANDED_OVER = tuple(name for name, kind in KINDS.items() if kind not in (Event, Batch))


@dataclass(frozen=True)
class Declared:
    """A provider with its services; `services` is None where its adapter has no `capabilities.py` yet."""

    provider: str
    services: tuple[Service, ...] | None


def declared(asked: str, option: str) -> list[Declared]:
    """The providers that the option names, with their services; Failure for one that doesn't exist."""
    names = [name for name in map(str.strip, asked.split(",")) if name]
    if not names:
        raise Failure(f"{option} names no provider; possible are {', '.join(ADAPTERS)}, all")
    every = [one for name in names for one in (ADAPTERS if name == "all" else (name,))]
    return [Declared(provider, _services(provider)) for provider in dict.fromkeys(every)]


def _services(provider: str) -> tuple[Service, ...] | None:
    try:
        package = adapter(provider)
        if not hasattr(package, "__path__") or importlib.util.find_spec(f"{package.__name__}.capabilities") is None:
            return None
        found: tuple[Service, ...] = adapter(provider, "capabilities").SERVICES
    except ConfigurationError as exc:
        raise Failure(str(exc)) from exc
    except Exception as exc:
        raise Failure(f"the capabilities of {provider}: {place(exc)}: {what(exc)}", IMPORT) from exc
    return found


def kind_named(text: str) -> str:
    """The name of the kind that `--kind` asks for, whatever its case; Failure for one that there isn't."""
    for name in HANDED_OVER:
        if name.lower() == text.lower():
            return name
    raise Failure(f"--kind: no kind {text!r}; possible are {', '.join(HANDED_OVER)}")


def undeclared(all_declared: Iterable[Declared]) -> list[str]:
    """The providers whose adapters declare nothing."""
    return [one.provider for one in all_declared if one.services is None]
