"""`@portable`: a plain function for neutral events that every provider can call."""

from __future__ import annotations

import sys

from portable_fn.adapter.binding import Binding
from portable_fn.context import Context
from portable_fn.errors import ConfigurationError
from portable_fn.events import Batch, Event
from portable_fn.on import Trigger
from portable_fn.record import overload

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, TypeVar

    from portable_fn.adapter.calling import Middleware

    F = TypeVar("F", bound=Callable[..., Any])

__all__ = ["portable"]


@overload
def portable(handler: F, /) -> F: ...
@overload
def portable(*triggers: Trigger, use: Sequence[Middleware] = (), concurrency: int = 1) -> Callable[[F], F]: ...
def portable(*triggers: Any, use: Sequence[Middleware] = (), concurrency: int = 1) -> Any:
    """Make a handler run on every provider: `@portable`, or `@portable(on.http("GET", "/items/{id}"), use=[cors()])`.

    The handler takes a neutral event and, as an option, a Context. It may be sync or async. Called with a neutral event, the
    portable function calls the handler and returns its result. Called by a provider, it also decodes the payload and encodes
    the answer.

    Args:
        triggers: What calls it. If none, every event of its kind.
        use: Middleware around the handler, the first outermost.
        concurrency: How many messages of a batch an async handler runs at once, but never two of one key.

    Raises:
        ConfigurationError: The handler can't take an event.
    """
    scope = sys._getframe(1).f_locals
    if len(triggers) == 1 and not isinstance(triggers[0], Trigger) and callable(triggers[0]):
        return _decorated(triggers[0], (), use, scope, concurrency)
    for trigger in triggers:
        if not isinstance(trigger, Trigger):
            raise ConfigurationError(f"@portable takes triggers such as on.http('GET', '/'), not {trigger!r}")
    return lambda handler: _decorated(handler, triggers, use, scope, concurrency)


def _decorated(
    handler: Callable[..., Any],
    triggers: tuple[Trigger, ...],
    use: Sequence[Middleware],
    scope: Mapping[str, object],
    concurrency: int,
) -> Callable[..., Any]:
    binding = Binding(handler, triggers, use, scope, concurrency)
    entries: dict[str, Callable[..., Any]] = {}

    def function(*args: Any, **by_name: Any) -> Any:
        if by_name:
            args = binding.positional(args, by_name)
        event = args[0] if args else None
        if isinstance(event, (Event, Batch)) and len(args) <= 2:
            events = event if isinstance(event, Batch) else (event,)
            for each in events:
                if not isinstance(each, binding.kind) or binding.takes_batch is not isinstance(event, Batch):
                    raise _of_another_kind(binding, event, each)
                binding.bind_data(each)
            if not binding.takes_context:
                return handler(event)
            return handler(event, args[1] if len(args) == 2 else Context())
        return _native(binding.function, args, entries)

    function.__name__ = binding.name
    function.__qualname__ = getattr(handler, "__qualname__", binding.name)
    function.__module__ = getattr(handler, "__module__", "")
    function.__doc__ = handler.__doc__
    function.__portable__ = binding  # type: ignore[attr-defined]  # how an entry knows a portable function
    binding.function = function
    if "functions_framework" in sys.modules:
        from portable_fn.providers import adapter

        binding.function = adapter("gcp").register(function)
    return binding.function


def _of_another_kind(binding: Binding, argument: Event[Any] | Batch[Any], event: Event[Any]) -> TypeError:
    """Return the error for a call with another kind of event than the handler takes."""
    kind = event.kind_name
    wanted = f"Batch[{binding.kind.__name__}]" if binding.takes_batch else binding.kind.__name__
    return TypeError(f"{binding.name} takes {wanted}, not {f'Batch[{kind}]' if isinstance(argument, Batch) else kind}")


def _native(function: Callable[..., Any], args: tuple[Any, ...], entries: dict[str, Callable[..., Any]]) -> Any:
    """Call the function's entry for the provider that the arguments come from."""
    from portable_fn.providers import adapter, recognise

    provider = recognise(args)
    if provider not in entries:
        entries[provider] = adapter(provider).entry(function)
    return entries[provider](*args)
