"""What the adapters declare that their providers can do."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from portable_fn.adapter.binding import KINDS
from portable_fn.adapter.capabilities import Service
from portable_fn.cli.errors import IMPORT, Failure
from portable_fn.cli.target import place, what
from portable_fn.errors import ConfigurationError
from portable_fn.events import Batch, Event
from portable_fn.providers import ADAPTERS, adapter

# The kinds that a service can hand over, in the order in which the matrix shows them.
HANDED_OVER = tuple(name for name, kind in KINDS.items() if kind not in (Event, Batch))


@dataclass(frozen=True)
class Declared:
    """A provider with its services, None if its adapter has no `capabilities.py`; without threads sync handlers run in the event loop."""

    provider: str
    services: tuple[Service, ...] | None
    has_threads: bool = True


def declared(asked: str | None, option: str, own: Sequence[str] = tuple(ADAPTERS)) -> list[Declared]:
    """The providers that the option names, else `own`, with their services; Failure for one that doesn't exist."""
    if asked is None:
        return [_declared(provider) for provider in own]
    names = [name for name in map(str.strip, asked.split(",")) if name]
    if not names:
        raise Failure(f"{option} names no provider; possible are {', '.join(ADAPTERS)}, all")
    every = [one for name in names for one in (ADAPTERS if name == "all" else (name,))]
    return [_declared(provider) for provider in dict.fromkeys(every)]


def _declared(provider: str) -> Declared:
    try:
        package = adapter(provider)
        if not hasattr(package, "__path__") or importlib.util.find_spec(f"{package.__name__}.capabilities") is None:
            return Declared(provider, None)
        capabilities = adapter(provider, "capabilities")
        services: tuple[Service, ...] = capabilities.SERVICES
    except ConfigurationError as exc:
        raise Failure(str(exc)) from exc
    except Exception as exc:
        raise Failure(f"the capabilities of {provider}: {place(exc)}: {what(exc)}", IMPORT) from exc
    return Declared(provider, services, getattr(capabilities, "HAS_THREADS", True))


def undeclared(all_declared: Iterable[Declared]) -> list[str]:
    """The providers whose adapters declare nothing."""
    return [one.provider for one in all_declared if one.services is None]
