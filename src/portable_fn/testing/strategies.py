"""Hypothesis strategies for neutral events of every kind, odd ones among them; needs `portable-fn[testing]`.

Each function's arguments are strategies for the fields of what `fake`'s function of that kind makes, and what they draw shrinks
to the plainest there is: `messages(data=st.from_type(Order), attempt=st.just(3))`.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import quote, quote_plus

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

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
from portable_fn.testing import fake

E = TypeVar("E", Message[Any], ChangeEvent[Any])

# The integers that every JSON reader has exactly. https://www.rfc-editor.org/rfc/rfc7493#section-2.2
MAX_INTEGER = 2**53 - 1
# A Storage Queue's message is 64 KiB in base64, less than any other provider's.
BIG = 40_000

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_LINE = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=20).map(str.strip)
_NAMES = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=12)
_IDS = st.text(string.ascii_letters + string.digits + "-", min_size=1, max_size=36)
_BIG = st.integers(0, BIG).map(lambda size: "x" * size)
_ODD = st.sampled_from(["", " ", "ä", "日本", "🎉", "0", "null", '"', "\\", "a b", "a+b", "100%", "<&>", "\n", "\0"])
_SCALARS = (
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | st.floats(allow_nan=False, allow_infinity=False)
)
_JSON: SearchStrategy[Any] = st.recursive(
    _SCALARS | _TEXT | _ODD,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT | _ODD, inner, max_size=4),
    max_leaves=8,
)
_DATA: SearchStrategy[Any] = st.dictionaries(_NAMES, _JSON, max_size=4) | _JSON | _BIG
# Providers tell milliseconds; some of them tell more.
_TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(
    lambda time: time.replace(microsecond=time.microsecond // 1000 * 1000, tzinfo=UTC)
)
_ATTEMPTS = st.integers(1, 10) | st.none()
# An attribute is bytes where it isn't text.
_ATTRIBUTES: SearchStrategy[Mapping[str, str | bytes]] = st.dictionaries(
    st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=12).filter(lambda name: name[0].isalpha()),
    _LINE.filter(bool) | st.binary(max_size=20).map(lambda rest: b"\xff" + rest),
    max_size=4,
)
_OBJECT_KEYS = st.lists(
    st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)
    | st.sampled_from(["a b.png", "a+b.png", "100%.png", "ä.png", "日本.png", "🎉.png", "a%20b.png", "a&b=c?d#e"]),
    min_size=1,
    max_size=4,
).map("/".join)
_METADATA: SearchStrategy[Mapping[str, str]] = st.dictionaries(_NAMES, _LINE, max_size=3)
_ROWS: SearchStrategy[Mapping[str, Any]] = st.builds(
    lambda id, rest: {**rest, "id": id}, _IDS, st.dictionaries(_NAMES, _JSON, max_size=4)
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
_HEADERS: SearchStrategy[list[tuple[str, str]]] = st.lists(st.tuples(_NAMES.map(lambda name: f"x-{name}"), _LINE), max_size=4)
_COOKIES = st.none() | st.dictionaries(_NAMES, st.text(string.ascii_letters + string.digits + "=%!", max_size=12), max_size=3)
_METHODS = st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
_ADDRESSES = st.sampled_from(["203.0.113.7", "2001:db8::7"])
_BODIES: SearchStrategy[bytes | str] = _TEXT | st.binary(max_size=50) | _BIG


def messages(
    *,
    data: SearchStrategy[Any] = _DATA,
    body: SearchStrategy[bytes | str] | SearchStrategy[bytes] | SearchStrategy[str] | None = None,
    channel: SearchStrategy[str] = st.just("orders"),
    id: SearchStrategy[str] = _IDS,
    source: SearchStrategy[str | None] = st.none(),
    time: SearchStrategy[datetime | None] = _TIMES | st.none(),
    content_type: SearchStrategy[str] = st.just(""),
    attributes: SearchStrategy[Mapping[str, str | bytes]] = _ATTRIBUTES,
    subject: SearchStrategy[str] = st.just("") | _LINE,
    attempt: SearchStrategy[int | None] = _ATTEMPTS,
    key: SearchStrategy[str | None] = st.none() | _IDS,
    partition: SearchStrategy[str | None] = st.none(),
    sequence: SearchStrategy[str | None] = st.none(),
) -> SearchStrategy[Message[Any]]:
    """Messages with JSON data, unless `body` is given."""
    return st.builds(
        fake.message,
        **({"data": data} if body is None else {"body": body}),
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
