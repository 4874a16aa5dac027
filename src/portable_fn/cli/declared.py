"""Read what the adapters declare of their providers."""

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

# The kinds of events that services send, in the order of the matrix.
KINDS_OF_SERVICES = tuple(name for name, kind in KINDS.items() if kind not in (Event, Batch))


@dataclass(frozen=True)
class Declared:
    """A provider and its services, which are None if its adapter has no `capabilities.py`.

    Without threads, sync handlers run in the event loop.
    """

    provider: str
    services: tuple[Service, ...] | None
    has_threads: bool = True


def declared(asked: str | None, option: str, own: Sequence[str] = tuple(ADAPTERS)) -> list[Declared]:
    """Return the providers that the option names, or else `own`, with their services.

    Raises:
        Failure: There is no such provider.
    """
    if asked is None:
        return [_declared(provider) for provider in own]
    names = [name for name in map(str.strip, asked.split(",")) if name]
    if not names:
        raise Failure(f"{option} names no provider; possible are {', '.join(ADAPTERS)}, all")
    every = [provider for name in names for provider in (ADAPTERS if name == "all" else (name,))]
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
    """Return the providers whose adapters declare nothing."""
    return [declaration.provider for declaration in all_declared if declaration.services is None]
