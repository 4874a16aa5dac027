"""Unpack records of Kinesis that hold messages: aggregates of the Kinesis Producer Library, and batches of CloudWatch Logs.

Handlers get the messages. Kinesis knows only the record: if one of its messages is retried, the whole record is redelivered.

https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md and
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from portable_fn.data import parse_json
from portable_fn.errors import DecodeError
from portable_fn.events import BROKEN, Message
from portable_fn.outcomes import DONE, Done, Reject, Retry
from portable_fn.record import lazy
from portable_fn_aws.events.logs import message_of, unzip
from portable_fn_aws.events.messages import KinesisMessage, maybe_text, read_kinesis

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from typing import Any

    from portable_fn.events import Event
    from portable_fn.outcomes import Outcome

    Item = Event[Any] | DecodeError

_MAGIC = b"\xf3\x89\x9a\xc2"
_MD5 = 16
# The limit of messages in one invocation; they take some 30 MB of memory. By default the library makes records of 50 KB. Six
# megabytes could hold 750,000 empty messages.
MAX_MESSAGES = 100_000
# The first bytes of a batch of logs, which tell what it is; a check of the subscription is shorter.
_PEEK = 4096


class Unpacked(Sequence["Item"]):
    """The messages of all records, each decoded on access. `places` has the index of each message's record.

    Records beyond MAX_MESSAGES are DecodeErrors: they are redelivered after the records before them are handled.
    """

    def __init__(self, records: list[Any]) -> None:
        self.places: list[int] = []
        self._holders: list[_Holder] = []
        self._starts: list[int] = []
        for place, record in enumerate(records):
            holder = _holder(record)
            if len(self.places) + holder.count > MAX_MESSAGES:
                holder = _Refused(record)
            self._holders.append(holder)
            self._starts.append(len(self.places))
            self.places += [place] * holder.count

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[Item]:
        return (holder.message(number) for holder in self._holders for number in range(holder.count))

    def __getitem__(self, index: Any) -> Any:
        place = self.places[index]
        return self._holders[place].message(index - self._starts[place])


def merge(outcomes: Sequence[Outcome], places: Sequence[int], count: int) -> list[Outcome]:
    """Return the outcome of each record: retried if one of its messages is, otherwise rejected if one is.

    A record without a message is done; but if all others are retried, it is retried too, and the whole batch fails.
    """
    of_records: list[list[Outcome]] = [[] for _ in range(count)]
    for place, outcome in zip(places, outcomes, strict=True):
        of_records[place].append(outcome)
    merged = [_of_record(outcomes) for outcomes in of_records if outcomes]
    empty = merged[0] if merged and all(isinstance(outcome, Retry) for outcome in merged) else DONE
    rest = iter(merged)
    return [next(rest) if outcomes else empty for outcomes in of_records]


def _of_record(outcomes: list[Outcome]) -> Outcome:
    for kind in (Retry, Reject, Done):
        for outcome in outcomes:
            if isinstance(outcome, kind) and outcome is not DONE:
                return outcome
    return DONE


class _Holder:
    """A record that holds only its own message."""

    count = 1

    def __init__(self, record: Any) -> None:
        self.record = record

    def message(self, number: int) -> Item:
        return read_kinesis(self.record)


class _Refused(_Holder):
    """A record that is refused because the batch would hold too many messages."""

    def message(self, number: int) -> Item:
        return DecodeError(f"a batch of Kinesis records holds over {MAX_MESSAGES} messages")


def _holder(record: Any) -> _Holder:
    """Return the holder of a record's messages; a record that only looks packed holds itself."""
    outer = read_kinesis(record)
    if isinstance(outer, KinesisMessage):
        try:
            data = outer.body
        except DecodeError:
            data = b""
        if data[:4] == _MAGIC:
            return _aggregate(outer, data) or _Holder(record)
        if data[:3] == b"\x1f\x8b\x08" and (kind := _kind_of_logs(data)):
            return _Logs(record, kind)
    return _Holder(record)


# --- CloudWatch Logs ---------------------------------------------------------------------------------------------------


class _Logs(_Holder):
    """A record that seems to hold a batch of logs; the check of a subscription holds no message."""

    def __init__(self, record: Any, kind: str) -> None:
        self.record = record
        self.count = 0 if kind == "CONTROL_MESSAGE" else 1

    def message(self, number: int) -> Item:
        outer: Any = read_kinesis(self.record)
        try:
            body = unzip(outer.body)
            if (batch := _batch(body)) is not None:
                message = message_of(batch, body)
                message.envelopes = (outer,)
                message.key = outer.key
                message.sequence = maybe_text(outer._kinesis.get("sequenceNumber")) or None
                return message
        except (*BROKEN, zlib.error):
            pass
        # Another sender's data looks like a batch.
        return outer  # type: ignore[no-any-return]  # a message


def _kind_of_logs(data: bytes) -> str:
    """Return the messageType of a batch of logs by its first bytes; "" if the data isn't a batch."""
    try:
        start = zlib.decompressobj(wbits=31).decompress(data, _PEEK)
    except zlib.error:
        return ""
    if not any(name in start for name in (b'"messageType"', b'"logEvents"', b'"logGroup"')):
        return ""
    batch = _batch(start) if len(start) < _PEEK else None
    return "DATA_MESSAGE" if batch is None else str(batch["messageType"])


def _batch(body: bytes) -> dict[str, Any] | None:
    """Return the batch of logs in a text; None for any other text."""
    try:
        batch = parse_json(body.decode())
    except ValueError:
        return None
    if not isinstance(batch, dict) or batch.get("messageType") not in ("DATA_MESSAGE", "CONTROL_MESSAGE"):
        return None
    return batch if isinstance(batch.get("logEvents"), list) and isinstance(batch.get("logGroup"), str) else None


