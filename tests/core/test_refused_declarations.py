"""Declarations of handlers and middleware that can't work are refused, and the error names what was seen."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import pytest

from portable_fn import (
    Batch,
    ConfigurationError,
    Context,
    Event,
    Message,
    Request,
    ScheduleEvent,
    on,
    portable,
)
from portable_fn.adapter.binding import Binding
from portable_fn.testing import fake
from tests.core.handlers import Item, answer, named, of_batch_async, of_message, of_message_async, passes_on

if TYPE_CHECKING:
    from decimal import Decimal


class Own(Request): ...


class Methods:
    def method(self, request: Request) -> None: ...
    def bound(self, request: Request) -> None: ...


def second_without_context(request: Request, page: int = 1) -> None: ...


def context_second_by_name(ctx, request: Request) -> None: ...  # type: ignore[no-untyped-def]


def quoted(request: "Request['Item']") -> None: ...  # noqa: UP037  # the quotes are the point


def own_kind(request: Own) -> None: ...


def _database(request, db): ...  # type: ignore[no-untyped-def]


@functools.wraps(_database)
def injecting(request, db, more): ...  # type: ignore[no-untyped-def]


def unknown_to_pydantic(event: Request[Event]) -> None: ...


def no_argument() -> None: ...


def three(event, ctx, more): ...  # type: ignore[no-untyped-def]


def keyword_only(event, *, more): ...  # type: ignore[no-untyped-def]


def context_first(ctx: Context, event: Request) -> None: ...


def wrong_kind(event: dict[str, Any]) -> None: ...


def unresolved(event: Request[Decimal]) -> None: ...


@pytest.mark.parametrize(
    ("handler", "why"),
    [
        (no_argument, "takes no argument"),
        (three, "can't be called"),
        (keyword_only, "can't be called"),
        (context_first, "the event comes first"),
        (wrong_kind, r"takes dict\[str, typing.Any\], not an event; annotate Request: request.data is the body's data"),
        (unresolved, "Decimal"),
        (second_without_context, "the context second"),
        (context_second_by_name, "the context second"),
        (Methods.method, "takes a function, not the method"),
        (Methods().bound, "plain function"),
        (quoted, "put the quotes around"),
        (own_kind, "possible are"),
        (portable(lambda event: None), "has @portable already"),
        (injecting, "can't be called"),
        (unknown_to_pydantic, "pydantic can't validate"),
        (print, "plain function"),
        (Item, "plain function"),
    ],
)
def test_a_handler_that_cannot_be_called_so_is_refused_at_decoration(handler: Any, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        portable(handler)


@pytest.mark.parametrize(
    "path", ["items", "/{a", "/{a}/{a}", "/{rest+}/x", "/x{a}", "/{1}", "/<id>", "/:id", "/x/*", "/a b", None]
)
def test_a_path_template_that_cannot_be_is_refused(path: str) -> None:
    with pytest.raises(ConfigurationError, match="path"):
        on.http("GET", path)


def test_an_unknown_trigger_or_method_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="triggers"):
        portable("GET", "/")  # type: ignore[call-overload]
    for method in ("GET /", "*", "/x", None, [], [None]):
        with pytest.raises(ConfigurationError, match="method"):
            on.http(method, "/")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="max_body"):
        on.http("GET", "/", max_body="1MB")  # type: ignore[arg-type]


class CallableMiddleware:
    def __repr__(self) -> str:
        return "<theirs>"

    async def __call__(self, event: Any, ctx: Context, call_next: Any) -> Any:
        return await call_next(event, ctx)

    def method(self, event: Any, ctx: Context, call_next: Any) -> Any:
        return call_next(event, ctx)

    def short(self, event: Any, ctx: Context) -> None: ...


class NotCallable:
    def __repr__(self) -> str:
        return "<not callable>"


def too_few(event: Any, ctx: Any) -> None: ...


def too_many(event: Any, ctx: Any, call_next: Any, more: Any) -> None: ...


def any_number(*args: Any) -> Any:
    event, ctx, call_next = args
    return call_next(event, ctx)


@pytest.mark.parametrize(
    ("use", "is_async"),
    [
        (CallableMiddleware(), True),
        (CallableMiddleware().method, False),
        (any_number, False),
        (passes_on(any_number), False),
        (functools.partial(any_number), False),
    ],
)
def test_a_value_that_can_be_called_so_is_middleware(use: Any, is_async: bool) -> None:
    @portable(on.http(), use=[use])
    def handler(request: Request, ctx: Context) -> str:
        return ctx.invocation_id

    assert is_async is handler.__portable__.is_async  # type: ignore[attr-defined]
    assert b"i-1" == answer(fake.request(), handler).body


def of_self(self, event): ...  # type: ignore[no-untyped-def]


def of_cls(cls, event): ...  # type: ignore[no-untyped-def]


def of_own_class(event: Item) -> None: ...


def of_union_context(event: Message, ctx: Context | int) -> None: ...


def of_schedules(batch: Batch[ScheduleEvent]) -> None: ...


def of_numbers(batch: Batch[int]) -> None: ...  # type: ignore[type-var]  # it is the point


def of_quoted_data(event: "Message['Item']") -> None: ...  # noqa: UP037  # the quotes are the point


def of_nothing_known(event: Message[Nowhere]) -> None: ...  # type: ignore[name-defined]  # noqa: F821  # so it is


def of_three(event, ctx, more, *, most): ...  # type: ignore[no-untyped-def]


@pytest.mark.parametrize(
    ("handler", "options", "words"),
    [
        (no_argument, {}, ["no_argument()", "takes no argument", "def no_argument(event)"]),
        (of_three, {}, ["of_three(event, ctx, more, most)"]),
        (of_self, {}, ["not the method of_self"]),
        (of_cls, {}, ["not the method of_cls"]),
        (context_first, {}, ["context_first(ctx, event)", "the event comes first"]),
        (of_union_context, {}, ["of_union_context(event, ctx)", "the context second"]),
        (
            of_own_class,
            {},
            [
                "of_own_class takes tests.core.handlers.Item, not an event",
                "annotate Request[Item], or Message[Item] for messages, and request.data is the Item",
            ],
        ),
        (
            lambda event: None,
            {"annotation": int},
            [
                "takes int, not an event; annotate Request",
                "path parameters are in request.params, the query's in request.query",
            ],
        ),
        (
            lambda event: None,
            {"annotation": "list[int]"},
            ["takes list[int], not an event; possible are Batch, ChangeEvent, CloudEvent", "no annotation"],
        ),
        (of_schedules, {}, ["of_schedules takes a Batch[ScheduleEvent]", "Batch[Message], Batch[ChangeEvent]"]),
        (of_numbers, {}, ["of_numbers takes int"]),
        (of_quoted_data, {}, ["of_quoted_data takes a Message['Item']", "quotes"]),
        (of_nothing_known, {}, ["Message[Nowhere]", "of_nothing_known's event", "Nowhere", "TYPE_CHECKING"]),
        (Methods().bound, {}, ["plain function", "not bound (method)"]),
        (print, {}, ["plain function", "not print (builtin_function_or_method)"]),
        (NotCallable(), {}, ["not NotCallable (NotCallable)"]),
        (named("handler"), {}, ["handler has @portable already"]),
        (of_message, {"triggers": (on.http(),)}, ["of_message is for on.http", "takes a Message, not a Request"]),
        (
            of_message,
            {"triggers": (on.event("a"),)},
            ["of_message is for on.event", "takes a Message, not a CloudEvent"],
        ),
        (of_batch_async, {"triggers": (on.object("a"),)}, ["on.object", "takes a ChangeEvent, not a ObjectEvent"]),
        (of_message, {"concurrency": 2}, ["of_message", "async handlers"]),
        *(
            (of_message_async, {"concurrency": number}, ["of_message_async", "whole number from 1", f"not {number!r}"])
            for number in (0, -1, 1.5, True, "2", None)
        ),
        (of_message, {"use": any_number}, ["of_message", "list", "not function"]),
        *(
            (of_message, {"use": [use]}, [f"use=[{shown}] of of_message", "(event, ctx, call_next)"])
            for use, shown in (
                (too_few, "too_few"),
                (too_many, "too_many"),
                (CallableMiddleware().short, "short"),
                (CallableMiddleware.method, "method"),
                (NotCallable(), "<not callable>"),
                (None, "None"),
            )
        ),
    ],
)
def test_the_error_of_a_refused_declaration_names_its_cause(
    handler: Any, options: dict[str, Any], words: list[str]
) -> None:
    options = dict(options)
    if annotation := options.pop("annotation", None):
        handler.__annotations__["event"] = annotation
    with pytest.raises(ConfigurationError) as caught:
        Binding(handler, **options)
    assert [] == [word for word in words if word not in str(caught.value)], str(caught.value)
