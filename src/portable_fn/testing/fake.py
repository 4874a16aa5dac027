"""Neutral events with good defaults; every field can be given."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from portable_fn.adapter.cloudevents import is_json
from portable_fn.context import Context
from portable_fn.data import to_json
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
from portable_fn.pairs import Headers
from portable_fn.providers import nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portable_fn.events import ChangeAction, ObjectAction
    from portable_fn.http import HeadersInput

    # A file's name, bytes and content type.
    File = tuple[str, bytes, str]

_TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
# The same each time, so that a rendered payload is too.
_BOUNDARY = "----portable-fn-form"
# What a client sends of a target as it is, beside letters and digits.
_AS_IT_IS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"


def request(
    method: str = "GET",
    target: str = "/",
    *,
    headers: HeadersInput = (),
    cookies: dict[str, str] | None = None,
    json: Any = None,
    form: Mapping[str, str | Sequence[str]] | None = None,
    files: Mapping[str, File | Sequence[File]] | None = None,
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

    What a target can't hold, such as blanks and umlauts, is encoded as browsers do. `json` and `form` give the body and its
    content type. `files` makes it a multipart form, of what is in `form` as well: by the field's name the file's name, bytes and
    content type, `files={"photo": ("cat.png", b"…", "image/png")}`, or a list of such. `params` are for a direct call, which
    matches no path.
    """
    if sum((json is not None, form is not None or files is not None, bool(body))) > 1:
        raise ValueError("a request has one of json=…, form=… and body=…; files=… go with form=…")
    if target and not target.startswith("/"):
        raise ValueError(f"the target {target!r} doesn't start with '/'; a request's host is host=…")
    if method != method.upper():
        raise ValueError(f"{method!r} is no method: methods have a case, and it is {method.upper()!r}")
    if not isinstance(principal, Principal | None):
        raise TypeError(f"principal is a Principal(id, scheme, claims), not {principal!r}")
    path, _, query = quote(target, _AS_IT_IS).partition("?")
    if not isinstance(headers, Mapping):
        headers = list(headers)
    _strings("headers", dict(headers))
    lines = list(Headers(headers).multi_items())
    given = {name for name, _ in lines}
    if json is not None:
        body = to_json(json)
        if "content-type" not in given:
            lines.append(("content-type", "application/json"))
    elif form is not None or files is not None:
        fields = _fields(form or {})
        body, content_type = urlencode(fields).encode(), "application/x-www-form-urlencoded"
        if files is not None:
            body, content_type = _multipart(fields, files), f"multipart/form-data; boundary={_BOUNDARY}"
        if "content-type" not in given:
            lines.append(("content-type", content_type))
    _strings("cookies", cookies)
    if cookies:
        lines.append(("cookie", "; ".join(f"{name}={value}" for name, value in cookies.items())))
    return Request(
        method,
        path,
        query,
        lines,
        _bytes(body),
        params=params,
        host=host,
        scheme=scheme,
        client_ip=client_ip,
        principal=principal,
        id=id,
        time=_utc("time", time),
    )


