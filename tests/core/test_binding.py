"""What a declaration says about a handler, and how the handler is called."""

from __future__ import annotations

import asyncio
import functools
import threading
from typing import TYPE_CHECKING, Any

import pydantic
import pytest

from portable_fn import (
    Batch,
    ChangeEvent,
    ConfigurationError,
    Context,
    Event,
    Message,
    Reject,
    Request,
    ScheduleEvent,
    Task,
    on,
    portable,
)
from portable_fn.adapter.binding import Binding
from portable_fn.on import TaskTrigger
from portable_fn.testing import fake
from tests.core import handlers
from tests.core.handlers import (
    Strict,
    _outer,
    answer,
    bare,
    later,
    of_batch_async,
    of_message,
    of_message_async,
    of_task,
    of_typed,
    of_typed_batch,
    passes_on,
)

if TYPE_CHECKING:
    pass


def test_a_portable_function_is_a_plain_function_that_calls_its_handler() -> None:
    assert type(bare).__name__ == "function"
    assert bare(fake.request("GET", "/x"), fake.context()) == {"path": "/x", "provider": "local"}
    assert bare(fake.request("GET", "/x"))["provider"] == "local"
    assert asyncio.run(later(fake.request(params={"name": "n"}))) == {"name": "n"}
    assert (later.__name__, later.__module__) == ("later", handlers.__name__)


def test_a_call_with_unknown_arguments_says_what_is_possible() -> None:
    with pytest.raises(ConfigurationError, match=r"called with \(dict\).*neutral event"):
        bare({"a": 1})


def test_a_type_of_the_decorating_function_is_found() -> None:
    class Local(pydantic.BaseModel):
        a: int

    @portable
    def handler(request: Request[Local]) -> int:
        return request.data.a

    assert handler(fake.request(json={"a": 1})) == 1


