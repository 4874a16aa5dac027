"""Handlers in the style of another framework: an error names the right way, and longer annotations work."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Optional, TypedDict, Union
from uuid import UUID

import pydantic
import pytest
from typing_extensions import TypeAliasType, TypeVar

from portable_fn import (
    Batch,
    ChangeEvent,
    ConfigurationError,
    Context,
    Message,
    ObjectEvent,
    Request,
    Response,
    Task,
    on,
    portable,
)
from portable_fn.adapter.binding import Binding
from portable_fn.events import ScheduleEvent
from portable_fn.testing import deliver, fake


class NewItem(pydantic.BaseModel):
    sku: str


@dataclasses.dataclass
class Row:
    id: int


class Point(TypedDict):
    x: int


# Annotations that say more than the kind

T = TypeVar("T")
Order = TypeAliasType("Order", Message[NewItem])
Orders = TypeAliasType("Orders", Batch[Message])
Of = TypeAliasType("Of", Message[T], type_params=(T,))


@pytest.mark.parametrize(
    ("annotation", "kind", "takes_batch", "validates"),
    [
        (Annotated[Message, "what was ordered"], Message, False, False),
        (Annotated[Message[NewItem], "what was ordered"], Message, False, True),
        (Annotated[Annotated[Message, 1], 2], Message, False, False),
        (Message[Annotated[NewItem, "data"]], Message, False, True),
        (Batch[Annotated[Message, "each"]], Message, True, False),
        (Annotated[Batch[ChangeEvent], "all"], ChangeEvent, True, False),
        (Annotated[Batch, "all"], Message, True, False),
        (Optional[Message], Message, False, False),  # noqa: UP045  # as people write it
        (Union[None, Message[NewItem]], Message, False, True),  # noqa: UP007
        (Message | None, Message, False, False),
        (Annotated[Message | None, "or not"], Message, False, False),
        (Optional[Annotated[Message, "or not"]], Message, False, False),  # noqa: UP045
        (Optional["Message"], Message, False, False),
        (Annotated["Message", "quoted"], Message, False, False),
        ("Annotated[Message, 'quoted']", Message, False, False),
        ("Optional['Message']", Message, False, False),
        (Order, Message, False, True),
        (Orders, Message, True, False),
        (Of[NewItem], Message, False, True),
        (Annotated[Order, "an alias"], Message, False, True),
    ],
)
def test_other_parts_of_an_annotation_than_the_kind_change_nothing(
    annotation: Any, kind: type[Any], takes_batch: bool, validates: bool
) -> None:
    def handler(order, ctx=None): ...  # type: ignore[no-untyped-def]

    handler.__annotations__ = {"order": annotation, "ctx": Annotated[Optional[Context], "of the call"]}  # noqa: UP045
    binding = Binding(handler, (on.queue("orders"),))
    assert (kind, takes_batch, validates) == (binding.kind, binding.takes_batch, binding.validates)
    assert binding.takes_context


@pytest.mark.parametrize("provider", ["aws", "gcp", "azure", "cloudflare", "asgi"])
def test_an_annotated_handler_is_called_with_its_data_on_every_provider(provider: str) -> None:
    seen: list[Any] = []

    @portable(on.topic("orders"))
    def ship(order: Annotated[Message[NewItem], "one"], ctx: Annotated[Context, "of it"]) -> None:
        seen.append((order.data.sku, isinstance(ctx, Context)))

    if provider == "cloudflare":
        ship = portable(on.queue("orders"))(ship.__portable__.handler)  # type: ignore[attr-defined]
    assert ["acknowledged"] == deliver(ship, fake.message({"sku": "lamp"}), to=provider).outcomes
    assert [("lamp", True)] == seen


@pytest.mark.parametrize("annotation", [Message | ObjectEvent, Optional[int], Union[Message, ObjectEvent, None]])  # noqa: UP007, UP045
def test_an_annotation_of_several_kinds_is_refused(annotation: Any) -> None:
    def handler(event): ...  # type: ignore[no-untyped-def]

    handler.__annotations__ = {"event": annotation}
    with pytest.raises(ConfigurationError, match="not an event"):
        Binding(handler)


def test_an_alias_that_cannot_be_resolved_is_named() -> None:
    def handler(event): ...  # type: ignore[no-untyped-def]

    handler.__annotations__ = {"event": Annotated["Nowhere", "it is"]}  # type: ignore[name-defined]  # noqa: F821
    with pytest.raises(ConfigurationError, match=r"handler's event can't be resolved.*Nowhere"):
        Binding(handler)


# Parameters as in FastAPI and Lambda


def by_id(id: int) -> None: ...
def by_uuid(id: UUID) -> None: ...
def by_status(status: HTTPStatus) -> None: ...
def by_optional(q: str | None) -> None: ...
def of_item(item: NewItem) -> None: ...
def of_row(row: Row) -> None: ...
def of_point(point: Point) -> None: ...
def of_dict(event: dict[str, Any]) -> None: ...
def of_mapping(event: Mapping[str, Any]) -> None: ...
def of_lambda(event, context: dict) -> None: ...  # type: ignore[type-arg, no-untyped-def]
def of_lambda_context(event: Request, context: LambdaContext) -> None: ...
def with_query(request: Request, q: str | None = None) -> None: ...
def with_id(request: Request, id: int) -> None: ...
def with_item(request: Request, item: NewItem) -> None: ...
def of_three(request: Request, id: int, item: NewItem) -> None: ...
def of_messages(messages: list[Message]) -> None: ...
def of_sequence(messages: Sequence[Message[NewItem]]) -> None: ...
def unannotated(id): ...  # type: ignore[no-untyped-def]
def unannotated_second(request, id): ...  # type: ignore[no-untyped-def]
def with_value(request: Request, limit=10): ...  # type: ignore[no-untyped-def]


class LambdaContext: ...


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        (by_id, ["by_id takes int", "annotate Request", "request.params", "request.query"]),
        (by_uuid, ["takes uuid.UUID", "request.params"]),
        (by_status, ["HTTPStatus", "request.params"]),
        (by_optional, ["by_optional takes str", "request.query"]),
        (of_item, ["NewItem", "annotate Request[NewItem]", "request.data is the NewItem"]),
        (of_row, ["annotate Request[Row]"]),
        (of_point, ["annotate Request[Point]"]),
        (of_dict, ["dict[str, typing.Any]", "annotate Request", "request.native"]),
        (of_mapping, ["annotate Request", "request.native"]),
        (of_lambda, ["the event comes first, the context second", "portable_fn.Context", "ctx.native"]),
        (of_lambda_context, ["portable_fn.Context", "ctx.native"]),
        (with_query, ["with_query(request, q)", "request.query"]),
        (with_id, ["with_id(request, id)", "request.params['id']"]),
        (with_item, ["Request[NewItem]"]),
        (of_three, ["of_three(request, id, item)", "request.params", "request.query", "Request[NewItem]"]),
        (of_messages, ["Batch[Message]"]),
        (of_sequence, ["Batch[Message]"]),
        (unannotated, ["request.params['id']"]),
        (unannotated_second, ["request.params['id']"]),
        (with_value, ["keyword-only", "def with_value(request, *, limit=…)"]),
    ],
)
def test_a_handler_of_another_framework_is_refused_with_advice(handler: Any, words: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        portable(on.http("GET", "/items/{id}"))(handler)
    assert [] == [word for word in words if word not in str(caught.value)], str(caught.value)


def of_values(order: str) -> None: ...


@pytest.mark.parametrize(
    ("handler", "trigger", "words"),
    [
        (of_item, on.queue("orders"), ["annotate Message[NewItem], and message.data is the NewItem"]),
        (of_item, on.task(), ["annotate Task[NewItem], and task.data is the NewItem"]),
        (of_item, on.change("items"), ["annotate ChangeEvent[NewItem], and event.data is the NewItem"]),
        (of_dict, on.queue("orders"), ["annotate Message: message.data is the body read as JSON", "message.native"]),
        (of_values, on.task(), ["annotate Task, and task.data has the values"]),
        (of_three, on.queue("orders"), ["for more, make a function that returns the handler"]),
    ],
)
def test_the_advice_fits_the_triggers_kind(handler: Any, trigger: Any, words: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        portable(trigger)(handler)
    assert [] == [word for word in words if word not in str(caught.value)], str(caught.value)


def keyword(request: Request, *, limit: int = 10) -> str:
    return str(limit)


def event(event, context=None): ...  # type: ignore[no-untyped-def]
def third(request: Request, ctx: Context, more: int = 1) -> None: ...


@pytest.mark.parametrize("handler", [keyword, event, third])
def test_a_handler_that_can_be_called_is_not_refused(handler: Any) -> None:
    portable(on.http("GET", "/{event}/{context}/{limit}/{more}"))(handler)


# What Lambda handlers do with their event and answer


@pytest.mark.parametrize(
    ("given", "key", "words"),
    [
        (fake.message({"sku": 1}), "Records", ["a Message is not a dict", "once for each record", "Batch[Message]"]),
        (fake.message({"sku": 1}), "body", ["read message.body", "message.native"]),
        (fake.message({"sku": 1}), "sku", ["read message.data"]),
        (fake.message({"sku": 1}), 0, ["read message.data"]),
        (fake.request(), "queryStringParameters", ["a Request is not a dict", "read request.query"]),
        (fake.request(), "pathParameters", ["read request.params"]),
        (fake.request(), "requestContext", ["read request.data", "request.native"]),
        (Task("t", "s", {"a": 1}), "a", ["a Task is not a dict", "read task.data"]),
        (ObjectEvent("i", "s", "b", "k", "created"), "Records", ["an ObjectEvent", "once for each record"]),
        (ScheduleEvent("i", "s"), "detail", ["a ScheduleEvent", "read event.data"]),
        (fake.batch([1, 2]), "Records", ["a Batch is not a dict", "batch[0].data"]),
    ],
)
def test_an_event_read_as_a_dict_raises_an_error_with_advice(given: Any, key: object, words: list[str]) -> None:
    with pytest.raises(TypeError) as caught:
        given[key]
    assert [] == [word for word in words if word not in str(caught.value)], str(caught.value)
    assert not hasattr(given, "get")


def test_a_request_has_no_get_and_says_so() -> None:
    request: Any = fake.request()
    with pytest.raises(AttributeError, match=r"not a dict; event\.data has the data"):
        request.get("body")


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("aws_request_id", "ctx.invocation_id"),
        ("get_remaining_time_in_millis", "ctx.remaining"),
        ("function_name", "ctx.function"),
        ("invoked_function_arn", "ctx.native"),
    ],
)
def test_a_context_read_as_lambdas_raises_an_error_with_advice(name: str, instead: str) -> None:
    context = Context()
    assert not hasattr(context, name)
    with pytest.raises(AttributeError, match=instead):
        getattr(context, name)


@pytest.mark.parametrize(
    "result",
    [
        {"statusCode": 401, "body": "no"},
        {"statusCode": 200},
        {"statusCode": "404", "headers": {"a": "b"}, "body": "", "isBase64Encoded": False},
        {"statusCode": HTTPStatus.OK, "multiValueHeaders": {}, "cookies": [], "body": "{}"},
    ],
)
@pytest.mark.parametrize("is_async", [False, True])
def test_an_answer_in_lambdas_form_is_an_error_that_names_response(
    result: dict[str, Any], is_async: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def later(request: Request) -> dict[str, Any]:
        return result

    def now(request: Request) -> dict[str, Any]:
        return result

    answers = deliver(portable(later if is_async else now), fake.request(), to="all")
    assert {500} == {answer.status for answer in answers.values()}
    assert "return Response(status, headers, body=…)" in caplog.text


@pytest.mark.parametrize(
    "result",
    [
        {"statusCode": 200, "service": "billing"},
        {"statusCode": "fine"},
        {"statusCode": None},
        {"body": "x", "headers": {}},
    ],
)
def test_a_result_unlike_lambdas_answers_is_json(result: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    @portable
    def handler(request: Request) -> dict[str, Any]:
        return result

    @portable
    def on_purpose(request: Request) -> Response:
        return Response.json({"statusCode": 200, "body": ""})

    caplog.set_level(logging.ERROR)
    assert result == deliver(handler, fake.request()).json()
    assert {"statusCode": 200, "body": ""} == deliver(on_purpose, fake.request()).json()
    assert [] == caplog.records
