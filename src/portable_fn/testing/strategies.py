"""Draw neutral events of every kind with Hypothesis, odd ones too; needs `portable-fn[testing]`.

Each function takes strategies for the fields of an event, with the names and defaults of `fake`'s functions:
`messages(data=st.from_type(Order), attempt=st.just(3))`. Examples shrink to the plainest event.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, overload
from urllib.parse import quote, quote_plus

try:
    from hypothesis import strategies as st
    from hypothesis.strategies import SearchStrategy
except ModuleNotFoundError as exc:
    message = "portable_fn.testing.strategies needs hypothesis: pip install 'portable-fn[testing]'"
    raise ModuleNotFoundError(message, name=exc.name) from exc

from portable_fn.events import (
    CHANGE_ACTIONS,
    OBJECT_ACTIONS,
    Batch,
    ChangeEvent,
    CloudEvent,
    Event,
    Message,
    ObjectEvent,
    ScheduleEvent,
    Task,
)
from portable_fn.http import Principal, Request
from portable_fn.testing import fake

if TYPE_CHECKING:
    from portable_fn.http import HeadersInput

__all__ = ["batches", "changes", "cloud_events", "messages", "objects", "requests", "schedules", "tasks"]

E = TypeVar("E", bound=Event[Any])

# The integers that every JSON reader reads exactly. https://www.rfc-editor.org/rfc/rfc7493#section-2.2
MAX_INTEGER = 2**53 - 1
# Azure's storage queues have the smallest messages: 64 KiB in base64.
BIG = 40_000

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_LINE = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=20).map(str.strip)
_NAMES = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=12)
_IDS = st.text(string.ascii_letters + string.digits + "-", min_size=1, max_size=36)
_BIG = st.sampled_from([1_000, BIG]).map(lambda size: "x" * size)
_ODD = st.sampled_from(
    ["", " ", "ä", "日本", "🎉", "0", "/", "null", '"', "\\", "a b", "a+b", "100%", "<&>", "\n", "\0"]
)
_PLAIN = st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | _TEXT | _ODD


def _nested(scalars: SearchStrategy[Any]) -> SearchStrategy[Any]:
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT | _ODD, inner, max_size=4),
        max_leaves=8,
    )


_SCALARS = _PLAIN | st.floats(allow_nan=False, allow_infinity=False)
_JSON = _nested(_SCALARS)
_FIELDS: SearchStrategy[dict[str, Any]] = st.dictionaries(_NAMES, _JSON, max_size=4)
_DATA: SearchStrategy[Any] = _SCALARS | _JSON | _FIELDS | _BIG
# Every provider sends milliseconds, some send more.
_TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(
    lambda time: time.replace(microsecond=time.microsecond // 1000 * 1000, tzinfo=UTC)
)
_NONE = st.none()
_EMPTY = st.just("")
_KEYS = st.sampled_from(["key-1", "key-2"]) | _IDS
_ATTEMPTS = st.sampled_from([1, 2, 3, 10, None])
_ATTRIBUTES: SearchStrategy[Mapping[str, str | bytes]] = st.dictionaries(_NAMES, _LINE.filter(bool), max_size=4)
_OBJECT_KEYS = st.lists(
    st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)
    | st.sampled_from(["a b.png", "a+b.png", "100%.png", "ä.png", "日本.png", "🎉.png", "a%20b.png", "a&b=c?d#e"]),
    min_size=1,
    max_size=4,
).map("/".join)
_METADATA: SearchStrategy[Mapping[str, str]] = st.dictionaries(_NAMES, _LINE, max_size=3)
# No floats: databases return them as decimals.
_ROWS: SearchStrategy[Mapping[str, Any]] = st.builds(
    lambda id, rest: {**rest, "id": id}, _IDS, st.dictionaries(_NAMES, _nested(_PLAIN), max_size=4)
)
_CRONS = st.sampled_from(["", "* * * * *", "0 3 * * *", "*/5 0-6 1,15 * 1-5"])
_EXTENSIONS: SearchStrategy[Mapping[str, str]] = st.dictionaries(
    _NAMES.map(lambda name: f"x{name}"[:20]), _LINE.filter(bool), max_size=3
)
_SEGMENTS = (_TEXT | _ODD).filter(lambda segment: segment not in (".", ".."))
_TARGETS = st.builds(
    lambda segments, query: (
        "/"
        + "/".join(quote(segment, safe="") for segment in segments)
        + ("?" if query else "")
        + "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in query)
    ),
    st.lists(_SEGMENTS, max_size=4),
    st.lists(st.tuples((_TEXT | _ODD).filter(bool), _TEXT | _ODD), max_size=4),
)
_HEADERS: SearchStrategy[list[tuple[str, str]]] = st.lists(
    st.tuples(_NAMES.map(lambda name: f"x-{name}"), _LINE), max_size=4
)
_COOKIES = st.none() | st.dictionaries(
    _NAMES, st.text(string.ascii_letters + string.digits + "=%!", max_size=12), max_size=3
)
_METHODS = st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
_ADDRESSES = st.sampled_from(["203.0.113.7", "2001:db8::7"])
_ODD_BODIES = st.sampled_from([b"\0", b"\xff\xfe", b"\r\n", b"\x1f\x8b"])
_BODIES: SearchStrategy[bytes | str] = _TEXT | st.binary(max_size=50) | _ODD_BODIES | _BIG
_FORMS: SearchStrategy[dict[str, Any]] = st.dictionaries(_NAMES, _TEXT | st.lists(_TEXT, max_size=2), max_size=3)
# Methods whose requests have no body on most servers.
_BODILESS = ("GET", "HEAD", "OPTIONS")


def messages(
    *,
    data: SearchStrategy[Any] = _DATA,
    body: SearchStrategy[bytes | str] | None = None,
    channel: SearchStrategy[str] = st.just("orders"),
    id: SearchStrategy[str] = _IDS,
    source: SearchStrategy[str | None] = _NONE,
    time: SearchStrategy[datetime | None] = _TIMES,
    content_type: SearchStrategy[str] = _EMPTY,
    attributes: SearchStrategy[Mapping[str, str | bytes | None]] = _ATTRIBUTES,
    subject: SearchStrategy[str] = _EMPTY,
    attempt: SearchStrategy[int | None] = _ATTEMPTS,
    key: SearchStrategy[str | None] = _NONE | _KEYS,
    partition: SearchStrategy[str | None] = _NONE,
    sequence: SearchStrategy[str | None] = _NONE,
) -> SearchStrategy[Message[Any]]:
    """Draw messages with the data as JSON, or with the body if that is passed."""
    return st.builds(
        fake.message,
        data=data if body is None else _NONE,
        body=_NONE if body is None else body,
        channel=channel,
        id=id,
        source=source,
        time=time,
        content_type=content_type,
        attributes=attributes,
        subject=subject,
        attempt=attempt,
        key=key,
        partition=partition,
        sequence=sequence,
    )


@overload
def batches(*, min_size: int = 1, max_size: int = 10) -> SearchStrategy[Batch[Message[Any]]]: ...
@overload
def batches(messages: SearchStrategy[E], *, min_size: int = 1, max_size: int = 10) -> SearchStrategy[Batch[E]]: ...
def batches(
    messages: SearchStrategy[Any] = messages(),
    *,
    min_size: int = 1,
    max_size: int = 10,
) -> SearchStrategy[Batch[Any]]:
    """Draw batches of messages or changes with different ids."""
    return st.lists(messages, min_size=min_size, max_size=max_size, unique_by=lambda event: event.id).map(Batch)


def objects(
    *,
    bucket: SearchStrategy[str] = st.just("uploads"),
    key: SearchStrategy[str] = _OBJECT_KEYS,
    action: SearchStrategy[str] = st.sampled_from(OBJECT_ACTIONS),
    id: SearchStrategy[str] = _IDS,
    source: SearchStrategy[str | None] = _NONE,
    time: SearchStrategy[datetime | None] = _TIMES,
    size: SearchStrategy[int | None] = _NONE | st.integers(0, 5 * 2**40),
    etag: SearchStrategy[str | None] = _NONE | _IDS,
    version: SearchStrategy[str | None] = _NONE | _IDS,
    content_type: SearchStrategy[str | None] = _NONE | st.sampled_from(["image/png", "text/plain; charset=utf-8"]),
    metadata: SearchStrategy[Mapping[str, str]] = _METADATA,
    body: SearchStrategy[bytes | None] = _NONE,
) -> SearchStrategy[ObjectEvent[Any]]:
    """Draw events of objects, some with odd keys."""
    return st.builds(
        fake.object,
        bucket=bucket,
        key=key,
        action=action,
        id=id,
        source=source,
        time=time,
        size=size,
        etag=etag,
        version=version,
        content_type=content_type,
        metadata=metadata,
        body=body,
    )


def changes(
    *,
    table: SearchStrategy[str] = st.just("users"),
    before: SearchStrategy[Mapping[str, Any] | None] | None = None,
    after: SearchStrategy[Mapping[str, Any] | None] | None = None,
    action: SearchStrategy[str] | None = None,
    key: SearchStrategy[Mapping[str, Any] | None] = _NONE,
    id: SearchStrategy[str] = _IDS,
    source: SearchStrategy[str | None] = _NONE,
    time: SearchStrategy[datetime | None] = _TIMES,
    partition: SearchStrategy[str | None] = _NONE,
    sequence: SearchStrategy[str | None] = _NONE,
) -> SearchStrategy[ChangeEvent[Any]]:
    """Draw changes whose `before` and `after` fit the action.

    If you pass only `before` and `after`, the action follows from them. The key is the row's "id" unless you pass `key`.
    """
    return st.builds(
        lambda rows, **fields: fake.change(before=rows[0], after=rows[1], action=rows[2], **fields),
        rows=_before_and_after(before, after, action),
        table=table,
        key=key,
        id=id,
        source=source,
        time=time,
        partition=partition,
        sequence=sequence,
    )


@st.composite
def _before_and_after(
    draw: st.DrawFn,
    before: SearchStrategy[Mapping[str, Any] | None] | None,
    after: SearchStrategy[Mapping[str, Any] | None] | None,
    action: SearchStrategy[str] | None,
) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None, str | None]:
    drawn_action = None
    if action is not None:
        drawn_action = draw(action)
    elif before is None and after is None:
        drawn_action = draw(st.sampled_from(CHANGE_ACTIONS))
    old = draw(before) if before is not None else None if drawn_action == "inserted" else draw(_ROWS)
    new = draw(after) if after is not None else None if drawn_action == "removed" else draw(_ROWS)
    if old is not None and new is not None and after is None and "id" in old:
        new = {**new, "id": old["id"]}
    return old, new, drawn_action


def schedules(
    *,
    at: SearchStrategy[datetime | None] = _TIMES,
    name: SearchStrategy[str] = _NAMES,
    cron: SearchStrategy[str] = _CRONS,
    id: SearchStrategy[str] = _IDS,
    source: SearchStrategy[str | None] = _NONE,
    is_late: SearchStrategy[bool] = st.booleans(),
    input: SearchStrategy[Any] = _NONE,
) -> SearchStrategy[ScheduleEvent[Any]]:
    """Draw events of schedules."""
    return st.builds(fake.schedule, at=at, name=name, cron=cron, id=id, source=source, is_late=is_late, input=input)


def cloud_events(
    *,
    type: SearchStrategy[str] = st.just("order.created") | _LINE.filter(bool),
    data: SearchStrategy[Any] = _FIELDS | _BIG.map(lambda text: {"text": text}),
    body: SearchStrategy[bytes] | None = None,
    id: SearchStrategy[str] = _IDS,
    source: SearchStrategy[str] = st.sampled_from(["/shop", "urn:example:shop", "https://example.com/shop?a=1#b"]),
    subject: SearchStrategy[str] = _EMPTY | _LINE,
    time: SearchStrategy[datetime | None] = _NONE | _TIMES,
    content_type: SearchStrategy[str] = st.just("application/json"),
    schema: SearchStrategy[str] = _EMPTY,
    extensions: SearchStrategy[Mapping[str, str]] = _EXTENSIONS,
) -> SearchStrategy[CloudEvent[Any]]:
    """Draw events of a bus with the data as JSON, or with the body if that is passed."""
    return st.builds(
        fake.cloud_event,
        type=type,
        data=data if body is None else _NONE,
        body=_NONE if body is None else body,
        id=id,
        source=source,
        subject=subject,
        time=time,
        content_type=content_type,
        schema=schema,
        extensions=extensions,
    )


def tasks(
    *,
    input: SearchStrategy[Any] = _DATA,
    name: SearchStrategy[str] = _EMPTY,
    id: SearchStrategy[str] = _IDS,
    source: SearchStrategy[str] = st.just("caller"),
    type: SearchStrategy[str] = st.just("invoke"),
) -> SearchStrategy[Task[Any]]:
    """Draw direct calls; without a name, `deliver` calls its first function for tasks."""
    return st.builds(fake.task, input=input, name=name, id=id, source=source, type=type)


@st.composite
def _requests(
    draw: st.DrawFn,
    method: SearchStrategy[str],
    content: dict[str, SearchStrategy[Any]],
    fields: dict[str, SearchStrategy[Any]],
) -> Request[Any]:
    verb = draw(method)
    if not content and verb not in _BODILESS:
        name, strategy = draw(st.sampled_from([("body", _BODIES), ("json", _DATA), ("form", _FORMS)]))
        content = {name: strategy}
    return fake.request(verb, **{name: draw(strategy) for name, strategy in (*fields.items(), *content.items())})


def requests(
    *,
    method: SearchStrategy[str] = _METHODS,
    target: SearchStrategy[str] = _TARGETS,
    headers: SearchStrategy[HeadersInput] = _HEADERS,
    cookies: SearchStrategy[dict[str, str] | None] = _COOKIES,
    json: SearchStrategy[Any] | None = None,
    form: SearchStrategy[dict[str, Any] | None] | None = None,
    files: SearchStrategy[dict[str, Any] | None] | None = None,
    body: SearchStrategy[bytes | str] | None = None,
    params: SearchStrategy[dict[str, str] | None] = _NONE,
    host: SearchStrategy[str] = st.just("example.com"),
    scheme: SearchStrategy[str] = st.sampled_from(["https", "http"]),
    client_ip: SearchStrategy[str | None] = _ADDRESSES,
    principal: SearchStrategy[Principal | None] = _NONE,
    id: SearchStrategy[str] = _IDS,
    time: SearchStrategy[datetime] = _TIMES,
) -> SearchStrategy[Request[Any]]:
    """Draw requests.

    Unless you pass `json`, `form`, `files` or `body`, requests of methods with a body have JSON, a form, or plain bytes.
    """
    content = {"json": json, "form": form, "files": files, "body": body}
    return _requests(
        method,
        {name: strategy for name, strategy in content.items() if strategy is not None},
        {
            "target": target,
            "headers": headers,
            "cookies": cookies,
            "params": params,
            "host": host,
            "scheme": scheme,
            "client_ip": client_ip,
            "principal": principal,
            "id": id,
            "time": time,
        },
    )
