"""Build the Worker class."""

from __future__ import annotations

from portable_fn.adapter.binding import declared, resolved
from portable_fn.adapter.routing import Router
from portable_fn.http import Response
from portable_fn.recording import make_recorder
from portable_fn_cloudflare.decode import env_of
from portable_fn_cloudflare.methods import methods

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from typing import Any

    from portable_fn.adapter.binding import Binding
    from portable_fn.adapter.calling import Middleware
    from portable_fn.context import Context
    from portable_fn_cloudflare.native import FFI, JavaScript, WorkerEntrypoint

    Encode = Callable[[Response, Context, JavaScript, FFI], object]
    Method = Callable[..., Coroutine[Any, Any, object]]
    MakeRouter = Callable[[Sequence[Binding]], Router]


def entry(*targets: object, use: Sequence[Middleware] = (), root_path: str = "") -> type[Any]:
    """Build the Worker class of portable functions.

    The entry file has `Default = entry(functions)`.

    Sync functions run in the event loop, because Workers have no threads.

    Args:
        targets: Portable functions, or modules that have some.
        use: Middleware around every function, and around answers without one, such as a 404.
        root_path: The start of every path, such as "/v1", if a proxy leaves it there.
    """
    # Only Workers have these modules.
    import js  # type: ignore[import-not-found]  # pyright: ignore[reportMissingImports]
    from pyodide import ffi  # type: ignore[import-not-found]  # pyright: ignore[reportMissingImports, reportUnknownVariableType]
    from workers import WorkerEntrypoint  # type: ignore[import-not-found]  # pyright: ignore[reportMissingImports, reportUnknownVariableType]

    return worker(targets, WorkerEntrypoint, js, ffi, use, root_path)  # pyright: ignore[reportArgumentType, reportUnknownArgumentType]


def worker(
    targets: tuple[object, ...],
    entrypoint: type[Any],
    js: JavaScript,
    ffi: FFI,
    use: Sequence[Middleware] = (),
    root_path: str = "",
) -> type[Any]:
    """Build the class `Default`. It has only the methods that Cloudflare calls: RPC can call every method of it."""
    functions = declared(*targets)
    if use:
        functions = [function.within(use) for function in functions]
    first = iter((True,))

    def router(functions: Sequence[Binding]) -> Router:
        return Router(functions, use, root_path)

    by_name = methods(functions, router, first, js, ffi)
    has_settings = any(trigger.settings for function in functions for trigger in function.triggers)
    is_first = True

    def method(name: str) -> Callable[..., Coroutine[Any, Any, object]]:
        def called(self: WorkerEntrypoint, *args: Any, **keywords: Any) -> Coroutine[Any, Any, object]:
            nonlocal is_first, functions
            if is_first:
                # Only a call has the bindings: a Worker may start from a snapshot that was taken without them.
                if has_settings:
                    functions = resolved(functions, _names(functions, env_of(self.env, js, ffi)))
                    by_name.update(methods(functions, router, first, js, ffi))
                is_first = False
                if (recording := make_recorder(getattr(self.env, "PORTABLE_FN_RECORD", None))) is not None:
                    from portable_fn_cloudflare.recorded import recording_methods

                    by_name.update(recording_methods(functions, router, first, js, ffi, recording))
            return by_name[name](self, *args, **keywords)

        called.__name__ = name
        # Pyodide passes a method only as many arguments as its signature has.
        called.__wrapped__ = by_name[name]  # type: ignore[attr-defined]  # as functools.wraps does
        return called

    return type("Default", (entrypoint,), {name: method(name) for name in by_name})


def _names(functions: Sequence[Binding], env: Mapping[str, Any]) -> dict[str, str]:
    """Return the values of the triggers' variables. The value of a binding, such as a queue's producer, is its own name."""
    variables = {
        setting.variable
        for function in functions
        for trigger in function.triggers
        for setting in trigger.settings.values()
    }
    values = {name: env.get(name) for name in variables}
    return {name: value if isinstance(value, str) else name for name, value in values.items() if value is not None}
