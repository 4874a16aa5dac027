"""Make neutral events with good defaults for every field."""

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

__all__ = [
    "batch",
    "change",
    "cloud_event",
    "context",
    "dead_letter",
    "message",
    "object",
    "request",
    "schedule",
    "task",
]

_TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
# Fixed, so that a rendered payload is the same each time.
_BOUNDARY = "----portable-fn-form"
# The characters of a target that clients don't encode, besides letters and digits.
_UNENCODED = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"


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
    """Make a request: `fake.request("GET", "/items?page=2")`.

    Args:
        method: The method, in capitals.
        target: The percent-encoded path and query. Other characters, such as spaces and umlauts, are encoded as browsers do.
        headers: The headers, a dict or pairs.
        cookies: The cookies.
        json: The body as a value, sent as JSON.
        form: The fields of a form, with one or several texts each.
        files: For each field a file's name, bytes and content type, `{"photo": ("cat.png", b"…", "image/png")}`, or a list of
            these. Makes the form a multipart form.
        body: The body, sent as is.
        params: The path parameters for a direct call, which matches no path.
        host: The host.
        scheme: The scheme.
        client_ip: The client's address.
        principal: The verified caller, for a direct call.
        id: The id.
        time: The time of arrival.
    """
    if sum((json is not None, form is not None or files is not None, bool(body))) > 1:
        raise ValueError("pass only one of json=…, form=… and body=…; files=… goes with form=…")
    if target and not target.startswith("/"):
        raise ValueError(f"the target {target!r} must start with '/'; pass the host as host=…")
    if method != method.upper():
        raise ValueError(f"methods are case-sensitive: use {method.upper()!r}, not {method!r}")
    if not isinstance(principal, Principal | None):
        raise TypeError(f"principal must be a Principal(id, scheme, claims), not {principal!r}")
    path, _, query = quote(target, _UNENCODED).partition("?")
    if not isinstance(headers, Mapping):
        headers = list(headers)
    _strings("headers", dict(headers))
    lines = list(Headers(headers).multi_items())
    names = {name for name, _ in lines}
    if json is not None:
        body = to_json(json)
        if "content-type" not in names:
            lines.append(("content-type", "application/json"))
    elif form is not None or files is not None:
        fields = _fields(form or {})
        body, content_type = urlencode(fields).encode(), "application/x-www-form-urlencoded"
        if files is not None:
            body, content_type = _multipart(fields, files), f"multipart/form-data; boundary={_BOUNDARY}"
        if "content-type" not in names:
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
    """Return the fields of a form, one for each value; raise TypeError if a value isn't a str."""
    fields = []
    for name, value in form.items():
        for text in value if isinstance(value, (list, tuple)) else (value,):
            if not isinstance(name, str) or not isinstance(text, str):
                hint = "files={…} for a file" if isinstance(text, (bytes, tuple)) else f"{str(text)!r}"
                raise TypeError(f"form has {name!r} with {_article(text)}, and takes str: pass {hint}")
            fields.append((name, text))
    return fields


def _multipart(fields: Sequence[tuple[str, str]], files: Mapping[str, Any]) -> bytes:
    """Return the body of a form as browsers send it.

    Source: https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data
    """
    parts = [(f'name="{_quoted(name)}"', value.encode()) for name, value in fields]
    for name, value in files.items():
        for file in value if isinstance(value, list) else [value]:
            if not (isinstance(file, tuple) and list(map(type, file)) == [str, bytes, str]):
                types = (
                    f"({', '.join(type(item).__name__ for item in file)})"
                    if isinstance(file, tuple)
                    else _article(file)
                )
                raise TypeError(
                    f"files takes a name, bytes and a content type for each field, "
                    f"{{{name!r}: ('cat.png', b'…', 'image/png')}}, or a list of these, not {types}"
                )
            filename, content, content_type = file
            if not content_type.isprintable():
                raise ValueError(f"{content_type!r} isn't a content type")
            head = f'name="{_quoted(name)}"; filename="{_quoted(filename)}"\r\nContent-Type: {content_type}'
            parts.append((head, content))
    if any(_BOUNDARY.encode() in content for _, content in parts):
        raise ValueError(f"a form can't contain its boundary {_BOUNDARY!r}")
    encoded = [
        f"--{_BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + content + b"\r\n"
        for head, content in parts
    ]
    return b"".join([*encoded, f"--{_BOUNDARY}--\r\n".encode()])


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
    """Make a message of a queue, topic or stream.

    Args:
        data: The content, sent as JSON. If `content_type` isn't JSON, a str or bytes is the body itself.
        body: The body, sent as is, instead of data.
        channel: The name of the queue, topic or stream.
        id: The id.
        source: The source; by default the channel.
        time: When it was sent.
        content_type: The media type of the body.
        attributes: The attributes, str or bytes.
        subject: The subject.
        attempt: The number of the delivery, from 1; None if the source doesn't count.
        key: The key whose messages stay in order.
        partition: The partition or shard.
        sequence: The place in the partition.
    """
    if not (attempt is None or isinstance(attempt, int)):
        raise TypeError(f"attempt must be a whole number, not {attempt!r}")
    if attempt is not None and attempt < 1:
        raise ValueError(f"attempt counts deliveries from 1, so it can't be {attempt}")
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
    """Make a batch.

    Args:
        messages: Messages, changes, or data; messages made from data have numbered ids.
        fields: Fields of `message` for those made from data.
    """
    return Batch(
        [
            item if isinstance(item, (Message, ChangeEvent)) else message(item, id=f"message-{number}", **fields)
            for number, item in enumerate(messages, 1)
        ]
    )


