"""The events that `fake` makes, and the values that it refuses at the call, before any provider does."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta, timezone
from importlib import import_module
from typing import Any
from urllib.parse import unquote

import pytest

from portable_fn import Message, Request, ScheduleEvent, Upload, on, portable
from portable_fn.providers import ADAPTERS
from portable_fn.testing import deliver, fake, parse, render

PROVIDERS = tuple(ADAPTERS)
NOW = datetime.now(UTC).replace(microsecond=0)
seen: list[tuple[str, bool, str]] = []


@portable(on.schedule("0 3 * * *", name="nightly"))
def nightly(tick: ScheduleEvent) -> None:
    seen.append(("nightly", tick.is_late, tick.cron))


@portable(on.schedule("0 4 * * *", name="later"))
def later(tick: ScheduleEvent) -> None:
    seen.append(("later", tick.is_late, tick.cron))


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("tick", "is_late"),
    [
        (fake.schedule(), False),
        (fake.schedule(is_late=True), True),
        (fake.schedule(at=NOW), False),
        (fake.schedule(at=NOW, is_late=True), True),
        (fake.schedule(at=NOW - timedelta(days=9)), False),
        (fake.schedule(at=NOW + timedelta(days=9), is_late=True), True),
        (ScheduleEvent("old", "nightly", time=NOW - timedelta(days=9), name="nightly"), True),
    ],
)
def test_a_schedule_is_as_late_as_it_says_on_every_provider(
    provider: str, tick: ScheduleEvent[Any], is_late: bool
) -> None:
    seen.clear()
    assert ["acknowledged"] == deliver(nightly, tick, to=provider).outcomes
    assert [is_late, is_late] == [tick.is_late, seen[0][1]]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_schedules_of_one_delivery_are_each_as_late_as_they_say(provider: str) -> None:
    seen.clear()
    due = [NOW - timedelta(hours=hours) for hours in (3, 2, 1)]
    deliver(nightly, [fake.schedule(id=f"s-{at.hour}", at=at, is_late=at == due[1]) for at in due], to=provider)
    assert [False, True, False] == [is_late for _, is_late, _ in seen]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_outside_of_a_delivery_the_clock_decides_if_a_schedule_is_late(provider: str) -> None:
    old = parse(render(fake.schedule(), to=provider), provider)
    assert isinstance(old, ScheduleEvent)
    assert (provider != "azure") == old.is_late


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(("name", "cron"), [("nightly", "0 3 * * *"), ("later", "0 4 * * *")])
def test_a_schedule_without_a_cron_expression_gets_that_of_its_trigger(provider: str, name: str, cron: str) -> None:
    seen.clear()
    delivery = deliver([nightly, later], fake.schedule(name=name), to=provider)
    assert [fake.schedule(name=name)] == delivery.acknowledged
    assert [name] == [called for called, _, _ in seen]
    assert seen[0][2] in (cron, "")


@portable(on.http("GET", "/items/{name}"))
def item(request: Request) -> dict[str, str]:
    return {"name": request.params["name"], "q": request.query.get("q", "")}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("text", ["ü", "😀", "a b", "日本", "%C3%BC", "%F0%9F%98%80"])
def test_a_target_of_any_text_arrives(provider: str, text: str) -> None:

    answer = deliver(item, fake.request("GET", f"/items/{text}?q={text}"), to=provider)
    assert {"name": unquote(text), "q": unquote(text)} == answer.json()


def test_characters_that_a_target_can_hold_stay_unchanged() -> None:
    target = "/a%20b/!$&'()*+,;=:@-._~?%2F=%2f&q=a+b[]|\\^`{}\"<>#"
    request = fake.request("GET", target)
    assert target == f"{request.raw_path}?{request.raw_query}"


@pytest.mark.parametrize(
    ("content_type", "data", "body"),
    [
        ("text/plain", "hello", b"hello"),
        ("text/csv; charset=utf-8", "a,ä", "a,ä".encode()),
        ("image/png", b"\xff", b"\xff"),
        ("", "hello", b'"hello"'),
        ("application/json", "hello", b'"hello"'),
        ("application/vnd.x+json; charset=utf-8", "hello", b'"hello"'),
    ],
)
def test_data_of_another_content_type_than_json_is_the_body(content_type: str, data: Any, body: bytes) -> None:
    for event in (
        fake.message(data, content_type=content_type),
        fake.cloud_event("sold", data, content_type=content_type),
    ):
        assert (body, data) == (event.body, event.data)


def test_missing_data_is_null_in_a_message_and_empty_in_a_cloud_event() -> None:
    assert (b"null", b"") == (fake.message().body, fake.cloud_event().body)
    assert [b"", b"", b"x"] == [fake.message(body="").body, fake.cloud_event(body="").body, fake.message(body="x").body]


def test_a_time_in_another_zone_becomes_utc() -> None:
    noon = datetime(2026, 1, 2, 12, tzinfo=timezone(timedelta(hours=2)))
    events = (
        fake.message(time=noon),
        fake.object(time=noon),
        fake.change(time=noon),
        fake.schedule(at=noon),
        fake.cloud_event(time=noon),
        fake.request(time=noon),
    )
    for event in events:
        assert "2026-01-02 10:00:00+00:00" == str(event.time)
    assert noon == fake.context(deadline=noon).deadline


NAIVE = datetime(2026, 1, 2)  # noqa: DTZ001  # fake must refuse it
ONE_BODY = "pass only one of json=…, form=… and body=…; files=… goes with form=…"
ONE_CONTENT = "pass data (sent as JSON) or body (sent as is)"
FILES = (
    "files takes a name, bytes and a content type for each field, {{'photo': ('cat.png', b'…', 'image/png')}}, "
    "or a list of these, not {}"
)
ITS_BODY = "JSON can't hold bytes: pass body=…, which is sent as is"
ITS_ZONE = "needs a time zone: datetime(…, tzinfo=UTC)"


@pytest.mark.parametrize(
    ("function", "fields", "error", "message"),
    [
        ("request", {"body": "{}", "json": {}}, ValueError, ONE_BODY),
        ("request", {"form": {"a": "1"}, "json": {}}, ValueError, ONE_BODY),
        ("request", {"body": 5}, TypeError, "body must be bytes or str, not 5; pass other data without body=…"),
        ("request", {"headers": {"a": 1}}, TypeError, "headers has 'a': 1, but takes only str"),
        ("request", {"headers": [("a", 1)]}, TypeError, "headers has 'a': 1, but takes only str"),
        ("request", {"cookies": ["a"]}, TypeError, "cookies must be a dict, not ['a']"),
        ("request", {"cookies": {"a": 1}}, TypeError, "cookies has 'a': 1, but takes only str"),
        ("request", {"principal": "ada"}, TypeError, "principal must be a Principal(id, scheme, claims), not 'ada'"),
        ("request", {"time": "now"}, TypeError, "time must be a datetime, not 'now'"),
        ("message", {"data": {}, "body": "x"}, ValueError, ONE_CONTENT),
        ("batch", {"messages": [{}], "body": "x"}, ValueError, ONE_CONTENT),
        ("message", {"data": b"x"}, TypeError, ITS_BODY),
        (
            "message",
            {"body": {}},
            TypeError,
            "body must be bytes or str, not {}; pass other data without body=…",
        ),
        ("message", {"attempt": "2"}, TypeError, "attempt must be a whole number, not '2'"),
        ("message", {"attempt": 0}, ValueError, "attempt counts deliveries from 1, so it can't be 0"),
        ("message", {"attributes": {"a": 1}}, TypeError, "attributes has 'a': 1, but takes only str and bytes"),
        ("message", {"time": "now"}, TypeError, "time must be a datetime, not 'now'"),
        ("message", {"time": NAIVE}, ValueError, f"time {ITS_ZONE}"),
        ("object", {"time": NAIVE}, ValueError, f"time {ITS_ZONE}"),
        ("object", {"body": "x"}, TypeError, "an object's body must be bytes, not 'x'"),
        ("object", {"metadata": {"a": 1}}, TypeError, "metadata has 'a': 1, but takes only str"),
        ("change", {"time": NAIVE}, ValueError, f"time {ITS_ZONE}"),
        ("schedule", {"at": NAIVE}, ValueError, f"at {ITS_ZONE}"),
        ("cloud_event", {"data": {}, "body": b"x"}, ValueError, ONE_CONTENT),
        ("cloud_event", {"data": b"x"}, TypeError, ITS_BODY),
        ("cloud_event", {"time": NAIVE}, ValueError, f"time {ITS_ZONE}"),
        ("cloud_event", {"extensions": {"a": 1}}, TypeError, "extensions has 'a': 1, but takes only str"),
        ("context", {"deadline": 5}, TypeError, "deadline must be a datetime, not 5"),
        ("context", {"deadline": NAIVE}, ValueError, f"deadline {ITS_ZONE}"),
    ],
)
def test_fake_refuses_values_that_no_event_can_have(
    function: str, fields: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as raised:
        getattr(fake, function)(**fields)
    assert message == str(raised.value)


def test_strategies_without_hypothesis_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "portable_fn.testing.strategies", raising=False)
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(ModuleNotFoundError) as raised:
        import_module("portable_fn.testing.strategies")
    assert "portable_fn.testing.strategies needs hypothesis: pip install 'portable-fn[testing]'" == str(raised.value)


@portable(on.queue("orders"))
def ship(order: Message) -> None: ...


def test_an_error_names_the_distribution_even_if_its_namespace_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "azure", None)
    monkeypatch.delitem(sys.modules, "azure.functions", raising=False)
    with pytest.raises(Exception, match=r"^azure needs azure-functions: pip install 'portable-fn\[azure\]'$"):
        deliver(ship, fake.message(), to="azure")


def test_files_make_a_multipart_form_that_every_provider_reads() -> None:
    @portable(on.http("POST", "/"))
    def upload(request: Request[Any]) -> list[Any]:
        photo = request.form["photo"]
        assert isinstance(photo, Upload)
        pages = [page.body.decode() for page in request.form.get_all("page") if isinstance(page, Upload)]
        return [request.form["title"], photo.filename, photo.content_type, len(photo.body), pages]

    pages = [("a.txt", b"one", "text/plain"), ("b.txt", b"two", "text/plain")]
    files = {"photo": ("cat \u00e9.png", b"\x89PNG\r\n\x00", "image/png"), "page": pages}
    request = fake.request("POST", "/", form={"title": "Z\u00fcrich"}, files=files)

    for provider in ADAPTERS:
        answer = deliver(upload, request, to=provider)
        assert ["Z\u00fcrich", "cat \u00e9.png", "image/png", 7, ["one", "two"]] == answer.json(), provider


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"form": {"amount": 1}}, "form has 'amount' with an int, and takes str: pass '1'"),
        ({"form": {"a": ["x", None]}}, "form has 'a' with a NoneType, and takes str: pass 'None'"),
        ({"form": {"photo": b"x"}}, "form has 'photo' with a bytes, and takes str: pass files={…} for a file"),
        (
            {"files": {"photo": b"x"}},
            FILES.format("a bytes"),
        ),
        (
            {"files": {"photo": ("cat.png", b"x")}},
            FILES.format("(str, bytes)"),
        ),
    ],
)
def test_fake_refuses_values_that_a_form_cannot_hold(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError) as caught:
        fake.request("POST", "/", **fields)
    assert message == str(caught.value)