def test_a_decorated_handler_is_seen_through_its_wrapper() -> None:
    def logged(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return wrapper

    @portable
    @logged
    def sync(request: Request) -> str:
        return request.path

    @portable
    @logged
    async def asynchronous(request: Request, ctx: Context) -> str:
        return request.path + ctx.provider

    assert sync(fake.request("GET", "/x")) == "/x"
    assert answer(fake.request("GET", "/x"), asynchronous).body == b"/xlocal"


def test_unannotated_and_any_take_any_event() -> None:
    for annotation in (None, Any, Event, object):

        def handler(event): ...  # type: ignore[no-untyped-def]

        if annotation is not None:
            handler.__annotations__["event"] = annotation
        assert portable(handler).__portable__.kind is Event  # type: ignore[attr-defined]


def test_a_call_by_keyword_is_the_call_that_it_looks_like() -> None:
    @portable
    def handler(request: Request, ctx: Context) -> str:
        return request.path + ctx.provider

    assert handler(request=fake.request("GET", "/x"), ctx=fake.context()) == "/xlocal"
    assert handler(fake.request("GET", "/x"), ctx=fake.context()) == "/xlocal"
    with pytest.raises(TypeError, match="more"):
        handler(fake.request(), more=1)  # type: ignore[call-arg]


def test_async_middleware_lets_a_sync_handler_block_a_thread_and_not_the_loop() -> None:
    @portable(on.http(), use=[_outer])
    def handler(request: Request) -> str:
        return threading.current_thread().name

    assert answer(fake.request(), handler).body != threading.current_thread().name.encode()


def gives_more(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(event: Any, *more: Any) -> Any:
        return function(event, *more)

    return wrapper


def of_any(event: Any, ctx: Any) -> None: ...


def of_event(event: Event[Any]) -> None: ...


def of_object(event: object, ctx: object) -> None: ...


def of_batch(batch: Batch) -> None: ...


def of_defaults(event: Message, ctx: Context | None = None, more: int = 1, *, most: int = 2) -> None: ...


def of_quoted(event: "Message[Any]", ctx: "Context") -> None: ...  # noqa: UP037  # the quotes are the point


def of_rest(*args: Any) -> None: ...


def of_one_and_rest(mine: Message, *args: Any) -> None: ...


def of_two_and_rest(mine: Message, ctx: Context, *args: Any) -> None: ...


@passes_on
def of_wrapped(mine: Message, ctx: Context) -> None: ...


@passes_on
async def of_wrapped_async(mine: Message[Strict]) -> None: ...


@gives_more
def of_wider(mine: Message, ctx: Context) -> None: ...


@pytest.mark.parametrize(
    ("handler", "parameters", "kind", "says"),
    [
        (of_any, "event ctx", Event, ""),
        (of_event, "event", Event, "event-alone"),
        (of_object, "event ctx", Event, ""),
        (of_message, "message ctx", Message, ""),
        (of_message_async, "message ctx", Message, "async"),
        (of_typed, "message", Message, "validates"),
        (of_task, "task ctx", Task, "validates"),
        (of_batch, "batch", Message, "batch event-alone"),
        (of_batch_async, "batch ctx", ChangeEvent, "batch async"),
        (of_typed_batch, "batch", Message, "batch validates"),
        (of_defaults, "event ctx", Message, ""),
        (of_quoted, "event ctx", Message, ""),
        (of_rest, "event context", Event, ""),
        (of_one_and_rest, "mine context", Message, ""),
        (of_two_and_rest, "mine ctx", Message, ""),
        (of_wrapped, "mine ctx", Message, ""),
        (of_wrapped_async, "mine", Message, "validates async"),
        (functools.cache(of_message), "message ctx", Message, ""),
        (of_wider, "event context", Event, ""),
    ],
)
def test_a_declaration_is_read(handler: Any, parameters: str, kind: type[Any], says: str) -> None:
    binding = Binding(handler)
    assert (handler.__name__, parameters.split(), kind) == (binding.name, [*binding.parameters], binding.kind)
    assert {
        "batch": binding.takes_batch,
        "validates": binding.validates,
        "async": binding.is_async,
        "event-alone": binding.takes_event_alone,
    } == {word: word in says.split() for word in ("batch", "validates", "async", "event-alone")}
    assert (len(parameters.split()) == 2, 1, ()) == (binding.takes_context, binding.concurrency, binding.triggers)
    assert binding.file in (__file__, handlers.__file__)
    assert hasattr(handler, "__wrapped__") or handler.__code__.co_firstlineno == binding.line


def test_middleware_makes_a_function_async_and_gets_the_context() -> None:
    def passes(event: Any, ctx: Context, call_next: Any) -> Any:
        return call_next(event, ctx)

    for use, expected in (((), False), ((passes,), False), ((passes, _outer), True)):
        assert expected is Binding(of_message, use=use).is_async
        assert (not use) is Binding(of_event, use=use).takes_event_alone


@pytest.mark.parametrize(
    ("handler", "trigger", "kind"),
    [
        (of_any, on.queue("orders"), Message),
        (of_any, on.schedule("0 3 * * *"), ScheduleEvent),
        (of_any, on.http(), Request),
        (of_message, on.stream("orders"), Message),
        (of_batch_async, on.change("users"), ChangeEvent),
        # Events inside a message or a CloudEvent are unwrapped.
        (of_batch_async, on.queue("orders"), ChangeEvent),
        (of_batch_async, on.event("a"), ChangeEvent),
        (lambda event: None, on.task(), Task),
    ],
)
def test_a_trigger_decides_the_kind_that_the_annotation_leaves_open(
    handler: Any, trigger: Any, kind: type[Any]
) -> None:
    assert kind is Binding(handler, (trigger,)).kind


def test_with_triggers_of_several_kinds_a_handler_takes_any() -> None:
    binding = Binding(of_any, (on.queue("orders"), on.task(), on.task("named")))
    assert Event is binding.kind
    assert ["of_any", "named"] == [trigger.name for trigger in binding.triggers if isinstance(trigger, TaskTrigger)]


def test_concurrency_is_that_of_the_declaration() -> None:
    for number in (1, 2, 50):
        assert number == Binding(of_message_async, concurrency=number).concurrency


def test_an_annotation_is_resolved_in_the_handlers_scope_and_kinds_everywhere() -> None:
    names: dict[str, Any] = {"__name__": "theirs", "Near": int}
    exec(
        # With this file's `from __future__ import annotations`: the first are strings, the second strings in strings.
        "def handler(event: Message[Near], ctx: Context) -> Nowhere: ...\n"
        "def twice(event: 'Message[Near]', ctx: 'Context' = None): ...",
        names,
    )
    for handler in (names["handler"], names["twice"]):
        assert (Message, True) == (Binding(handler).kind, Binding(handler).validates)
    assert Message is Binding(names["handler"], scope={"Near": str}).kind
    with pytest.raises(Reject):
        Binding(names["handler"], scope={"Near": str}).bind_data(fake.message(1))
