"""How handlers are declared, called and found."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import functools
import sys
import threading
import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pydantic
import pytest
from typing_extensions import TypedDict

from portable_fn import (
    Batch,
    ChangeEvent,
    ConfigurationError,
    Context,
    DecodeError,
    Event,
    HTTPError,
    Message,
    Reject,
    Request,
    Response,
    ScheduleEvent,
    Task,
    cors,
    on,
    portable,
)
from portable_fn.adapter.binding import Binding, bindings
from portable_fn.adapter.calling import finish_alone, finish_background
from portable_fn.adapter.pipeline import respond, respond_in_loop
from portable_fn.adapter.routing import Router
from portable_fn.on import TaskTrigger
from portable_fn.recording import make_recorder
from portable_fn.testing import fake

if TYPE_CHECKING:
    from decimal import Decimal


def answer(event: Request[Any], *functions: object) -> Response:
    response = respond(Router(bindings(*functions)), event, Context(invocation_id="i-1"))
    return asyncio.run(response) if not isinstance(response, Response) else response  # type: ignore[arg-type]


def problem(response: Response) -> dict[str, Any]:
    import json

    assert isinstance(response.body, bytes)
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = json.loads(response.body)
    return document


@portable
def bare(event, ctx):  # type: ignore[no-untyped-def]
    return {"path": event.path, "provider": ctx.provider}


@portable(on.http("GET", "/async/{name}"))
async def later(request: Request) -> dict[str, str]:
    return {"name": request.params["name"]}


def test_a_portable_function_is_a_plain_function_that_calls_its_handler() -> None:
    assert type(bare).__name__ == "function"
    assert bare(fake.request("GET", "/x"), fake.context()) == {"path": "/x", "provider": "local"}
    assert bare(fake.request("GET", "/x"))["provider"] == "local"
    assert asyncio.run(later(fake.request(params={"name": "n"}))) == {"name": "n"}
    assert (later.__name__, later.__module__) == ("later", __name__)


def test_a_portable_function_called_with_nothing_known_says_what_is_possible() -> None:
    with pytest.raises(ConfigurationError, match=r"called with \(dict\).*neutral event"):
        bare({"a": 1})


class Item(pydantic.BaseModel):
    sku: str
    amount: int = 1


@dataclasses.dataclass
class Point:
    x: int


class Row(TypedDict):
    id: int


def test_typed_data_is_validated_for_models_dataclasses_typed_dicts_and_lists() -> None:
    @portable
    def model(request: Request[Item]) -> int:
        return request.data.amount

    @portable
    def point(request: Request[Point]) -> int:
        return request.data.x

    @portable
    def row(request: Request[Row]) -> int:
        return request.data["id"]

    @portable
    def many(request: Request[list[Item]]) -> int:
        return len(request.data)

    @portable
    def optional(request: Request[Item | None]) -> bool:
        return request.data is None

    assert model(fake.request(json={"sku": "a", "amount": "3"})) == 3
    assert point(fake.request(json={"x": 2})) == 2
    assert row(fake.request(json={"id": 4})) == 4
    assert many(fake.request(json=[{"sku": "a"}, {"sku": "b"}])) == 2
    assert optional(fake.request()) is True
    assert model(fake.request(form={"sku": "a", "amount": "5"})) == 5


def test_data_that_fails_validation_is_a_422_that_names_the_fields_and_keeps_the_values_out() -> None:
    @portable
    def create(request: Request[list[Item]]) -> None: ...

    response = answer(fake.request("POST", json=[{"sku": "a", "amount": "a-secret"}, {}]), create)
    document = problem(response)
    assert (response.status, document["title"]) == (422, "Unprocessable Content")
    assert [error["pointer"] for error in document["errors"]] == ["#/0/amount", "#/1/sku"]
    assert b"a-secret" not in response.body  # type: ignore[operator]
    assert problem(answer(fake.request("POST"), create))["detail"] == "The body is empty."
    assert answer(fake.request("POST", body=b"{"), create).status == 400


def test_a_type_of_the_decorating_function_is_found() -> None:
    class Local(pydantic.BaseModel):
        a: int

    @portable
    def handler(request: Request[Local]) -> int:
        return request.data.a

    assert handler(fake.request(json={"a": 1})) == 1


class Own(Request): ...


class Methods:
    def method(self, request: Request) -> None: ...
    def bound(self, request: Request) -> None: ...


def second_is_no_context(request: Request, page: int = 1) -> None: ...
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
        (second_is_no_context, "the context second"),
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


def test_what_is_no_trigger_or_method_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="triggers"):
        portable("GET", "/")  # type: ignore[call-overload]
    for method in ("GET /", "*", "/x", None, [], [None]):
        with pytest.raises(ConfigurationError, match="method"):
            on.http(method, "/")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="max_body"):
        on.http("GET", "/", max_body="1MB")  # type: ignore[arg-type]


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


def named(name: str, *triggers: Any) -> Any:
    def handler(request: Request) -> dict[str, object]:
        return {"function": name, "params": request.params}

    return portable(*triggers)(handler)


def routed(target: str, *functions: Any, method: str = "GET", **fields: Any) -> Any:
    import json

    response = answer(fake.request(method, target, **fields), *functions)
    return json.loads(response.body) if response.status == 200 else response.status  # type: ignore[arg-type]


def test_literal_segments_win_over_parameters_and_parameters_over_the_rest() -> None:
    functions = [
        named("rest", on.http("GET", "/{rest+}")),
        named("one", on.http("GET", "/items/{id}")),
        named("new", on.http("GET", "/items/new")),
        named("parts", on.http("GET", "/items/{id}/parts/{part+}")),
    ]
    for target, name, params in [
        ("/items/new", "new", {}),
        ("/items/1", "one", {"id": "1"}),
        ("/items/a%2Fb", "one", {"id": "a/b"}),
        ("/items/1/parts/x/y", "parts", {"id": "1", "part": "x/y"}),
        ("/items/1/parts", "parts", {"id": "1", "part": ""}),
        ("/items/1/more", "rest", {"rest": "items/1/more"}),
        ("/", "rest", {"rest": ""}),
        ("/items/", "rest", {"rest": "items/"}),
    ]:
        assert routed(target, *functions) == {"function": name, "params": params}, target


def test_head_is_answered_by_get_and_by_its_own_function_where_there_is_one() -> None:
    get, head = named("get", on.http("GET", "/")), named("head", on.http("HEAD", "/"))
    assert answer(fake.request("HEAD"), get).headers["content-length"] == "30"
    assert answer(fake.request("HEAD"), get, head).headers["content-length"] == "31"


def test_405_names_the_methods_of_every_function_on_the_path() -> None:
    functions = named("a", on.http("GET", "/x/{id}")), named("b", on.http(["PUT", "PATCH"], "/x/{id}"))
    response = answer(fake.request("POST", "/x/1"), *functions)
    assert (response.status, response.headers["allow"]) == (405, "GET, HEAD, OPTIONS, PATCH, PUT")
    assert answer(fake.request("OPTIONS", "/x/1"), *functions).headers["allow"] == "GET, HEAD, OPTIONS, PATCH, PUT"


def test_a_less_specific_path_answers_a_method_that_the_more_specific_one_lacks() -> None:
    functions = named("get", on.http("GET", "/x/{id}")), named("any", on.http("ANY", "/{rest+}"))
    assert routed("/x/1", *functions, method="POST")["function"] == "any"
    assert routed("/x/1", *functions)["function"] == "get"


def test_a_function_without_a_trigger_answers_what_no_other_does() -> None:
    assert routed("/anything", named("bare"), named("one", on.http("GET", "/one"))) == {
        "function": "bare",
        "params": {},
    }
    assert routed("/one", named("bare"), named("one", on.http("GET", "/one")))["function"] == "one"


@pytest.mark.parametrize(
    "functions",
    [
        (named("a"), named("b")),
        (named("a", on.http("GET", "/x/{id}")), named("b", on.http("GET", "/x/{id}"))),
        (named("a", on.http("GET", "/x/{id}")), named("b", on.http("POST", "/x/{name}"))),
    ],
)
def test_functions_that_would_hide_each_other_are_refused(functions: tuple[Any, ...]) -> None:
    with pytest.raises(ConfigurationError):
        Router(bindings(*functions))


def test_an_entry_takes_portable_functions_modules_and_lists_and_nothing_else() -> None:
    from portable_fn.testing.stories import app

    assert len(bindings(app)) == len({id(binding) for binding in bindings(app, app.echo, [app.echo])})
    for nothing in (pytest, print, None):
        with pytest.raises(ConfigurationError, match="@portable"):
            bindings(nothing)
    with pytest.raises(ConfigurationError, match="needs"):
        bindings()


def test_an_http_error_is_its_own_status_and_anything_else_a_500_that_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @portable
    def on_purpose(request: Request) -> None:
        raise HTTPError(409, "taken", title="Conflict!", type="https://example.com/taken", extensions={"by": "Ada"})

    document = problem(answer(fake.request(), on_purpose))
    assert document == {
        "type": "https://example.com/taken", "title": "Conflict!", "status": 409, "detail": "taken", "by": "Ada",
    }  # fmt: skip
    assert caplog.records == []

    @portable
    def by_accident(request: Request) -> None:
        raise KeyboardInterrupt("a-secret")

    response = answer(fake.request(), by_accident)
    assert (response.status, problem(response)["invocation_id"]) == (500, "i-1")
    assert b"a-secret" not in response.body  # type: ignore[operator]
    [record] = caplog.records
    assert record.exc_info is not None
    assert "i-1" in record.getMessage()


def test_the_servers_cancellation_of_an_async_handler_is_not_answered() -> None:
    @portable
    async def slow(request: Request) -> None:
        await asyncio.sleep(60)

    async def cancelled() -> None:
        request = fake.request()
        task = asyncio.ensure_future(respond_in_loop(Router(bindings(slow)).find(request), request, Context()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())


@pytest.mark.parametrize("error", [asyncio.CancelledError, GeneratorExit, SystemExit, KeyboardInterrupt, StopIteration])
def test_whatever_an_async_handler_raises_is_a_500(error: type[BaseException]) -> None:
    @portable
    async def odd(request: Request) -> None:
        raise error

    assert answer(fake.request(), odd).status == 500


def test_a_handler_that_cancels_its_own_task_is_answered() -> None:
    @portable
    async def odd(request: Request) -> None:
        asyncio.current_task().cancel()  # type: ignore[union-attr]  # it runs in a task
        await asyncio.sleep(0)

    assert answer(fake.request(), odd).status == 500


@pytest.mark.parametrize("fields", [{"headers": {"x": "a\nb"}}, {"extensions": {"x": object()}}])
def test_an_http_error_that_cannot_be_written_is_a_500(fields: dict[str, Any]) -> None:
    @portable
    def odd(request: Request) -> None:
        raise HTTPError(400, **fields)

    assert problem(answer(fake.request(), odd))["status"] == 500


def test_a_decorator_above_portable_is_refused_since_no_provider_would_run_it() -> None:
    def guarded(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(*args: Any) -> Any:
            raise HTTPError(401)

        return wrapper

    with pytest.raises(ConfigurationError, match="above @portable"):
        bindings(guarded(named("secret")))


def test_a_response_that_is_returned_twice_is_the_same_both_times() -> None:
    shared = Response(200, {"x": "y"}, (), "whole")

    @portable(on.http("GET", "/"), use=[cors(["https://a.example"], credentials=True)])
    def handler(request: Request) -> Response:
        return shared

    assert answer(fake.request("HEAD"), handler).body == b""
    assert (
        "access-control-allow-origin" in answer(fake.request(headers={"origin": "https://a.example"}), handler).headers
    )
    again = answer(fake.request(headers={"origin": "https://evil.example"}), handler)
    assert (again.body, again.headers.get("access-control-allow-origin")) == (b"whole", None)


def test_a_call_by_keyword_is_the_call_that_it_looks_like() -> None:
    @portable
    def handler(request: Request, ctx: Context) -> str:
        return request.path + ctx.provider

    assert handler(request=fake.request("GET", "/x"), ctx=fake.context()) == "/xlocal"
    assert handler(fake.request("GET", "/x"), ctx=fake.context()) == "/xlocal"
    with pytest.raises(TypeError, match="more"):
        handler(fake.request(), more=1)  # type: ignore[call-arg]


def test_a_strict_model_takes_what_json_can_say_of_it() -> None:
    class Strict(pydantic.BaseModel, strict=True):
        at: datetime
        id: uuid.UUID
        pair: tuple[int, int]

    @portable
    def handler(request: Request[Strict]) -> int:
        return request.data.at.year

    data = {"at": "2026-01-02T03:04:05Z", "id": str(uuid.UUID(int=1)), "pair": [1, 2]}
    assert handler(fake.request(json=data)) == 2026


def test_a_request_is_validated_anew_by_each_call() -> None:
    seen: list[object] = []

    @portable
    def handler(request: Request[dict[str, int]]) -> None:
        seen.append(request.data)

    request = fake.request(form={"a": "1"})
    handler(request)
    handler(request)
    assert seen == [{"a": 1}, {"a": 1}]


def test_thousands_of_faults_are_a_hundred_and_a_count() -> None:
    @portable
    def handler(request: Request[list[int]]) -> None: ...

    document = problem(answer(fake.request("POST", json=["x"] * 5000), handler))
    assert (len(document["errors"]), document["count"]) == (100, 5000)


async def _outer(event: Any, ctx: Context, call_next: Any) -> Any:
    return await call_next(event, ctx)


def test_async_middleware_lets_a_sync_handler_block_a_thread_and_not_the_loop() -> None:
    @portable(on.http(), use=[_outer])
    def handler(request: Request) -> str:
        return threading.current_thread().name

    assert answer(fake.request(), handler).body != threading.current_thread().name.encode()


# What is known of a handler


class Strict(pydantic.BaseModel, strict=True):
    at: datetime


def passes_on(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def gives_more(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(event: Any, *more: Any) -> Any:
        return function(event, *more)

    return wrapper


def of_any(event: Any, ctx: Any) -> None: ...
def of_event(event: Event[Any]) -> None: ...
def of_object(event: object, ctx: object) -> None: ...
def of_message(message: Message[Any], ctx: Context) -> None: ...
async def of_message_async(message: Message, ctx: Context | None = None) -> None: ...
def of_typed(message: Message[Strict]) -> Strict: ...  # type: ignore[empty-body]
def of_task(task: Task[Strict], ctx: Context) -> None: ...
def of_batch(batch: Batch) -> None: ...
async def of_batch_async(batch: Batch[ChangeEvent[Any]], ctx: Context) -> None: ...
def of_typed_batch(batch: Batch[Message[Strict]]) -> None: ...
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
def test_what_a_declaration_says(handler: Any, parameters: str, kind: type[Any], says: str) -> None:
    binding = Binding(handler)
    assert (handler.__name__, parameters.split(), kind) == (binding.name, [*binding.parameters], binding.kind)
    assert {
        "batch": binding.takes_batch,
        "validates": binding.validates,
        "async": binding.is_async,
        "event-alone": binding.takes_event_alone,
    } == {word: word in says.split() for word in ("batch", "validates", "async", "event-alone")}
    assert (len(parameters.split()) == 2, 1, ()) == (binding.takes_context, binding.concurrency, binding.triggers)
    assert __file__ == binding.file
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
        # What is inside of a message, or of an event of a bus, is unwrapped.
        (of_batch_async, on.queue("orders"), ChangeEvent),
        (of_batch_async, on.event("a"), ChangeEvent),
        (lambda event: None, on.task(), Task),
    ],
)
def test_a_trigger_decides_the_kind_where_the_annotation_leaves_it_open(
    handler: Any, trigger: Any, kind: type[Any]
) -> None:
    assert kind is Binding(handler, (trigger,)).kind


def test_with_triggers_of_several_kinds_a_handler_takes_any() -> None:
    binding = Binding(of_any, (on.queue("orders"), on.task(), on.task("named")))
    assert Event is binding.kind
    assert ["of_any", "named"] == [trigger.name for trigger in binding.triggers if isinstance(trigger, TaskTrigger)]


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
def test_what_can_be_called_so_is_middleware(use: Any, is_async: bool) -> None:
    @portable(on.http(), use=[use])
    def handler(request: Request, ctx: Context) -> str:
        return ctx.invocation_id

    assert is_async is handler.__portable__.is_async  # type: ignore[attr-defined]
    assert b"i-1" == answer(fake.request(), handler).body


def keyword_default(event, *, more=1): ...  # type: ignore[no-untyped-def]
def of_self(self, event): ...  # type: ignore[no-untyped-def]
def of_cls(cls, event): ...  # type: ignore[no-untyped-def]
def of_self_typed(self: Message) -> None: ...
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
                f"of_own_class takes {__name__}.Item, not an event",
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
def test_a_refused_declaration_names_what_was_seen(handler: Any, options: dict[str, Any], words: list[str]) -> None:
    options = dict(options)
    if annotation := options.pop("annotation", None):
        handler.__annotations__["event"] = annotation
    with pytest.raises(ConfigurationError) as caught:
        Binding(handler, **options)
    assert [] == [word for word in words if word not in str(caught.value)], str(caught.value)


def test_concurrency_is_that_of_the_declaration() -> None:
    for number in (1, 2, 50):
        assert number == Binding(of_message_async, concurrency=number).concurrency


def test_an_annotation_is_looked_for_where_the_handler_was_defined_and_the_kinds_are_known_anyway() -> None:
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


@pytest.mark.parametrize("kind", ["message", "batch", "task", "request"])
def test_data_is_what_json_can_say_of_a_strict_type_in_every_kind(kind: str) -> None:
    """A time is a str in JSON, which a strict model takes from JSON alone."""
    event: Any = {
        "message": fake.message({"at": "2026-01-02T03:04:05Z"}),
        "batch": fake.message({"at": "2026-01-02T03:04:05Z"}),
        "task": fake.task({"at": "2026-01-02T03:04:05Z"}),
        "request": fake.request("POST", json={"at": "2026-01-02T03:04:05Z"}),
    }[kind]
    handler: Any = {"message": of_typed, "batch": of_typed_batch, "task": of_task}.get(kind)
    if handler is None:

        def handler(request: Request[Strict]) -> None: ...

    Binding(handler).bind_data(event)
    assert 2026 == event.data.at.year


def test_a_handler_of_typed_data_gets_its_context() -> None:
    def reads(event: Message[Strict], ctx: Context) -> tuple[int, str]:
        return event.data.at.year, ctx.invocation_id

    event = fake.message({"at": "2026-01-02T03:04:05Z"})
    assert (2026, "i-3") == Binding(reads).call(event, Context(invocation_id="i-3"))


@pytest.mark.parametrize(
    ("handler", "event", "error", "words"),
    [
        (of_typed, fake.message({"at": 1}), Reject, ["data is not valid", "#/at"]),
        (of_task, fake.task({"at": 1}), ValueError, ["task's input is not valid", "#/at"]),
        (of_typed, fake.message(body="{"), DecodeError, []),
        (of_typed, fake.message(body=""), Reject, ["data is not valid"]),
    ],
)
def test_data_that_is_not_valid_says_where(handler: Any, event: Any, error: type[Exception], words: list[str]) -> None:
    with pytest.raises(error) as caught:
        Binding(handler).bind_data(event)
    assert [] == [word for word in words if word not in str(caught.value)], str(caught.value)


def test_a_handler_without_a_type_of_data_leaves_the_data_as_it_is() -> None:
    event = fake.message({"at": 1})
    Binding(of_message).bind_data(event)
    assert {"at": 1} == event.data


@pytest.mark.parametrize(("count", "told"), [(99, None), (100, None), (101, 101)])
def test_the_number_of_faults_is_told_where_some_are_left_out(count: int, told: int | None) -> None:
    @portable
    def handler(request: Request[list[int]]) -> None: ...

    document = problem(answer(fake.request("POST", json=["x"] * count), handler))
    assert (min(count, 100), told) == (len(document["errors"]), document.get("count"))


def test_a_form_that_is_not_valid_is_named_as_a_form() -> None:
    @portable
    def handler(request: Request[Item]) -> None: ...

    detail = problem(answer(fake.request("POST", form={"a": "1"}), handler))["detail"]
    assert "application/x-www-form-urlencoded" in detail
    assert "The body is not valid." == problem(answer(fake.request("POST", json={}), handler))["detail"]


def test_middleware_around_other_events_gets_what_the_handler_returned_as_it_is() -> None:
    returned: list[Any] = []

    def sees(event: Any, ctx: Context, call_next: Any) -> Any:
        returned.append((ctx.invocation_id, call_next(event, ctx)))
        return None

    def handler(event: Message[Any], ctx: Context) -> Any:
        return {event.id: ctx.invocation_id}

    assert Binding(handler, use=[sees, sees]).call(fake.message(), Context(invocation_id="i-2")) is None
    assert [("i-2", {"message-1": "i-2"}), ("i-2", None)] == returned


class Forgets:
    def __repr__(self) -> str:
        return "<forgetful>"

    def __call__(self, event: Any, ctx: Context, call_next: Any) -> None: ...


def forgets(event: Any, ctx: Context, call_next: Any) -> None: ...


@pytest.mark.parametrize(("use", "name"), [(Forgets(), "<forgetful>"), (forgets, "forgets")])
def test_middleware_that_answers_nothing_is_named(use: Any, name: str, caplog: pytest.LogCaptureFixture) -> None:
    assert 500 == answer(fake.request(), portable(on.http(), use=[use])(lambda request: {})).status
    assert f"middleware {name} returned None" in str(caplog.records[0].exc_info[1])  # type: ignore[index]  # it is logged with it


@pytest.mark.parametrize("is_async", [False, True])
def test_middleware_around_what_is_async_stays_in_the_event_loop(is_async: bool) -> None:
    """A Worker has no threads."""
    threads: list[int] = []

    def sees(event: Any, ctx: Context, call_next: Any) -> Any:
        threads.append(threading.get_ident())
        return call_next(event, ctx)

    async def later(request: Request) -> str:
        return "x"

    def now(request: Request) -> str:
        return "x"

    use = [_outer, sees] if is_async else [_outer, sees, _outer]
    assert b"x" == answer(fake.request(), portable(on.http(), use=use)(later if is_async else now)).body
    assert [threading.get_ident()] == threads


# What entries do around a call


def test_a_sync_stream_in_an_event_loop_runs_in_threads_with_the_handlers_variables() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    threads: set[int] = set()

    @portable
    def handler(request: Request) -> Any:
        def lines() -> Any:
            threads.add(threading.get_ident())
            yield variable.get()

        variable.set("set")
        return Response(200, {}, (), lines())

    async def main() -> None:
        request = fake.request()
        response = await respond_in_loop(Router(bindings(handler)).find(request), request, Context())
        assert ["set"] == [chunk async for chunk in response.body]  # type: ignore[union-attr]  # it is a stream
        assert threading.get_ident() not in threads

    asyncio.run(main())


@pytest.mark.parametrize(
    ("platform", "where", "words"),
    [("emscripten", "somewhere", "can't record in somewhere"), ("linux", "-", "can't record: ")],
)
def test_where_nothing_can_be_recorded_the_log_says_so_and_the_function_runs(
    platform: str, where: str, words: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.delattr("portable_fn.recording.recorder", raising=False)
    monkeypatch.setitem(sys.modules, "portable_fn.recording.recorder", None)
    assert make_recorder(where) is None
    assert [words] == [words for record in caplog.records if words in record.getMessage()]


def test_background_work_is_cancelled_with_the_server_and_of_itself_costs_only_itself() -> None:
    done: list[str] = []

    async def waits() -> None:
        await asyncio.sleep(10)

    async def works() -> None:
        done.append("done")

    async def cancels() -> None:
        asyncio.current_task().cancel()  # type: ignore[union-attr]  # it runs in a task
        await asyncio.sleep(0)

    async def cancelled() -> None:
        context = Context()
        context.background(waits())
        task = asyncio.ensure_future(finish_background(context))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    context = Context()
    context.background(cancels())
    context.background(works())
    finish_alone(context, asyncio.run)
    assert ["done"] == done


def test_closing_a_coroutine_outside_of_a_loop_goes_on_up() -> None:
    @portable
    async def waits(request: Request) -> None:
        await asyncio.Event().wait()

    request = fake.request()
    answering = respond_in_loop(Router(bindings(waits)).find(request), request, Context())

    async def begin() -> None:
        answering.send(None)

    asyncio.run(begin())
    answering.close()
    with pytest.raises(RuntimeError, match="reuse"):
        answering.send(None)
