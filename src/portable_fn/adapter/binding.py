"""Bind a handler: the kind of event that it takes, its typed data, its context, sync or async."""

from __future__ import annotations

import sys
from types import FunctionType, ModuleType

from portable_fn.adapter.calling import _VARARGS, _is_async, _unwrapped, any_is_async, around
from portable_fn.context import Context
from portable_fn.data import Validator, to_json
from portable_fn.errors import ConfigurationError, HTTPError, InvalidData
from portable_fn.events import Batch, ChangeEvent, CloudEvent, Event, Message, ObjectEvent, ScheduleEvent, Task
from portable_fn.http import Request
from portable_fn.on import (
    EventTrigger,
    MessageTrigger,
    TaskTrigger,
    Trigger,
)
from portable_fn.outcomes import Reject

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import CodeType
    from typing import Any

    from portable_fn.adapter.calling import Handler, Middleware

__all__ = ["INSIDE", "KINDS", "Binding", "bindings", "declared", "resolved"]


KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (Event, Request, Message, Batch, ObjectEvent, ChangeEvent, ScheduleEvent, CloudEvent, Task)
}
# The kinds that arrive in batches: from queues, topics, streams, and the streams of tables.
_BATCHED = (Message, ChangeEvent)


class Binding:
    """A handler with its declaration. `call(event, context)` calls it."""

    # Whether it gets the events inside any message, beside a function that takes the message. `parse` sets it.
    sees_inside = False

    def __init__(
        self,
        handler: Handler,
        triggers: tuple[Trigger, ...] = (),
        use: Sequence[Middleware] = (),
        scope: Mapping[str, object] | None = None,
        concurrency: int = 1,
    ) -> None:
        self.handler = handler
        # The portable function that @portable returns.
        self.function: Handler = handler
        self.name: str = getattr(handler, "__name__", type(handler).__name__)
        # A task without its own name has the handler's name.
        self.triggers = tuple(
            TaskTrigger(self.name) if isinstance(trigger, TaskTrigger) and not trigger.name else trigger
            for trigger in triggers
        )
        code = _code(handler, self.name)
        self.file, self.line = code.co_filename, code.co_firstlineno
        self.parameters = _parameters(handler, code, self.name, self.triggers)
        self.takes_context = len(self.parameters) == 2
        annotations = _annotations(handler, scope or {}, self.name)
        event, context = (annotations.get(name) for name in (*self.parameters, "")[:2])
        if event is None and self.parameters[0] in ("self", "cls"):
            raise ConfigurationError(
                f"@portable takes a function, not the method {self.name}: make a function that calls it"
            )
        if event is Context or (context is not None and not _is_context(context)):
            from portable_fn.hints import not_a_context

            hint = "" if event is Context else not_a_context(context, self.parameters[1], self.triggers)
            raise ConfigurationError(
                f"{self.name}({', '.join(self.parameters)}): the event comes first, the context second, and nothing else"
                f"{hint}"
            )
        _check_names(self, annotations)
        self.kind, self.takes_batch, self._validator = _kind(event, self.name, self.triggers)
        """The kind of event that the handler takes, `Event` for any; with `takes_batch`, a Batch of them."""
        for trigger in triggers:
            _check(trigger, self)
        kinds = {trigger.kind for trigger in triggers}
        if self.kind is Event and len(kinds) == 1:
            (self.kind,) = kinds
        self.use = middleware(use, self.name)
        self.is_async = any_is_async((handler, *use))
        if type(concurrency) is not int or concurrency < 1:
            raise ConfigurationError(f"concurrency of {self.name} must be a whole number from 1, not {concurrency!r}")
        if concurrency > 1 and not self.is_async:
            raise ConfigurationError(f"concurrency is for async handlers; {self.name} is not one")
        self.concurrency = concurrency
        self.call = around(self.use, self._innermost(), _is_async(handler))
        self.takes_event_alone = not (self.takes_context or self.use or self._validator)

    def within(self, use: Sequence[Middleware]) -> Binding:
        """Return the function with more middleware around its own."""
        from copy import copy

        outer = middleware(use, "the entry")
        function = copy(self)
        function.call = around(outer, self.call, self.is_async)
        function.use = (*outer, *self.use)
        function.is_async = self.is_async or any_is_async(outer)
        function.takes_event_alone = False
        return function

    @property
    def validates(self) -> bool:
        """Whether the data is validated against a type that the annotation names."""
        return self._validator is not None

    def _innermost(self) -> Callable[[Any, Context], Any]:
        call = self.handler if self.takes_context else _without_context(self.handler)
        if self._validator is None:
            return call
        bind = self.bind_data

        def with_data(event: Any, context: Context) -> Any:
            bind(event)
            return call(event, context)

        # batch.py validates each message of a batch, since an invalid one must not affect the others.
        return call if self.takes_batch else with_data

    def bind_data(self, event: Event[Any]) -> None:
        """Validate the event's data by the annotation.

        Raises:
            HTTPError: 422, the data of a Request is invalid.
            InvalidData: The data of a Task is invalid.
            Reject: The data of another event is invalid.
        """
        if self._validator is None:
            return None
        if not isinstance(event, Request):
            return self._bind_plain(self._validator, event)
        invalid: InvalidData
        try:
            event.__dict__["data"] = self._data_of(event, self._validator)
            return None
        except InvalidData as exc:
            invalid = exc
        detail = "The body is not valid."
        if not event.body:
            detail = "The body is empty."
        elif event.has_form:
            detail = f"The body, read as the form that its content type {event.content_type} says, is not valid."
        extensions: dict[str, object] = {"errors": invalid.errors}
        if invalid.count > len(invalid.errors):
            extensions["count"] = invalid.count
        raise HTTPError(422, detail, extensions=extensions)

    def _data_of(self, request: Request[Any], validator: Validator) -> object:
        if not request.body or request.has_form:
            return validator.from_plain(request.read_data())
        # Read first, since malformed JSON is a 400. Not kept, since it may take as much memory as the model.
        request.json()
        return validator.from_json(request.body if request.charset in ("utf-8", "utf8") else request.text)

    def _bind_plain(self, validator: Validator, event: Event[Any]) -> None:
        # Read first: malformed JSON is a DecodeError, which retries the event.
        data = event.read_data()
        text = event.json_text()
        invalid: InvalidData
        try:
            event.__dict__["data"] = validator.from_json(text) if text else validator.from_plain(data)
            return
        except InvalidData as exc:
            invalid = exc
        if not isinstance(event, Task):
            raise Reject(f"the data is not valid: {invalid}")
        # A strict type accepts some values, such as times, only from JSON text, and a task has a value.
        try:
            event.__dict__["data"] = validator.from_json(to_json(data))
            return
        except (TypeError, ValueError, RecursionError):
            pass
        raise InvalidData(invalid.errors, invalid.count, "the task's input is not valid: ")

    def positional(self, args: tuple[Any, ...], by_name: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the arguments of a call in the handler's order.

        Raises:
            TypeError: The handler doesn't have such an argument.
        """
        rest = dict(by_name)
        for name in self.parameters[len(args) :]:
            if name in rest:
                args = (*args, rest.pop(name))
        if rest:
            raise TypeError(f"{self.name}() got an unexpected argument {next(iter(rest))!r}")
        return args


def middleware(use: object, name: str) -> tuple[Middleware, ...]:
    """Return the functions of `use`.

    Raises:
        ConfigurationError: One can't be called as middleware.
    """
    if not isinstance(use, (list, tuple)):
        raise ConfigurationError(f"use of {name} must be a list of middleware, use=[…], not {type(use).__name__}")
    for function in use:
        code: CodeType | None = getattr(_unwrapped(function), "__code__", None)
        takes = None if code is None else code.co_argcount - (1 if hasattr(function, "__self__") else 0)
        if not callable(function) or (code is not None and takes != 3 and not code.co_flags & _VARARGS):
            shown = getattr(function, "__name__", repr(function))
            raise ConfigurationError(
                f"use=[{shown}] of {name}: middleware is a function (event, ctx, call_next); cors is called: cors()"
            )
    return tuple(use)


def _without_context(handler: Handler) -> Callable[[Any, Context], Any]:
    return lambda event, context: handler(event)


def _code(handler: Handler, name: str) -> CodeType:
    if hasattr(handler, "__portable__"):
        raise ConfigurationError(
            f"{name} has @portable already; it takes several triggers: @portable(on.http(…), on.http(…))"
        )
    code: CodeType | None = getattr(_unwrapped(handler), "__code__", None)
    if code is None or hasattr(handler, "__self__"):
        raise ConfigurationError(
            f"@portable takes a plain function, def or async def, not {name} ({type(handler).__name__})"
        )
    return code


def _parameters(handler: Handler, code: CodeType, name: str, triggers: tuple[Trigger, ...]) -> tuple[str, ...]:
    """Return the names of the event and, if the handler takes it, of the context."""
    # A wrapper with *args is called like the function that it wraps; another one by its own parameters.
    outer: CodeType = getattr(handler, "__code__", code)
    if outer.co_flags & _VARARGS and outer.co_argcount == 0 and outer is not code:
        outer = code
    positional, keyword_only = outer.co_argcount, outer.co_kwonlyargcount
    names = outer.co_varnames[:positional]
    if outer.co_flags & _VARARGS and positional < 2:
        return (*names, "event", "context")[:2] if not names else (names[0], "context")
    if positional == 0:
        raise ConfigurationError(f"{name}() takes no argument; a handler takes the event: def {name}(event): …")
    required = positional - len(getattr(handler, "__defaults__", None) or ())
    unset = set(outer.co_varnames[positional : positional + keyword_only]) - set(
        getattr(handler, "__kwdefaults__", None) or ()
    )
    if required > 2 or unset:
        from portable_fn.hints import parameters

        shown = ", ".join(outer.co_varnames[: positional + keyword_only])
        raise ConfigurationError(
            f"{name}({shown}) can't be called: a handler takes the event and, if it wants it, the context"
            f"{parameters(triggers)}"
        )
    return names[:2]


# Usual names of the event and the context, even if the path has a parameter of that name.
_USUAL = ("event", "request", "req", "context", "ctx")


def _check_names(function: Binding, annotations: Mapping[str, object]) -> None:
    """Refuse a parameter that is named as a path parameter or has a default, and is neither event nor context.

    Raises:
        ConfigurationError: There is such a parameter.
    """
    http = [trigger for trigger in function.triggers if trigger.word == "http"]
    of_paths = {name for trigger in http for name in trigger.parameters}  # type: ignore[attr-defined]  # HTTPTriggers
    for parameter in function.parameters:
        if parameter in of_paths and parameter not in annotations and parameter not in _USUAL:
            from portable_fn.hints import path_parameter

            raise ConfigurationError(path_parameter(function.name, parameter))
    code = getattr(function.handler, "__code__", None)
    if code is not None and code.co_argcount > 1 and function.takes_context:
        values = getattr(function.handler, "__defaults__", None) or ()
        first, second = function.parameters
        if len(values) >= code.co_argcount - 1 and values[1 - code.co_argcount] is not None:
            raise ConfigurationError(
                f"{function.name}({first}, {second}=…): the second parameter gets the context, whatever its default; for a "
                f"value of your own make it keyword-only, def {function.name}({first}, *, {second}=…)"
            )


def _is_context(annotation: object) -> bool:
    return annotation is Context or _is_any(annotation)


def _is_any(annotation: object) -> bool:
    # Without an import of typing, which costs 9 ms of cold start.
    return annotation is object or repr(annotation) == "typing.Any"


def _check(trigger: Trigger, function: Binding) -> None:
    """Check that the trigger can call a handler of the function's kind.

    Raises:
        ConfigurationError: It can't.
    """
    kind = function.kind
    if issubclass(trigger.kind, kind):
        return
    # The events inside a message or a CloudEvent are unwrapped for functions that take them.
    if isinstance(trigger, (MessageTrigger, EventTrigger)) and issubclass(kind, (*INSIDE, CloudEvent)):
        return
    raise ConfigurationError(
        f"{function.name} is for on.{trigger.word} but takes a {kind.__name__}, not a {trigger.kind.__name__}"
    )


# The kinds of events inside messages and CloudEvents.
INSIDE = (ObjectEvent, ChangeEvent, ScheduleEvent)


def _kind(
    annotation: object, name: str, triggers: tuple[Trigger, ...]
) -> tuple[type[Event[Any]], bool, Validator | None]:
    """Return the kind of event that an annotation names, whether in batches, and the validator of its data."""
    if annotation is None or _is_any(annotation):
        return Event, False, None
    if annotation is Batch or getattr(annotation, "__origin__", None) is Batch:
        (inside,) = getattr(annotation, "__args__", (Message,))
        kind, _, validator = _kind(_bare(inside), name, triggers)
        if kind not in _BATCHED:
            raise ConfigurationError(
                f"{name} takes a Batch[{kind.__name__}]; possible are Batch[Message], Batch[ChangeEvent]"
            )
        return kind, True, validator
    return _single_kind(annotation, name, triggers)


def _single_kind(
    annotation: object, name: str, triggers: tuple[Trigger, ...]
) -> tuple[type[Event[Any]], bool, Validator | None]:
    origin = getattr(annotation, "__origin__", None)
    kind: Any = annotation if origin is None else origin
    if kind not in KINDS.values():
        from portable_fn.hints import not_an_event

        raise ConfigurationError(not_an_event(name, annotation, triggers, KINDS))
    if origin is None:
        return kind, False, None
    (wanted,) = annotation.__args__  # type: ignore[attr-defined]  # it has an __origin__, so it is a GenericAlias
    if isinstance(wanted, str):
        raise ConfigurationError(
            f"{name} takes a {kind.__name__}[{wanted!r}]: put the quotes around the whole annotation"
        )
    return kind, False, None if _is_any(wanted) else Validator(wanted)


def _bare(annotation: Any, names: dict[str, Any] | None = None) -> Any:
    """Return an annotation without Annotated, Optional, an alias or quotes.

    `names` are those that a text in it may use. Without them, a text stays.
    """
    while True:
        kind = type(annotation).__name__
        text: Any = annotation if kind == "str" else getattr(annotation, "__forward_arg__", None)
        origin: Any = getattr(annotation, "__origin__", None)
        if text is not None:
            if names is None:
                return annotation
            annotation = eval(text, names)
        elif hasattr(annotation, "__metadata__"):
            annotation = origin
        elif kind == "TypeAliasType":
            annotation = annotation.__value__
        elif type(origin).__name__ == "TypeAliasType":
            annotation = origin.__value__[annotation.__args__]
        # Before Python 3.14, Optional[X] is a class of typing.
        elif kind in ("UnionType", "_UnionGenericAlias", "Union"):
            rest = [member for member in annotation.__args__ if member is not type(None)]
            if len(rest) != 1:
                return annotation
            (annotation,) = rest
        else:
            return annotation


def _annotations(handler: Handler, scope: Mapping[str, object], name: str) -> dict[str, object]:
    """Return the handler's annotations. Those that are strings are evaluated where the handler was defined."""
    function = _unwrapped(handler)
    try:
        annotations = dict(function.__annotations__)
    except NameError as exc:
        if sys.version_info < (3, 14):
            raise
        # Python 3.14 evaluates annotations on first use, which fails for a name imported only under TYPE_CHECKING.
        import annotationlib  # type: ignore[import-not-found,unused-ignore]  # seen with 3.14's standard library alone

        try:
            annotations = annotationlib.get_annotations(function, format=annotationlib.Format.STRING)
        except Exception:
            raise ConfigurationError(f"an annotation of {name} can't be resolved: {exc}") from exc
    annotations.pop("return", None)
    names: dict[str, Any] | None = None
    for parameter, annotation in annotations.items():
        # Most are classes, which need no look.
        if isinstance(annotation, type):
            continue
        if names is None:
            names = {**KINDS, "Context": Context, **function.__globals__, **scope}
        try:
            annotations[parameter] = _bare(annotation, names)
        except Exception as exc:
            raise ConfigurationError(
                f"the annotation {annotation!r} of {name}'s {parameter} can't be resolved ({exc}); "
                "import what it names outside of TYPE_CHECKING"
            ) from exc
    return annotations


def bindings(*targets: object, use: Sequence[Middleware] = ()) -> list[Binding]:
    """Return the functions of an entry's targets, with their settings read and `use` around each.

    Raises:
        ConfigurationError: A target isn't portable, or a variable isn't set.
    """
    import os

    functions = resolved(declared(*targets), os.environ)
    return [function.within(use) for function in functions] if use else functions


def resolved(functions: Iterable[Binding], variables: Mapping[str, Any]) -> list[Binding]:
    """Return the functions with the settings of their triggers read."""
    resolved_functions = []
    for function in functions:
        resolved_functions.append(function)
        if any(trigger.settings for trigger in function.triggers):
            from copy import copy

            resolved_functions[-1] = copy(function)
            resolved_functions[-1].triggers = tuple(trigger.resolved(variables) for trigger in function.triggers)
    return resolved_functions


def declared(*targets: object) -> list[Binding]:
    """Return the functions of an entry's targets as they are declared.

    Targets are portable functions, modules with some, or lists of either.
    """
    bindings_by_id: dict[int, Binding] = {}
    for target in targets:
        if isinstance(target, ModuleType):
            inside: list[Any] = [value for value in vars(target).values() if _is_portable(value)]
            if not inside:
                raise ConfigurationError(f"the module {target.__name__} has no function with @portable")
        elif _is_portable(target):
            inside = [target]
        elif isinstance(target, (list, tuple)):
            bindings_by_id.update((id(binding), binding) for binding in declared(*target))
            continue
        else:
            shown = getattr(target, "__qualname__", type(target).__name__)
            raise ConfigurationError(
                f"an entry takes portable functions or a module of them, not {shown}: add @portable"
            )
        for function in inside:
            if function.__portable__.function is not function:
                name = function.__portable__.name
                raise ConfigurationError(
                    f"{name} has a decorator above @portable, which no provider would run: put @portable on top, "
                    "or give it as middleware, use=[…]"
                )
            bindings_by_id[id(function.__portable__)] = function.__portable__
    if not bindings_by_id:
        raise ConfigurationError("an entry needs a portable function or a module of them")
    return list(bindings_by_id.values())


def _is_portable(value: object) -> bool:
    # Look at the type first: mocks and lazy objects have, or load, every attribute that is looked up.
    return isinstance(value, FunctionType) and hasattr(value, "__portable__")
