"""Raise one clear error if `portable_fn.testing` can't do what a test asks for, and never return an outcome."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from portable_fn import (
    Batch,
    ChangeEvent,
    CloudEvent,
    ConfigurationError,
    DecodeError,
    EncodeError,
    Event,
    Message,
    ObjectEvent,
    Request,
    ScheduleEvent,
    Task,
    portable,
)
from portable_fn.cli import main
from portable_fn.events import CHANGE_ACTIONS, OBJECT_ACTIONS
from portable_fn.providers import ADAPTERS, adapter
from portable_fn.testing import deliver, fake, parse, render, replay
from portable_fn.testing.extras import MissingExtra

pytest_plugins = ["pytester"]


@portable
def ship(order: Message) -> None: ...


@portable
def hello(request: Request) -> str:
    return "hello"


# Missing extras

MISSING = pytest.mark.parametrize(("provider", "module"), [("gcp", "flask"), ("azure", "azure.functions")])
INSTALL = {
    "gcp": "gcp needs flask: pip install 'portable-fn[gcp]'",
    "azure": "azure needs azure-functions: pip install 'portable-fn[azure]'",
}


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PORTABLE_FN_RECORD", str(tmp_path / "recorded"))
    deliver(ship, fake.message({"sku": 1}))
    monkeypatch.delenv("PORTABLE_FN_RECORD")
    return tmp_path / "recorded"


@MISSING
def test_a_missing_extra_is_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch, recorded: Path, provider: str, module: str
) -> None:
    payload = render(fake.message(), to=provider)
    monkeypatch.setitem(sys.modules, module, None)
    calls: list[Callable[[], object]] = [
        lambda: deliver(ship, fake.message(), to=provider),
        lambda: deliver(hello, fake.request(), to=provider),
        lambda: deliver(hello, fake.request(), to="all"),
        lambda: deliver(ship, fake.message(), to=["aws", provider]),
        lambda: parse(payload, provider),
        lambda: replay(recorded, ship, to=provider),
    ]
    for call in calls:
        with pytest.raises(MissingExtra) as raised:
            call()
        assert INSTALL[provider] == str(raised.value)


def test_all_names_every_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("flask", "azure.functions"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra) as raised:
        deliver(ship, fake.message(), to="all")
    assert "gcp needs flask, azure needs azure-functions: pip install 'portable-fn[gcp,azure]'" == str(raised.value)


@MISSING
def test_calls_that_need_no_extra_work_without_it(monkeypatch: pytest.MonkeyPatch, provider: str, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert render(fake.message({"sku": 1}), to=provider)
    assert ["acknowledged"] == deliver(ship, fake.message(), to="aws").outcomes


@MISSING
def test_the_command_line_says_which_extra_to_install(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    recorded: Path,
    capsys: pytest.CaptureFixture[str],
    provider: str,
    module: str,
) -> None:
    (tmp_path / "app.py").write_text(
        "from portable_fn import Message, portable\n@portable\ndef ship(m: Message): ...\n"
    )
    (tmp_path / "payload.json").write_text(json.dumps(render(fake.message(), to=provider)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, module, None)
    for command in (
        ["parse", "payload.json", "--provider", provider],
        ["replay", "recorded", "app.py", "--to", provider],
    ):
        assert 2 == main(command)
        assert ("", f"portable-fn: {INSTALL[provider]}\n") == tuple(capsys.readouterr())
    assert 1 == main(["invoke", "app.py:ship", "--as", f"aws,{provider}", "--output", "json"])
    errors = [delivery["error"] for delivery in json.loads(capsys.readouterr().out)["deliveries"]]
    assert [None, INSTALL[provider].removeprefix(f"{provider} ")] == errors
    assert 0 == main(["invoke", "app.py:ship"])


@pytest.mark.slow
def test_the_mark_fails_only_the_tests_of_that_provider(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("import sys\nsys.modules['flask'] = None")
    pytester.makepyfile(
        """
import pytest
from portable_fn import Message, portable

@portable
def ship(order: Message) -> None: ...

@pytest.mark.providers("aws", "gcp", "asgi")
def test_ship(deliver, fake):
    assert deliver(ship, fake.message()).outcomes == ["acknowledged"]
