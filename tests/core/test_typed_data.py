"""Data that is validated against the type of a handler's annotation."""

from __future__ import annotations

import dataclasses
import uuid
from datetime import datetime
from typing import Any

import pydantic
import pytest
from typing_extensions import TypedDict

from portable_fn import (
    Context,
    DecodeError,
    Message,
    Reject,
    Request,
    portable,
)
from portable_fn.adapter.binding import Binding
from portable_fn.testing import fake
from tests.core.handlers import Item, Strict, answer, of_message, of_task, of_typed, of_typed_batch, problem


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


def test_a_strict_model_accepts_json_forms_of_its_values() -> None:
    class Strict(pydantic.BaseModel, strict=True):
        at: datetime
        id: uuid.UUID
        pair: tuple[int, int]

    @portable
    def handler(request: Request[Strict]) -> int:
        return request.data.at.year

    data = {"at": "2026-01-02T03:04:05Z", "id": str(uuid.UUID(int=1)), "pair": [1, 2]}
    assert handler(fake.request(json=data)) == 2026


def test_each_call_validates_its_request_again() -> None:
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


@pytest.mark.parametrize("kind", ["message", "batch", "task", "request"])
def test_a_strict_type_accepts_json_forms_in_every_kind(kind: str) -> None:
    """A time is a str in JSON. A strict model accepts it only from JSON."""
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
def test_the_error_of_invalid_data_names_its_place(
    handler: Any, event: Any, error: type[Exception], words: list[str]
) -> None:
    with pytest.raises(error) as caught:
        Binding(handler).bind_data(event)
    assert [] == [word for word in words if word not in str(caught.value)], str(caught.value)


def test_a_handler_without_a_type_of_data_gets_the_data_unchanged() -> None:
    event = fake.message({"at": 1})
    Binding(of_message).bind_data(event)
    assert {"at": 1} == event.data


@pytest.mark.parametrize(("count", "told"), [(99, None), (100, None), (101, 101)])
def test_the_error_counts_the_faults_if_some_are_left_out(count: int, told: int | None) -> None:
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
