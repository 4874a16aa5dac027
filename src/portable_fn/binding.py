"""How a handler is called: which kinds of event it takes, its typed data, with or without a context, sync or async."""

from __future__ import annotations

import sys

from portable_fn.context import Context
from portable_fn.data import InvalidData, validator
from portable_fn.errors import ConfigurationError, HTTPError
from portable_fn.events import Event
from portable_fn.http import Request, to_response
from portable_fn.on import HTTPTrigger, Trigger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import CodeType
    from typing import Any

    Handler = Callable[..., Any]
    Middleware = Callable[[Any, Context, Callable[[Any, Context], Any]], Any]

KINDS: dict[str, type[Event[Any]]] = {"Event": Event, "Request": Request}

# Flags of a code object: https://docs.python.org/3/library/inspect.html#code-objects-bit-flags
_VARARGS, _COROUTINE = 0x04, 0x80


class Binding:
    """A handler with what its declaration says of it; `call(event, context)` calls it."""

    def __init__(
        self,
        handler: Handler,
        triggers: tuple[Trigger, ...] = (),
        use: Sequence[Middleware] = (),
        scope: Mapping[str, object] | None = None,
    ) -> None:
        self.handler = handler
        self.name: str = getattr(handler, "__name__", type(handler).__name__)
        self.triggers = triggers
        code = _code(handler, self.name)
        self.file, self.line = code.co_filename, code.co_firstlineno
        self.takes_context = _takes_context(code, self.name)
        annotations = _annotations(handler, scope or {}, self.name)
        names = code.co_varnames[: code.co_argcount]
        event_annotation = annotations.get(names[0]) if names else None
        if event_annotation is Context:
            raise ConfigurationError(f"{self.name}: the event comes first and the context second")
        self.kind, self._validate = _kind(event_annotation, self.name)
        if any(isinstance(trigger, HTTPTrigger) for trigger in triggers):
            if not issubclass(Request, self.kind):
                raise ConfigurationError(f"{self.name} is for on.http but takes a {self.kind.__name__}, not a Request")
            self.kind = Request
        self.use = tuple(use)
        self.is_async = any(_is_async(function) for function in (handler, *use))
        self.call = around(self.use, self._innermost())

    def _innermost(self) -> Callable[[Any, Context], Any]:
        call = self.handler if self.takes_context else _without_context(self.handler)
        if self._validate is None:
            return call
        bind = self.bind_data

        def with_data(event: Any, context: Context) -> Any:
            bind(event)
            return call(event, context)

        return with_data

    def bind_data(self, event: Event[Any]) -> None:
        """Validates the event's data as the annotation says; HTTPError 422 for a Request that doesn't pass."""
        if self._validate is None:
            return
        try:
            data = self._validate(event.data)
        except InvalidData as exc:
            detail = "The body is empty." if isinstance(event, Request) and not event.body else "The body is not valid."
            raise HTTPError(422, detail, extensions={"errors": exc.errors}) from exc
        event.__dict__["data"] = data


def around(use: tuple[Middleware, ...], call: Callable[[Any, Context], Any]) -> Callable[[Any, Context], Any]:
    """The call with the middleware around it, the first outermost; inside, a Request is answered by a Response."""
    if not use:
        return call

    def normalised(event: Any, context: Context) -> Any:
        result = call(event, context)
        return then(result, to_response) if isinstance(event, Request) else result

    wrapped: Callable[[Any, Context], Any] = normalised
    for middleware in reversed(use):
        wrapped = _step(middleware, wrapped)
    return wrapped


def _step(middleware: Middleware, call: Callable[[Any, Context], Any]) -> Callable[[Any, Context], Any]:
    if not _is_async(middleware):
        return lambda event, context: middleware(event, context, call)

    async def awaitable(event: Any, context: Context) -> Any:
        result = call(event, context)
        return await result if is_awaitable(result) else result

    return lambda event, context: middleware(event, context, awaitable)


