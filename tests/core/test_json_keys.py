"""A value that JSON can have can also be a key, written alike."""

from __future__ import annotations

import dataclasses
import enum
import json
import logging
from collections import OrderedDict
from datetime import UTC, date, datetime, time
from decimal import Decimal
from ipaddress import ip_address
from typing import Any
from uuid import UUID

import pydantic
import pytest

from portable_fn import Request, Response, Task, data, on, portable
from portable_fn.data import to_json
from portable_fn.providers import ADAPTERS
from portable_fn.testing import deliver, fake


class State(enum.Enum):
    OPEN = "open"
    NUMBER = 7
    ID = UUID(int=7)


class Word(enum.StrEnum):
    YES = "yes"


class Level(enum.IntEnum):
    HIGH = 3


@dataclasses.dataclass
class Report:
    days: dict[date, int]


class Counts(pydantic.BaseModel):
    by_id: dict[UUID, int]


class Unordered(dict[Any, Any]): ...


# A key, and the text of the same value.
KEYS: list[tuple[Any, str]] = [
    (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
    (date(2026, 11, 30), "2026-11-30"),
    (datetime(2026, 1, 2, 3, tzinfo=UTC), "2026-01-02T03:00:00+00:00"),
    (time(3, 4), "03:04:00"),
    (Decimal("7.10"), "7.10"),
    (ip_address("::1"), "::1"),
    (State.OPEN, "open"),
    (State.NUMBER, "7"),
    (State.ID, "00000000-0000-0000-0000-000000000007"),
    (Word.YES, "yes"),
    (Level.HIGH, "3"),
    (7, "7"),
    (10**30, "1" + "0" * 30),
    (1.5, "1.5"),
    (True, "true"),
    (None, "null"),
    ("é", "é"),
]
PLACES = {
    "alone": lambda inner: inner,
    "in a list": lambda inner: [inner],
    "in a tuple": lambda inner: (inner,),
    "in a dict": lambda inner: {"a": inner},
    "in a dataclass": Report,
    "in a mapping": lambda inner: OrderedDict(a=inner),
    "of a dict's own class": Unordered,
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("key", "text"), KEYS, ids=repr)
def test_a_key_is_written_as_the_value_is(key: Any, text: str, place: str) -> None:
    written = to_json(PLACES[place]({key: key}))
    value = json.loads(to_json(key))
    assert text == (value if isinstance(value, str) else to_json(key))
    assert f"{json.dumps(text, ensure_ascii=False)}:{to_json(key)}" in written
    json.loads(written)


def test_a_models_keys_are_written_beside_others() -> None:
    value = {State.OPEN: Counts(by_id={UUID(int=7): 1})}
    assert {"open": {"by_id": {"00000000-0000-0000-0000-000000000007": 1}}} == json.loads(to_json(value))


@pytest.mark.parametrize("provider", ADAPTERS)
def test_a_handlers_keys_are_written_on_every_provider(provider: str) -> None:
    @portable(on.http("GET", "/report"))
    def report(request: Request) -> dict[Any, Any]:
        return {State.OPEN: Report({date(2026, 11, 30): 2}), UUID(int=7): [{Decimal("1.0"): None}]}

    expected = {"open": {"days": {"2026-11-30": 2}}, "00000000-0000-0000-0000-000000000007": [{"1.0": None}]}
    assert expected == deliver(report, fake.request("GET", "/report"), to=provider).json()


@pytest.mark.parametrize("provider", ADAPTERS)
def test_a_tasks_keys_are_written_on_every_provider(provider: str) -> None:
    @portable(on.task("count"))
    def count(task: Task) -> dict[Any, Any]:
        return {UUID(int=7): {State.NUMBER: Decimal("1.0")}}

    answer = deliver(count, fake.task(name="count"), to=provider)
    assert {"00000000-0000-0000-0000-000000000007": {"7": "1.0"}} == answer.result


@pytest.mark.parametrize(
    "value",
    [
        {float("nan"): 1},
        {float("inf"): 1},
        {UUID(int=1): {float("nan"): 1}},
        {(1, 2): 3},
        {b"a": 1},
        {frozenset(): 1},
        {object(): 1},
        {Report: 1},
        {UUID(int=7): 1, "00000000-0000-0000-0000-000000000007": 2},
        {State.NUMBER: 1, 7: 2},
        {date(2026, 1, 1): 1, "2026-01-01": 2},
    ],
)
@pytest.mark.parametrize("place", ["alone", "in a list", "in a dataclass"])
def test_a_key_that_json_cannot_have_or_a_repeated_key_is_an_error(
    value: Any, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    value = PLACES[place](value)
    with pytest.raises((TypeError, ValueError)):
        to_json(value)

    @portable
    def handler(request: Request) -> Any:
        return Response.json(value)

    caplog.set_level(logging.ERROR)
    assert 500 == deliver(handler, fake.request()).status
    assert "can't be written as JSON" in caplog.text


def test_a_value_that_holds_itself_under_such_a_key_is_an_error() -> None:
    value: dict[Any, Any] = {}
    value[UUID(int=1)] = value
    with pytest.raises(RecursionError):
        to_json(value)


def test_keys_are_written_without_the_c_encoder_too(monkeypatch: pytest.MonkeyPatch) -> None:
    value = {UUID(int=7): {State.OPEN: 1.5}, 1: True}
    written = to_json(value)
    monkeypatch.setattr("json.encoder.c_make_encoder", None)
    assert written == data._encoder()(value)