# --- the Kinesis Producer Library --------------------------------------------------------------------------------------


class UserRecord(Message):
    """A message of an aggregated record: `id` is the record's id with the message's number, `attributes` are its tags.

    Sequence number, time and shard are the record's. An explicit hash key is the attribute ExplicitHashKey.
    """

    def __init__(
        self, outer: KinesisMessage, number: int, key: str, body: bytes, attributes: dict[str, str | bytes | None]
    ) -> None:
        self.native = outer.native
        self.envelopes = (outer,)
        self.id = f"{outer.id}:{number}"
        self.source = outer.source
        self.key = key
        self.body = body
        self.attributes = attributes
        self._outer = outer

    @lazy
    def channel(self) -> str:
        channel: str = self._outer.channel
        return channel

    @lazy
    def time(self) -> datetime | None:
        time: datetime | None = self._outer.time
        return time

    @lazy
    def partition(self) -> str | None:
        partition: str | None = self._outer.partition
        return partition

    @lazy
    def sequence(self) -> str | None:
        sequence: str | None = self._outer.sequence
        return sequence


class _Aggregate(_Holder):
    """An aggregated record.

    Raises:
        ValueError, LookupError: Its protobuf is malformed.
    """

    def __init__(self, outer: KinesisMessage, data: bytes, end: int) -> None:
        self._outer = outer
        self._data = data
        self._keys: list[str] = []
        self._hash_keys: list[str] = []
        # For each message: the indices of its keys, the start and end of its data, and its tags.
        self._messages: list[tuple[int, int | None, int, int, dict[str, str] | None]] = []
        for number, start, stop in _fields(data, len(_MAGIC), end):
            if number == 1:
                self._keys.append(_text(data, start, stop))
            elif number == 2:
                self._hash_keys.append(_text(data, start, stop))
            elif number == 3:
                self._messages.append(_message(data, start, stop))
                if len(self._messages) > MAX_MESSAGES:
                    break  # the record is refused, however many more it has
            if len(self._keys) + len(self._hash_keys) > 2 * MAX_MESSAGES:
                raise ValueError("more keys than messages")
        self.count = len(self._messages)
        highest = max((key for key, *_ in self._messages), default=-1)
        highest_hash = max((hash_key for _, hash_key, *_ in self._messages if hash_key is not None), default=-1)
        if self.count > MAX_MESSAGES:
            return
        if highest >= len(self._keys) or highest_hash >= len(self._hash_keys):
            raise LookupError("a message names a missing key")

    def message(self, number: int) -> UserRecord:
        key, hash_key, start, end, tags = self._messages[number]
        attributes: dict[str, str | bytes | None] = {} if tags is None else {**tags}
        if hash_key is not None:
            attributes["ExplicitHashKey"] = self._hash_keys[hash_key]
        return UserRecord(self._outer, number, self._keys[key], self._data[start:end], attributes)


def _message(data: bytes, start: int, stop: int) -> tuple[int, int | None, int, int, dict[str, str] | None]:
    key = content = -1
    end = hash_key = tags = None
    for number, at, last in _fields(data, start, _after(start, stop)):
        if number == 1:
            key = _whole(at, last)
        elif number == 2:
            hash_key = _whole(at, last)
        elif number == 3:
            content, end = at, _after(at, last)
        elif number == 4:
            tag = {part: _text(data, first, final) for part, first, final in _fields(data, at, _after(at, last))}
            tags = tags or {}
            tags[tag[1]] = tag.get(2, "")
    if key < 0 or end is None:
        raise ValueError("a message lacks its key or data")
    return key, hash_key, content, end, tags


def _aggregate(outer: KinesisMessage, data: bytes) -> _Aggregate | None:
    """Return an aggregated record; None if the data only starts like one: Kinesis's libraries take that as plain data."""
    from hashlib import md5

    end = len(data) - _MD5
    if end <= len(_MAGIC) or md5(data[len(_MAGIC) : end], usedforsecurity=False).digest() != data[end:]:
        return None
    try:
        return _Aggregate(outer, data, end)
    except (ValueError, LookupError):
        return None


def _fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield the fields of a protobuf message: number, start and end of its bytes; or number, value and -1 of an integer.

    https://protobuf.dev/programming-guides/encoding/

    Raises:
        ValueError: The message is malformed.
    """
    while at < end:
        tag, at = _varint(data, at, end)
        kind = tag & 7
        size = 0
        if kind == 0:
            value, at = _varint(data, at, end)
            yield tag >> 3, value, -1
        elif kind == 2:
            size, at = _varint(data, at, end)
        elif kind == 1 or kind == 5:
            size = 8 if kind == 1 else 4
        else:
            raise ValueError("the wire type is unknown")
        if size > end - at or tag < 8:
            raise ValueError("a field is cut off, or lacks a number")
        if kind:
            yield tag >> 3, at, at + size
        at += size


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        octet = data[at]
        at += 1
        value |= (octet & 127) << shift
        if octet < 128:
            return value, at
    raise ValueError("a number is cut off, or too long")


def _after(start: int, end: int) -> int:
    """Return the end of a field's bytes; raise ValueError for an integer."""
    if end < 0:
        raise ValueError(f"the field is the number {start}, not bytes")
    return end


def _text(data: bytes, start: int, end: int) -> str:
    return data[start : _after(start, end)].decode()


def _whole(value: int, end: int) -> int:
    if end >= 0:
        raise ValueError("the field is bytes, not a number")
    return value