def is_awaitable(value: object) -> bool:
    """Whether the value must be awaited; cheaper than inspect's, which also knows generators of before Python 3.5."""
    return hasattr(type(value), "__await__")


def then(result: Any, follow: Callable[[Any], Any]) -> Any:
    """`follow(result)`, now or, where the result must be awaited, after it."""
    if not is_awaitable(result):
        return follow(result)

    async def later() -> Any:
        return follow(await result)

    return later()


def _without_context(handler: Handler) -> Callable[[Any, Context], Any]:
    return lambda event, context: handler(event)


def _is_async(function: Handler) -> bool:
    function = _unwrapped(function)
    code = getattr(function, "__code__", None) or getattr(type(function).__call__, "__code__", None)
    return code is not None and bool(code.co_flags & _COROUTINE)


def _unwrapped(function: Any) -> Any:
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function


def _code(handler: Handler, name: str) -> CodeType:
    code: CodeType | None = getattr(_unwrapped(handler), "__code__", None)
    if code is None:
        raise ConfigurationError(
            f"@portable takes a plain function, def or async def, not {name} ({type(handler).__name__})"
        )
    return code


def _takes_context(code: CodeType, name: str) -> bool:
    positional = code.co_argcount
    function_names = code.co_varnames[:positional]
    if code.co_flags & _VARARGS and positional < 2:
        return True
    if positional == 0:
        raise ConfigurationError(f"{name}() takes no argument; a handler takes the event: def {name}(event): …")
    if positional > 2 or code.co_kwonlyargcount:
        shown = ", ".join(code.co_varnames[: positional + code.co_kwonlyargcount])
        raise ConfigurationError(
            f"{name}({shown}) can't be called: a handler takes the event and, if it wants it, the context; "
            f"for more, make a function that returns the handler"
        )
    return len(function_names) == 2


def _kind(annotation: object, name: str) -> tuple[type[Event[Any]], Callable[[object], object] | None]:
    """The kind of event that an annotation asks for, and the validator of its data."""
    if annotation is None or annotation is object or getattr(annotation, "__module__", "") == "typing":
        return Event, None  # unannotated, or Any
    origin = getattr(annotation, "__origin__", None)
    kind = annotation if origin is None else origin
    if not isinstance(kind, type) or not issubclass(kind, Event):
        shown = getattr(annotation, "__qualname__", repr(annotation))
        raise ConfigurationError(f"{name} takes a {shown}; possible are {', '.join(sorted(KINDS))}, or no annotation")
    if origin is None:
        return kind, None
    (wanted,) = annotation.__args__  # type: ignore[attr-defined]  # it has an __origin__, so it is a GenericAlias
    return kind, None if getattr(wanted, "__module__", "") == "typing" and repr(wanted) == "typing.Any" else validator(
        wanted
    )


def _annotations(handler: Handler, scope: Mapping[str, object], name: str) -> dict[str, object]:
    """The handler's annotations, strings among them evaluated where the handler was defined."""
    function = _unwrapped(handler)
    try:
        annotations = dict(function.__annotations__)
    except NameError as exc:
        if sys.version_info < (3, 14):
            raise
        # Python 3.14 evaluates annotations on first use; a name imported under TYPE_CHECKING alone fails here.
        import annotationlib  # type: ignore[import-not-found,unused-ignore]  # seen with 3.14's standard library alone

        try:
            annotations = annotationlib.get_annotations(function, format=annotationlib.Format.STRING)
        except Exception:
            raise ConfigurationError(f"an annotation of {name} can't be resolved: {exc}") from exc
    annotations.pop("return", None)
    for parameter, annotation in annotations.items():
        if isinstance(annotation, str):
            names = {**KINDS, "Context": Context, **function.__globals__, **scope}
            try:
                annotations[parameter] = eval(annotation, names)
            except Exception as exc:
                raise ConfigurationError(
                    f"the annotation {annotation!r} of {name}'s {parameter} can't be resolved ({exc}); "
                    "import what it names outside of TYPE_CHECKING"
                ) from exc
    return annotations
