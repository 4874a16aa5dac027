"""Answers, logs and dead letters show names and types of the input, and never a value."""

from __future__ import annotations

import dataclasses
import enum
import json
import logging
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Optional
from uuid import UUID

import pydantic
import pytest
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from portable_fn import HTTPError, Message, Reject, Request, Retry, Task, on, portable
from portable_fn.adapter.binding import Binding
from portable_fn.data import Validator, parse_json
from portable_fn.errors import InvalidData
from portable_fn.providers import ADAPTERS
from portable_fn.testing import deliver, fake

SECRET = "hunter2"
HIDDEN = "The function failed; its log has the reason under the invocation id."


class Colour(enum.Enum):
    RED = "red"


class Cat(pydantic.BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(pydantic.BaseModel):
    kind: Literal["dog"]
    names: list[str] = []


class Inner(TypedDict):
    x: int


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


class Pair(NamedTuple):
    left: int
    right: int


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    number: int = 0
    word: Literal["a", "b"] = "a"
    colour: Colour = Colour.RED
    pet: Annotated[Cat | Dog, pydantic.Field(discriminator="kind")] | None = None
    either: int | list[int] = 0
    by_name: dict[str, int] = {}
    by_id: dict[UUID, int] = {}
    inner: Inner | None = None
    point: Point | None = None
    pair: Pair | None = None
    short: Annotated[str, pydantic.Field(max_length=3)] = ""
    few: Annotated[list[int], pydantic.Field(max_length=1)] = []
    code: Annotated[str, pydantic.Field(pattern="^[0-9]+$")] = "1"
    day: date = date(2026, 1, 1)
    id: UUID = UUID(int=1)
    link: pydantic.HttpUrl | None = None
    aliased: Annotated[int, pydantic.Field(alias="full/name")] = 0
    checked: str = ""
    asserted: str = ""
    own: str = ""
    nested: Optional["Model"] = None  # noqa: UP037, UP045

    @pydantic.field_validator("checked")
    @classmethod
    def check(cls, value: str) -> str:
        if value:
            raise ValueError(f"{value} is bad")
        return value

    @pydantic.field_validator("asserted")
    @classmethod
    def certain(cls, value: str) -> str:
        assert not value, f"{value} is bad"
        return value

    @pydantic.field_validator("own")
    @classmethod
    def customised(cls, value: str) -> str:
        if value:
            raise PydanticCustomError("too_bad", "{value} is bad", {"value": value})
        return value


FAULTS: list[tuple[dict[str, Any], str, str, str]] = [
    ({"number": SECRET}, "#/number", "int_parsing", "Input should be a valid integer, unable to parse string as an integer"),
    ({"word": SECRET}, "#/word", "literal_error", "Input should be 'a' or 'b'"),
    ({"colour": SECRET}, "#/colour", "enum", "Input should be 'red'"),
    ({"pet": {"kind": SECRET}}, "#/pet", "union_tag_invalid", "Union tag invalid"),
    ({"pet": {"kind": "cat", "lives": SECRET}}, "#/pet/lives", "int_parsing", "Input should be a valid integer"),
    ({"pet": {"kind": "dog", "names": [{SECRET: 1}]}}, "#/pet/names/0", "string_type", "Input should be a valid string"),
    ({"either": SECRET}, "#/either", "int_parsing", "Input should be a valid integer"),
    ({"either": [1, SECRET]}, "#/either/1", "int_parsing", "Input should be a valid integer"),
    ({"by_name": {SECRET: "x"}}, "#/by_name/*", "int_parsing", "Input should be a valid integer"),
    ({"by_id": {SECRET: 1}}, "#/by_id/*", "uuid_parsing", "Input should be a valid UUID"),
    ({SECRET: 1}, "#/*", "extra_forbidden", "Extra inputs are not permitted"),
    ({"inner": {SECRET: 1}}, "#/inner/x", "missing", "Field required"),
    ({"point": {"y": 1}}, "#/point/x", "missing", "Field required"),
    ({"pair": [1, SECRET]}, "#/pair/1", "int_parsing", "Input should be a valid integer"),
    ({"short": SECRET}, "#/short", "string_too_long", "String should have at most 3 characters"),
    ({"few": [1, 2, 3]}, "#/few", "too_long", "Too long"),
    ({"code": SECRET}, "#/code", "string_pattern_mismatch", "String should match pattern '^[0-9]+$'"),
    ({"day": SECRET}, "#/day", "date_from_datetime_parsing", "Input should be a valid date or datetime"),
    ({"id": SECRET}, "#/id", "uuid_parsing", "Input should be a valid UUID"),
    ({"link": SECRET}, "#/link", "url_parsing", "Input should be a valid URL"),
    ({"full/name": SECRET}, "#/full~1name", "int_parsing", "Input should be a valid integer"),
    ({"checked": SECRET}, "#/checked", "value_error", "Value error"),
    ({"asserted": SECRET}, "#/asserted", "assertion_error", "Value error"),
    ({"own": SECRET}, "#/own", "too_bad", "Too bad"),
    ({"nested": {"nested": {"number": SECRET}}}, "#/nested/nested/number", "int_parsing", "Input should be a valid integer"),
    ({"nested": {"by_name": {"number": "x"}}}, "#/nested/by_name/number", "int_parsing", "Input should be a valid integer"),
]  # fmt: skip


@portable(on.http("POST", "/"))
def take(request: Request[Model]) -> None: ...


@portable(on.queue("orders", dead_letter="dead"))
def ship(order: Message[Model]) -> None: ...


@portable(on.task("call"))
def call(task: Task[Model]) -> None: ...


@pytest.mark.parametrize(("data", "pointer", "kind", "detail"), FAULTS)
def test_an_answer_names_pointer_and_type_of_invalid_data(
    data: dict[str, Any], pointer: str, kind: str, detail: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answer = deliver(take, fake.request("POST", "/", json=data))
    assert 422 == answer.status
    # A union has a fault for each of its members.
    details = [one["detail"] for one in answer.json()["errors"] if (one["pointer"], one["type"]) == (pointer, kind)]
    assert [True] == [one.startswith(detail) for one in details], answer.json()
    assert SECRET not in answer.text + caplog.text


@pytest.mark.parametrize(("data", "pointer", "kind", "detail"), FAULTS)
def test_a_log_and_a_dead_letters_reason_do_so_too(
    data: dict[str, Any], pointer: str, kind: str, detail: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    handled = deliver(ship, fake.message(data), to="aws").results[0]
    assert "dead-lettered" == handled.outcome
    assert f"{pointer}: {detail}" in handled.why
    assert SECRET not in handled.why + caplog.text


@pytest.mark.parametrize("provider", ADAPTERS)
@pytest.mark.parametrize(("data", "pointer", "kind", "detail"), FAULTS[:12:3])
def test_a_tasks_caller_gets_the_same_error(
    data: dict[str, Any], pointer: str, kind: str, detail: str, provider: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    name, message = deliver(call, fake.task(data, name="call"), to=provider).error or ("", "")
    assert "InvalidData" == name
    assert f"{pointer}: {detail}" in message
    assert SECRET not in message + caplog.text


@pytest.mark.parametrize("provider", ["gcp", "asgi"])
def test_input_that_is_not_valid_is_a_422_over_http(provider: str) -> None:
    from portable_fn.providers import adapter

    request = fake.request("POST", "/call", json={"number": SECRET})
    made = adapter(provider, "simulate").exchange((call,), request, "http")
    answer = made.answer(made.invoke())
    assert 422 == answer.status
    assert '"pointer":"#/number"' in answer.text
    assert SECRET not in answer.text


def test_nothing_of_the_input_hangs_on_the_error() -> None:
    def all_of(error: BaseException | None) -> list[BaseException]:
        return [] if error is None else [error, *all_of(error.__cause__), *all_of(error.__context__)]

    with pytest.raises(HTTPError) as http:
        take(fake.request("POST", "/", json={"number": SECRET}))
    with pytest.raises(Reject) as reject:
        Binding(ship.__portable__.handler).bind_data(fake.message({"number": SECRET}))  # type: ignore[attr-defined]
    with pytest.raises(InvalidData) as invalid:
        call(fake.task({"number": SECRET}))
    for caught in (http, reject, invalid):
        for error in all_of(caught.value):
            assert SECRET not in str(error) + repr(error)
            assert not isinstance(error, pydantic.ValidationError)


def test_errors_of_a_form_look_like_those_of_json() -> None:
    answer = deliver(take, fake.request("POST", "/", form={"number": SECRET, SECRET: "1"}))
    assert ["#/number", "#/*"] == [error["pointer"] for error in answer.json()["errors"]]
    assert SECRET not in answer.text


@pytest.mark.parametrize("text", [f"[1e99{'9' * 20}]", '["a" "hunter2"]', '{"hunter2"}', "[hunter2]", '["\\hunter2"]'])
def test_the_error_of_malformed_json_names_its_place(text: str) -> None:
    with pytest.raises(ValueError, match=r"char|characters") as caught:
        parse_json(text)
    assert SECRET not in str(caught.value)
    assert "9999" not in str(caught.value)


# Data with more faults than anybody reads


class Item(pydantic.BaseModel):
    a: int
    b: int
    c: int


class Closed(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")


MANY: dict[str, tuple[Any, str]] = {
    "items": (list[Item], "[" + "{}," * 20_000 + "{}]"),
    "more items": (list[Item], "[" + "{}," * 400_000 + "{}]"),
    "numbers": (list[int], "[" + '"",' * 300_000 + "1]"),
    "lists": (list[list[list[int]]], "[" + '[[""],[""]],' * 90_000 + "[]]"),
    "dict": (dict[str, int], "{" + ",".join(f'"{number:x}":""' for number in range(120_000)) + "}"),
    "extras": (Closed, "{" + ",".join(f'"{number:x}":1' for number in range(120_000)) + "}"),
    "a few extras": (Closed, "{" + ",".join(f'"{number:x}":1' for number in range(5600)) + "}"),
}
CHECK = """
import sys, pydantic
sys.path.insert(0, sys.argv[3])
from test_what_errors_tell import MANY
from portable_fn.errors import InvalidData
from portable_fn.data import Validator

def resident():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))

wanted, text = MANY[sys.argv[1]]
validator = Validator(wanted)
before = resident()
try:
    validator.from_json(text.encode())
except InvalidData as exc:
    print(resident() - before, len(exc.errors), exc.count)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a process's peak is in /proc on Linux alone")
@pytest.mark.parametrize("name", MANY)
def test_a_million_faults_take_no_memory(name: str) -> None:
    command = [sys.executable, "-c", CHECK, name, "", str(Path(__file__).parent)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    grown, told, count = map(int, run.stdout.split())
    # Without a limit, `more items` takes 700 MB and 10 s.
    assert grown < 60_000
    assert 1 <= told <= 100
    assert count >= told


def test_valid_data_is_the_same_whatever_its_length() -> None:
    value = [{"a": number, "b": 1, "c": 2} for number in range(5000)]
    text = json.dumps(value)
    assert len(text) > 65_536
    assert [Item(**one) for one in value] == Validator(list[Item]).from_json(text)
    value[3]["b"] = "x"  # type: ignore[assignment]
    value[4]["b"] = "x"  # type: ignore[assignment]
    with pytest.raises(InvalidData) as caught:
        Validator(list[Item]).from_json(json.dumps(value))
    assert [("#/3/b", "int_parsing")] == [(error["pointer"], error["type"]) for error in caught.value.errors]


def test_a_pydantic_that_cannot_stop_early_still_validates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portable_fn.invalid.first_fault_validator", lambda schema: None)
    with pytest.raises(InvalidData) as caught:
        Validator(list[int]).from_json("[" + '"x",' * 20_000 + "1]")
    assert 20_000 == caught.value.count
    assert [{"pointer": "#", "type": "too_many", "detail": "has too many faults to be listed"}] == caught.value.errors


# Errors of a task


class OutOfStock(Reject):
    """For the caller to see."""


class Busy(Retry):
    """For the caller to see."""


TOLD: list[tuple[BaseException, tuple[str, str]]] = [
    (Reject("no lamps"), ("Reject", "no lamps")),
    (OutOfStock("no lamps"), ("OutOfStock", "no lamps")),
    (Retry("later"), ("Retry", "later")),
    (Busy("later"), ("Busy", "later")),
    (HTTPError(404, "no such lamp"), ("HTTPError", "no such lamp")),
]


@pytest.mark.parametrize("provider", ["gcp", "asgi"])
@pytest.mark.parametrize(("error", "told"), TOLD)
def test_an_error_for_the_caller_reaches_them_over_http(
    error: BaseException, told: tuple[str, str], provider: str
) -> None:
    @portable(on.task("call"))
    def raises(task: Task) -> None:
        raise error

    assert told == deliver(raises, fake.task(name="call"), to=provider).error


@pytest.mark.parametrize("provider", ["gcp", "asgi"])
@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("error", [RuntimeError(f"password={SECRET}"), SystemExit(SECRET), KeyError(SECRET)], ids=repr)
def test_anything_else_is_in_the_log_alone(
    error: BaseException, is_async: bool, provider: str, caplog: pytest.LogCaptureFixture
) -> None:
    def raises(task: Task) -> None:
        raise error

    async def raises_later(task: Task) -> None:
        raise error

    made = deliver(
        portable(on.task("raises"))(raises_later if is_async else raises), fake.task(name="raises"), to=provider
    )
    assert made.error is not None
    assert HIDDEN == made.error[1]
    assert type(error).__name__ not in str(made.native_answers)
    assert SECRET not in str([getattr(one, "text", one) for one in made.native_answers])
    assert SECRET in caplog.text


@pytest.mark.parametrize("provider", ["aws", "azure", "cloudflare"])
def test_a_caller_by_the_platform_gets_every_error(provider: str) -> None:
    @portable(on.task("call"))
    def raises(task: Task) -> None:
        raise RuntimeError("no lamps")

    assert ("RuntimeError", "no lamps") == deliver(raises, fake.task(name="call"), to=provider).error


@pytest.mark.parametrize("provider", ["gcp", "asgi"])
def test_an_entry_that_says_so_tells_everything(provider: str) -> None:
    import portable_fn_asgi
    import portable_fn_gcp
    from portable_fn.testing.loop import run
    from portable_fn_asgi.simulate import server
    from portable_fn_gcp import simulate

    @portable(on.task("call"))
    def raises(task: Task) -> None:
        raise RuntimeError("no lamps")

    request = fake.request("POST", "/call", json={})
    if provider == "gcp":
        made = simulate.sent(portable_fn_gcp.entry(raises, task_errors=True), request)
        assert {"type": "RuntimeError", "message": "no lamps"} == made.answer(made.invoke()).json()["error"]
    else:
        application = portable_fn_asgi.entry(raises, task_errors=True)
        sent = run(server.messages(application, server.scope(request), request.raw_body))
        document = json.loads(sent[1]["body"])
        assert ("RuntimeError", "no lamps", 500) == (document["error"], document["detail"], document["status"])