def _fields(form: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The fields of a form, one for each value; TypeError for a value that isn't text."""
    fields = []
    for name, value in form.items():
        for one in value if isinstance(value, (list, tuple)) else (value,):
            if not isinstance(name, str) or not isinstance(one, str):
                hint = "; a file is files={…}" if isinstance(one, (bytes, tuple)) else f": give {str(one)!r}"
                raise TypeError(f"a form's values are text, and that of {name!r} is {_article(one)}{hint}")
            fields.append((name, one))
    return fields


def _multipart(fields: Sequence[tuple[str, str]], files: Mapping[str, Any]) -> bytes:
    """The body of a form as browsers send it.

    https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data
    """
    parts = [(f'name="{_quoted(name)}"', value.encode()) for name, value in fields]
    for name, given in files.items():
        for file in given if isinstance(given, list) else [given]:
            if not (isinstance(file, tuple) and list(map(type, file)) == [str, bytes, str]):
                seen = (
                    f"({', '.join(type(one).__name__ for one in file)})" if isinstance(file, tuple) else _article(file)
                )
                raise TypeError(
                    f"files has a name, bytes and a content type for each field, "
                    f"{{{name!r}: ('cat.png', b'…', 'image/png')}}, or a list of them, not {seen}"
                )
            filename, content, content_type = file
            if not content_type.isprintable():
                raise ValueError(f"{content_type!r} is no content type")
            head = f'name="{_quoted(name)}"; filename="{_quoted(filename)}"\r\nContent-Type: {content_type}'
            parts.append((head, content))
    made = [
        f"--{_BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + content + b"\r\n"
        for head, content in parts
    ]
    if any(_BOUNDARY.encode() in content for _, content in parts):
        raise ValueError(f"a form's content has {_BOUNDARY!r} in it, which parts it")
    return b"".join([*made, f"--{_BOUNDARY}--\r\n".encode()])


def _quoted(name: str) -> str:
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _article(value: Any) -> str:
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def message(
    data: Any = None,
    *,
    body: bytes | str | None = None,
    channel: str = "orders",
    id: str = "message-1",
    source: str | None = None,
    time: datetime | None = _TIME,
    content_type: str = "",
    attributes: Mapping[str, str | bytes | None] | None = None,
    subject: str = "",
    attempt: int | None = 1,
    key: str | None = None,
    partition: str | None = None,
    sequence: str | None = None,
) -> Message[Any]:
    """A message of a queue, topic or stream with the data as JSON, or with the body as it is.

    A str or bytes of another content type than JSON, such as "text/plain", is the body itself.
    """
    if not (attempt is None or isinstance(attempt, int)):
        raise TypeError(f"attempt is a whole number, not {attempt!r}")
    if attempt is not None and attempt < 1:
        raise ValueError(f"attempt counts deliveries from 1, and is {attempt}")
    _strings("attributes", attributes, str | bytes | None)
    return Message(
        id,
        channel if source is None else source,
        _content(data, body, content_type, "null"),
        channel=channel,
        time=_utc("time", time),
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


def dead_letter(
    event: Event[Any], why: str = "", *, channel: str = "dead-letters", id: str = "letter-1", as_text: bool = False
) -> Message[Any]:
    """The message that a function behind the dead letters gets for an event that was rejected.

    It has the event's body and attributes, as on SQS, Pub/Sub and Service Bus; with `as_text` it is a text alone, as in storage
    queues and on Cloudflare.
    """
    from portable_fn.adapter.dead_letter import Destination, letter, structured
    from portable_fn.outcomes import Reject

    if as_text:
        return message(body=structured(event, Reject(why)), channel=channel, id=id)
    made = letter(event, Reject(why), Destination(1000, 10**6, bool, str, takes_bytes=True))
    return message(
        body=made.body, attributes=made.attributes, content_type=made.content_type, key=made.key, channel=channel, id=id
    )


def object(
    bucket: str = "uploads",
    key: str = "picture.png",
    *,
    action: ObjectAction = "created",
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
    _strings("metadata", metadata)
    if not isinstance(body, bytes | None):
        raise TypeError(f"an object's body is bytes, not {body!r}")
    return ObjectEvent(
        id,
        bucket if source is None else source,
        bucket,
        key,
        action,
        time=_utc("time", time),
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
    action: ChangeAction | None = None,
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
        time=_utc("time", time),
        partition=partition,
        sequence=sequence,
    )


def _utc(name: str, time: datetime | None) -> datetime | None:
    if time is None:
        return None
    if not isinstance(time, datetime):
        raise TypeError(f"{name} is a datetime, not {time!r}")
    if time.tzinfo is None:
        raise ValueError(f"{name} has no time zone: datetime(…, tzinfo=UTC)")
    return time.astimezone(UTC)


def _strings(name: str, given: Any, of: Any = str) -> None:
    if not isinstance(given, Mapping | None):
        raise TypeError(f"{name} is a dict, not {given!r}")
    for key, value in (given or {}).items():
        if not isinstance(key, str) or not isinstance(value, of):
            raise TypeError(
                f"{name} has {key!r}: {value!r}, and takes str{' and bytes' if of is not str else ''} alone"
            )


def _bytes(body: bytes | str) -> bytes:
    if isinstance(body, str):
        return body.encode()
    if not isinstance(body, bytes):
        raise TypeError(f"body is bytes or str, not {body!r}; what is to be JSON is given without body=…")
    return body


def _content(data: Any, body: bytes | str | None, content_type: str, nothing: str) -> bytes:
    if body is not None:
        if data is not None:
            raise ValueError("data is what is to be JSON, and body=… what is sent as it is: give one of them")
        return _bytes(body)
    if data is None:
        return nothing.encode()
    if isinstance(data, str | bytes) and content_type and not is_json(content_type):
        return _bytes(data)
    if isinstance(data, bytes):
        raise TypeError("bytes have no JSON form: body=… is sent as it is")
    return to_json(data).encode()


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
    is_late: bool = False,
    input: Any = None,
) -> ScheduleEvent[Any]:
    """A schedule whose time has come; `at` is when it was due, whatever the clock has: only `is_late` makes it late.

    `deliver` plays that, and takes the cron expression of the handler's trigger where none is given.
    """
    return ScheduleEvent(
        id, name if source is None else source, time=_utc("at", at), name=name, cron=cron, is_late=is_late, input=input
    )


def cloud_event(
    type: str = "order.created",
    data: Any = None,
    *,
    body: bytes | str | None = None,
    id: str = "event-1",
    source: str = "/shop",
    subject: str = "",
    time: datetime | None = _TIME,
    content_type: str = "application/json",
    schema: str = "",
    extensions: Mapping[str, str] | None = None,
) -> CloudEvent[Any]:
    """An event of a bus with the data as JSON, or with the body as it is.

    A str or bytes of another content type than JSON, such as "text/plain", is the body itself.
    """
    _strings("extensions", extensions)
    return CloudEvent(
        id,
        source,
        type,
        _content(data, body, content_type, ""),
        subject=subject,
        time=_utc("time", time),
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
    """A context for a direct call of a handler; `deadline` is when it ends."""
    deadline = _utc("deadline", deadline)
    return Context(
        "local",
        function=function,
        invocation_id=invocation_id,
        deadline=None if deadline is None else deadline.timestamp(),
        env={} if env is None else env,
    )