"""
    )
    result = pytester.runpytest_subprocess("-p", "no:asyncio", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines([INSTALL["gcp"].replace("[", "[[]")])


# Events that can't be one batch

NAMESAKES = "two different events have the id 'message-1': give each its own id=…,"
SEVERAL: list[tuple[Any, str]] = [
    ([fake.message("good"), fake.message("bad")], f"{NAMESAKES} or pass their data to fake.batch, which numbers them"),
    (
        fake.batch([fake.message("good"), fake.message("bad")]),
        f"{NAMESAKES} or pass their data to fake.batch, which numbers them",
    ),
    (
        [fake.object(key="a"), fake.object(key="b")],
        "two different events have the id 'object-1': give each its own id=…",
    ),
    ([fake.message(1), fake.object()], "deliver takes events of one kind, not Message and ObjectEvent"),
    ([fake.request(), fake.request()], "deliver takes one request at a time"),
    ([], "deliver needs at least one event"),
    ("abc", "deliver takes an event, such as fake makes, or several, not str"),
    ([fake.message(), 1], "deliver takes an event, such as fake makes, or several, not int"),
    (None, "deliver takes an event, such as fake makes, or several, not NoneType"),
]


@pytest.mark.parametrize("provider", [*ADAPTERS, "all"])
def test_events_that_no_source_sends_together_are_refused(provider: str) -> None:
    called: list[object] = []

    @portable
    def handler(event: Any) -> None:
        called.append(event)

    for events, message in SEVERAL:
        for call in (
            lambda events=events: deliver(handler, events, to=provider),
            lambda events=events: render(events, to=provider if provider != "all" else "aws"),
        ):
            with pytest.raises((TypeError, ValueError)) as raised:
                call()
            assert message == str(raised.value)
    assert [] == called


@pytest.mark.parametrize("provider", list(ADAPTERS))
def test_duplicates_and_equal_ids_of_different_sources_are_delivered(provider: str) -> None:
    for other in (fake.message(1), fake.message(1, attempt=2), fake.message(2, id="2"), fake.message(2, source="else")):
        assert ["acknowledged"] * 2 == deliver(ship, [fake.message(1), other], to=provider).outcomes


@pytest.mark.parametrize("to", [None, 1, ["aws", None]])
def test_a_provider_must_be_a_name(to: Any) -> None:
    with pytest.raises(TypeError) as raised:
        deliver(ship, fake.message(), to=to)
    assert f"to must be a provider's name, a list of names, or 'all', not {to!r}" == str(raised.value)


# Misspelt names


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: deliver(ship, fake.message(), to="awz"), "no provider 'awz' (is it 'aws'?); possible are aws, gcp, "),
        (lambda: deliver(ship, fake.message(), to="ibm"), "no provider 'ibm'; possible are aws, gcp, "),
        (
            lambda: deliver(ship, fake.message(), via="sqz"),
            "aws delivers no Message by 'sqz' (is it 'sqs'?); possible",
        ),
        (lambda: deliver(hello, fake.request(), via="rest"), "aws has no 'rest' (is it 'rest_api'?); possible are "),
        (
            lambda: deliver(ship, fake.message(), to="all", via="sqz"),
            "no provider delivers a Message by 'sqz' (is it 'sqs'?); possible are sqs, ",
        ),
        (lambda: render(fake.message(), to="azur"), "no provider 'azur' (is it 'azure'?); possible are aws, "),
        (lambda: fake.object(action="create"), "an object has no action 'create' (is it 'created'?); possible are "),
        (lambda: fake.change(action="deleted"), "a change has no action 'deleted'; possible are inserted, updated, "),
    ],
)
def test_an_error_for_a_misspelt_name_has_the_nearest_one_and_no_second_traceback(
    call: Callable[[], object], message: str
) -> None:
    with pytest.raises((ConfigurationError, ValueError)) as raised:
        call()
    assert str(raised.value).startswith(message)
    text = "".join(traceback.format_exception(raised.value))
    assert 1 == text.count("Traceback")


# Events that a service can't carry

ROW = {"id": "7", "name": "Ada"}
KINDS: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (Message, ObjectEvent, ChangeEvent, ScheduleEvent, CloudEvent, Task)
}
ODD: dict[str, list[Any]] = {
    "Message": [
        fake.message(body=b"\xff\x00"),
        fake.message(body=""),
        fake.message(attributes={"x": b"\xff"}),
        fake.message(time=None, attempt=None),
        fake.message(content_type="text/plain", subject="s", key="k", partition="1", sequence="5"),
        fake.message(partition="p", sequence="abc"),
    ],
    "ObjectEvent": [
        *(fake.object(action=action) for action in OBJECT_ACTIONS),
        *(fake.object(action=action, time=None) for action in OBJECT_ACTIONS),
        fake.object(size=3, etag="e", version="v", content_type="a/b", metadata={"a": "b"}, body=b"abc"),
    ],
    "ChangeEvent": [
        fake.change(action=action, before=before, after=after, time=time, table=table)
        for action, before, after, time, table in product(
            CHANGE_ACTIONS, (None, ROW), (None, ROW), (None, fake.change().time), ("users", "shop/users")
        )
    ],
    "ScheduleEvent": [
        fake.schedule(at=None),
        fake.schedule(cron="0 3 * * *", input={"a": 1}),
        fake.schedule(name="", is_late=True),
    ],
    "CloudEvent": [
        fake.cloud_event(data={"a": 1}, subject="s", extensions={"a": "b"}),
        fake.cloud_event(body=b"\xff", content_type="application/octet-stream"),
        fake.cloud_event(body=b"{"),
        fake.cloud_event(time=None),
    ],
    "Task": [fake.task(), fake.task([1], type="x"), fake.task(name="function")],
}


@pytest.mark.parametrize("provider", list(ADAPTERS))
def test_an_event_that_a_service_cannot_carry_is_a_clear_error(provider: str) -> None:
    unclear: list[tuple[str, str, object]] = []
    for kind, services in adapter(provider, "simulate").EVENT_SERVICES.items():

        def function(event: Any) -> None: ...

        function.__annotations__["event"] = KINDS[kind]
        handler = portable(function)
        for service, event in product(services, ODD[kind]):
            for call in (
                lambda service=service, event=event: render(event, to=provider, via=service),
                lambda service=service, event=event, handler=handler: deliver(handler, event, to=provider, via=service),
            ):
                try:
                    call()
                except (ValueError, EncodeError, DecodeError) as exc:
                    if len(str(exc).split()) < 3 or "literal" in str(exc):
                        unclear.append((service, repr(exc), event))
                except Exception as exc:
                    unclear.append((service, repr(exc), event))
    assert [] == unclear


@pytest.mark.parametrize("action", ["archived", "changed"])
def test_the_error_lists_the_actions_that_r2_notifies_of(action: str) -> None:
    with pytest.raises(ValueError, match=f"^R2 sends no notification for '{action}'; possible are created, deleted$"):
        render(fake.object(action=action), to="cloudflare")


# Events of another kind than the functions'

OF_EACH_KIND = {
    "Request": fake.request(),
    "Message": fake.message(1),
    "ObjectEvent": fake.object(),
    "ChangeEvent": fake.change(after={"id": 1}),
    "ScheduleEvent": fake.schedule(),
    "CloudEvent": fake.cloud_event(),
    "Task": fake.task(1),
}
# By kind of function, the events that never reach it, neither directly nor by their envelope or content.
UNREACHABLE = {
    Request: {*OF_EACH_KIND} - {"Request"},
    Message: {"Request", "Task"},
    CloudEvent: {"Request", "Task"},
    ObjectEvent: {"Request", "Task", "ChangeEvent", "ScheduleEvent"},
    ChangeEvent: {"Request", "Task", "ObjectEvent", "ScheduleEvent"},
    ScheduleEvent: {"Request", "Task", "ObjectEvent", "ChangeEvent"},
    Task: {*OF_EACH_KIND} - {"Task", "ScheduleEvent"},
    Event: set(),
}


def taker(annotation: Any) -> Any:
    def takes(event: Any) -> str:
        return "called"

    takes.__annotations__ = {"event": annotation}
    return portable(takes)


@pytest.mark.parametrize("kind", list(UNREACHABLE), ids=lambda kind: kind.__name__)
def test_an_event_whose_kind_reaches_no_function_is_refused(kind: type[Event[Any]]) -> None:
    refused = set()
    for name, event in OF_EACH_KIND.items():
        for provider in ADAPTERS:
            try:
                deliver(taker(kind), event, to=provider)
            except TypeError as exc:
                refused.add((name, str(exc)))
            except (ValueError, ConfigurationError):
                pass  # this provider delivers no such event, or no function can take it there
    messages = {
        name: f"no function takes the {name} {OF_EACH_KIND[name].id!r}; there is takes ({kind.__name__})"
        for name in UNREACHABLE[kind]
    }
    assert set(messages.items()) == refused


@pytest.mark.parametrize("annotation", [*UNREACHABLE, Batch[Message], Batch[ChangeEvent]], ids=str)
def test_a_call_with_an_event_of_another_kind_is_an_error_that_names_both(annotation: Any) -> None:
    events_by_name = {
        **OF_EACH_KIND,
        "Batch[Message]": fake.batch([1, 2]),
        "Batch[ChangeEvent]": Batch([OF_EACH_KIND["ChangeEvent"]]),
    }
    wanted = annotation.__name__ if annotation in UNREACHABLE else f"Batch[{annotation.__args__[0].__name__}]"
    called = {wanted} if annotation is not Event else {*OF_EACH_KIND}
    for name, event in events_by_name.items():
        if name in called:
            assert "called" == taker(annotation)(event)
        else:
            with pytest.raises(TypeError) as raised:
                taker(annotation)(event)
            assert f"takes takes {wanted}, not {name}" == str(raised.value)
