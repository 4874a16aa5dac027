"""Neutral events with good defaults; every field can be given."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from portable_fn.context import Context
from portable_fn.data import to_json
from portable_fn.events import (
    CHANGE_ACTIONS,
    OBJECT_ACTIONS,
    Batch,
    ChangeEvent,
    CloudEvent,
    Message,
    ObjectEvent,
    ScheduleEvent,
    Task,
)
from portable_fn.http import Principal, Request
from portable_fn.pairs import Headers
from portable_fn.providers import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from portable_fn.http import HeadersInput

_TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def request(
    method: str = "GET",
    target: str = "/",
    *,
    headers: HeadersInput = (),
    cookies: dict[str, str] | None = None,
    json: Any = None,
    form: dict[str, Any] | None = None,
    body: bytes | str = b"",
    params: dict[str, str] | None = None,
    host: str = "example.com",
    scheme: str = "https",
    client_ip: str | None = "203.0.113.7",
    principal: Principal | None = None,
    id: str = "request-1",
    time: datetime = _TIME,
) -> Request[Any]:
    """A request for the target, a path with or without a query, both percent-encoded: `fake.request("GET", "/items?page=2")`.

    `json` and `form` give the body and its content type.
    """
    if target and not target.startswith("/"):
        raise ValueError(f"the target {target!r} doesn't start with '/'; a request's host is host=…")
    if method != method.upper():
        raise ValueError(f"{method!r} is no method: methods have a case, and it is {method.upper()!r}")
    path, _, query = target.partition("?")
    lines = list(Headers(headers).pairs)
    given = {name for name, _ in lines}
    if json is not None:
        body = to_json(json)
        if "content-type" not in given:
            lines.append(("content-type", "application/json"))
    elif form is not None:
        from urllib.parse import urlencode

        body = urlencode(form, doseq=True)
        if "content-type" not in given:
            lines.append(("content-type", "application/x-www-form-urlencoded"))
    if cookies:
        lines.append(("cookie", "; ".join(f"{name}={value}" for name, value in cookies.items())))
    return Request(
        method,
        path,
        query,
        lines,
        body.encode() if isinstance(body, str) else body,
        params=params,
        host=host,
        scheme=scheme,
        client_ip=client_ip,
        principal=principal,
        id=id,
        time=time,
    )


def message(
    data: Any = None,
    *,
    body: bytes | str | None = None,
    channel: str = "orders",
    id: str = "message-1",
    source: str | None = None,
    time: datetime | None = _TIME,
    content_type: str = "",
    attributes: Mapping[str, str | bytes] | None = None,
    subject: str = "",
    attempt: int | None = 1,
    key: str | None = None,
    partition: str | None = None,
    sequence: str | None = None,
) -> Message[Any]:
    """A message of a queue, topic or stream with the data as JSON, or with the body as it is."""
    if body is None:
        body = to_json(data)
    return Message(
        id,
        channel if source is None else source,
        body.encode() if isinstance(body, str) else body,
        channel=channel,
        time=time,
        content_type=content_type,
        attributes=attributes,
        subject=subject,
        attempt=attempt,
        key=key,
        partition=partition,
        sequence=sequence,
    )


def batch(messages: Sequence[Any], **fields: Any) -> Batch[Any]:
    """A batch of messages, or of the data of some, whose ids are then numbered; `fields` are those of `message`."""
    return Batch(
        [
            one if isinstance(one, (Message, ChangeEvent)) else message(one, id=f"message-{number}", **fields)
            for number, one in enumerate(messages, 1)
        ]
    )


def object(
    bucket: str = "uploads",
    key: str = "picture.png",
    *,
    action: str = "created",
    id: str = "object-1",
    source: str | None = None,
    time: datetime | None = _TIME,
    size: int | None = None,
    etag: str | None = None,
    version: str | None = None,
    content_type: str | None = None,
    metadata: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> ObjectEvent[Any]:
    """An object of a bucket that was created, deleted, archived or changed."""
    _known("an object", action, OBJECT_ACTIONS)
    return ObjectEvent(
        id,
        bucket if source is None else source,
        bucket,
        key,
        action,
        time=time,
        size=len(body) if size is None and body is not None else size,
        etag=etag,
        version=version,
        content_type=content_type,
        metadata=metadata,
        body=body,
    )


def change(
    table: str = "users",
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    action: str | None = None,
    key: Mapping[str, Any] | None = None,
    id: str = "change-1",
    source: str | None = None,
    time: datetime | None = _TIME,
    partition: str | None = None,
    sequence: str | None = None,
) -> ChangeEvent[Any]:
    """A row of a table that was inserted, updated or removed, by what there was before and after."""
    if action is None:
        action = "inserted" if before is None else "removed" if after is None else "updated"
    _known("a change", action, CHANGE_ACTIONS)
    if key is None:
        row = before if after is None else after
        key = {"id": row["id"]} if row is not None and "id" in row else {}
    return ChangeEvent(
        id,
        table if source is None else source,
        table,
        action,
        key=key,
        before=before,
        after=after,
        time=time,
        partition=partition,
        sequence=sequence,
    )


def _known(what: str, action: str, possible: tuple[str, ...]) -> None:
    if action not in possible:
        raise ValueError(
            f"{what} has no action {action!r}{nearest(action, possible)}; possible are {', '.join(possible)}"
        )


def schedule(
    *,
    at: datetime | None = _TIME,
    name: str = "nightly",
    cron: str = "",
    id: str = "schedule-1",
    source: str | None = None,
    is_late: bool | None = None,
    input: Any = None,
) -> ScheduleEvent[Any]:
    """A schedule whose time has come; `at` is when it was due."""
    return ScheduleEvent(
        id, name if source is None else source, time=at, name=name, cron=cron, is_late=is_late, input=input
    )


def cloud_event(
    type: str = "order.created",
    data: Any = None,
    *,
    body: bytes | None = None,
    id: str = "event-1",
    source: str = "/shop",
    subject: str = "",
    time: datetime | None = _TIME,
    content_type: str = "application/json",
    schema: str = "",
    extensions: Mapping[str, str] | None = None,
) -> CloudEvent[Any]:
    """An event of a bus with the data as JSON, or with the body as it is."""
    if body is None:
        body = b"" if data is None else to_json(data).encode()
    return CloudEvent(
        id,
        source,
        type,
        body,
        subject=subject,
        time=time,
        content_type=content_type,
        schema=schema,
        extensions=extensions,
    )


def task(
    input: Any = None, *, name: str = "", id: str = "task-1", source: str = "caller", type: str = "invoke"
) -> Task[Any]:
    """A direct call with the input; without a name, `deliver` calls the function that it is given by its own."""
    return Task(id, source, input, name=name, type=type)


def context(
    *,
    function: str = "function",
    invocation_id: str = "invocation-1",
    deadline: datetime | None = None,
    env: dict[str, Any] | None = None,
) -> Context:
    """A context for a direct call of a handler."""
    return Context(
        "local",
        function=function,
        invocation_id=invocation_id,
        deadline=None if deadline is None else deadline.timestamp(),
        env={} if env is None else env,
    )