def dead_letter(
    event: Event[Any], why: str = "", *, channel: str = "dead-letters", id: str = "letter-1", as_text: bool = False
) -> Message[Any]:
    """Make the dead letter of a rejected event, as a function for dead letters gets it.

    Args:
        event: The rejected event.
        why: The reason.
        channel: The name of the dead-letter queue.
        id: The letter's id.
        as_text: Put everything in the body, as for storage queues and Cloudflare. Otherwise the letter has the event's body and
            attributes, as on SQS, Pub/Sub and Service Bus.
    """
    from portable_fn.adapter.dead_letter import Destination, letter, structured
    from portable_fn.outcomes import Reject

    if as_text:
        return message(body=structured(event, Reject(why)), channel=channel, id=id)
    dead = letter(event, Reject(why), Destination(1000, 10**6, bool, str, takes_bytes=True))
    return message(
        body=dead.body, attributes=dead.attributes, content_type=dead.content_type, key=dead.key, channel=channel, id=id
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
    """Make an event of an object in a bucket.

    Args:
        bucket: The bucket's name.
        key: The object's key, decoded.
        action: "created", "deleted", "archived" or "changed".
        id: The id.
        source: The source; by default the bucket.
        time: When it happened.
        size: The size in bytes; by default that of the body.
        etag: The entity tag.
        version: The object's version.
        content_type: The media type.
        metadata: The metadata.
        body: The content, which only some services send.
    """
    _require_action("an object", action, OBJECT_ACTIONS)
    _strings("metadata", metadata)
    if not isinstance(body, bytes | None):
        raise TypeError(f"an object's body must be bytes, not {body!r}")
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
    """Make a change of a row in a table.

    Args:
        table: The table's name.
        before: The row before the change.
        after: The row after the change.
        action: "inserted", "updated" or "removed"; by default derived from before and after.
        key: The row's key; by default its "id".
        id: The id.
        source: The source; by default the table.
        time: When it happened.
        partition: The shard.
        sequence: The place in the shard.
    """
    if action is None:
        action = "inserted" if before is None else "removed" if after is None else "updated"
    _require_action("a change", action, CHANGE_ACTIONS)
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
        raise TypeError(f"{name} must be a datetime, not {time!r}")
    if time.tzinfo is None:
        raise ValueError(f"{name} needs a time zone: datetime(…, tzinfo=UTC)")
    return time.astimezone(UTC)


def _strings(name: str, values: Any, of: Any = str) -> None:
    if not isinstance(values, Mapping | None):
        raise TypeError(f"{name} must be a dict, not {values!r}")
    for key, value in (values or {}).items():
        if not isinstance(key, str) or not isinstance(value, of):
            raise TypeError(f"{name} has {key!r}: {value!r}, but takes only str{' and bytes' if of is not str else ''}")


def _bytes(body: bytes | str) -> bytes:
    if isinstance(body, str):
        return body.encode()
    if not isinstance(body, bytes):
        raise TypeError(f"body must be bytes or str, not {body!r}; pass other data without body=…")
    return body


def _content(data: Any, body: bytes | str | None, content_type: str, empty: str) -> bytes:
    if body is not None:
        if data is not None:
            raise ValueError("pass data (sent as JSON) or body (sent as is)")
        return _bytes(body)
    if data is None:
        return empty.encode()
    if isinstance(data, str | bytes) and content_type and not is_json(content_type):
        return _bytes(data)
    if isinstance(data, bytes):
        raise TypeError("JSON can't hold bytes: pass body=…, which is sent as is")
    return to_json(data).encode()


def _require_action(what: str, action: str, possible: tuple[str, ...]) -> None:
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
    """Make an event of a schedule.

    Args:
        at: When it was due. This doesn't make it late, whatever the clock says.
        name: The schedule's name.
        cron: The cron expression; by default `deliver` takes that of the handler's trigger.
        id: The id.
        source: The source; by default the name.
        is_late: Whether it arrives late.
        input: The schedule's own input.
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
    """Make an event of a bus.

    Args:
        type: The event's type.
        data: The content, sent as JSON. If `content_type` isn't JSON, a str or bytes is the body itself.
        body: The body, sent as is, instead of data.
        id: The id.
        source: The source, a URI reference.
        subject: The subject.
        time: When it happened.
        content_type: The media type of the body.
        schema: The URI of the data's schema.
        extensions: The extension attributes.
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
    """Make a direct call.

    Args:
        input: The input.
        name: The function's name; by default `deliver` uses the name of the first function for tasks.
        id: The id.
        source: The caller.
        type: How it was called, such as "invoke".
    """
    return Task(id, source, input, name=name, type=type)


def context(
    *,
    function: str = "function",
    invocation_id: str = "invocation-1",
    deadline: datetime | None = None,
    env: dict[str, Any] | None = None,
) -> Context:
    """Make a context for a direct call of a handler.

    Args:
        function: The function's name.
        invocation_id: The invocation's id.
        deadline: When the invocation ends.
        env: The provider's bindings.
    """
    deadline = _utc("deadline", deadline)
    return Context(
        "local",
        function=function,
        invocation_id=invocation_id,
        deadline=None if deadline is None else deadline.timestamp(),
        env={} if env is None else env,
    )
