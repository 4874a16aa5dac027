"""Which function answers a request, and the answer to what it raises."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

import pytest

from portable_fn import (
    ConfigurationError,
    Context,
    HTTPError,
    Request,
    Response,
    cors,
    on,
    portable,
)
from portable_fn.adapter.binding import bindings
from portable_fn.adapter.pipeline import respond_in_loop
from portable_fn.adapter.routing import Router
from portable_fn.testing import fake
from tests.core.handlers import answer, named, problem


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


def test_head_is_answered_by_its_own_function_or_by_get() -> None:
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


def test_a_function_without_a_trigger_answers_the_remaining_requests() -> None:
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
def test_every_error_of_an_async_handler_is_a_500(error: type[BaseException]) -> None:
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
