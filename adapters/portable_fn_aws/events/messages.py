"""SQS, SNS, Kinesis, Kafka, Amazon MQ, CloudWatch Logs and SES as messages.

What identity, order or acknowledgement depends on must be as AWS documents it, or the record is a DecodeError. The rest may be
missing, or of another type: then it is absent, or None.
"""

from __future__ import annotations

from binascii import a2b_base64
from types import MappingProxyType

from portable_fn.data import parse_json, to_json
from portable_fn.errors import DecodeError
from portable_fn.events import BROKEN, UNREADABLE, Message, decoded, join_repeated, optional, unreadable
from portable_fn.record import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime
    from typing import Any

    from portable_fn_aws.native import Record

    Item = Message[Any] | DecodeError

# What a CloudWatch Logs payload may inflate to; the payload itself is at most 6 MB.
MAX_LOGS = 64 * 1024 * 1024


def given(value: Any, what: str) -> str:
    """The text of a field that must have one; DecodeError where it is missing, empty or no text."""
    if type(value) is not str or not value:
        raise DecodeError(f"{what} is {'missing' if value is None else 'empty' if value == '' else 'no text'}")
    return value


def milliseconds(value: Any) -> datetime:
    """The time of milliseconds since the epoch, a number or its digits."""
    return since_epoch(value, "milliseconds")


def since_epoch(value: Any, unit: str) -> datetime:
    """The time of a number since the epoch, or of its digits, down to microseconds; `unit` is one of timedelta's."""
    from datetime import UTC, datetime, timedelta

    if type(value) not in (int, float):
        text = maybe_text(value)
        value = int(text) if text.isdecimal() else float(text)
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(**{unit: value})


def maybe_text(value: Any) -> str:
    """A text, "" for what is none."""
    return value if isinstance(value, str) else ""


def whole(value: Any, what: str) -> int:
    """A whole number from 0 on, or its digits; DecodeError for anything else."""
    if type(value) is str and value.isascii() and value.isdecimal() and str(int(value)) == value:
        return int(value)
    if type(value) is not int or value < 0:
        raise DecodeError(f"{what} is no whole number")
    return value


def _object(value: Any) -> Mapping[str, Any]:
    """A JSON object, an empty one for what is none."""
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _each(values: Any, read: Callable[[Any], str | bytes | None]) -> Iterator[tuple[str, str | bytes | None]]:
    """The pairs of an object, read one by one; those that can't be read are left out."""
    for name, value in _object(values).items():
        try:
            yield name, read(value)
        except BROKEN:
            continue


def short_name(arn: str) -> str:
    """The queue, topic or stream that an ARN ends in, without the ".fifo" that AWS wants of some names."""
    name = arn.rpartition(":")[2]
    return name.rpartition("/")[2].removesuffix(".fifo")


class SQSMessage(Message):
    """A message of a standard queue.

    https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html

    An attribute `content-type` is its content type.
    """

    native: Record

    def __init__(self, record: Record) -> None:
        self.native = record
        self.id = id = record["messageId"]
        self.source = source = record["eventSourceARN"]
        if not (type(id) is type(source) is str and id and source):
            raise DecodeError("the messageId or the eventSourceARN of an SQS record is empty, or no text")

    @decoded
    def channel(self) -> str:
        return short_name(self.source)

    @decoded
    def text(self) -> str:
        body: str = self.native["body"]
        if type(body) is not str:
            raise TypeError("a body that is no text")
        return body

    @decoded
    def body(self) -> bytes:
        text: str = self.text
        return text.encode("utf-8", "surrogatepass")

    @lazy
    def content_type(self) -> str:
        sent = self.native.get("messageAttributes")
        return _content_type(sent) if sent else ""

    @lazy
    def attributes(self) -> Mapping[str, str | bytes | None]:
        sent = self.native.get("messageAttributes")
        return dict(pair for pair in _each(sent, _sqs_value) if pair[0].lower() != "content-type") if sent else {}

    def read_data(self) -> Any:
        # The quick road for plain JSON, which most bodies are: without an attribute that may be `content-type`.
        record = self.native
        try:
            for name in record.get("messageAttributes") or ():
                if len(name) == 12:
                    break
            else:
                text = record["body"]
                if type(text) is str and text:
                    return parse_json(text)
        except UNREADABLE:
            pass
        return super().read_data()

    # One call less than by the kind's own, which is a twentieth of what a small message costs.
    data = lazy(read_data)

    @optional
    def time(self) -> datetime | None:
        return milliseconds(self.native["attributes"].get("SentTimestamp"))

    @optional
    def attempt(self) -> int | None:
        count = whole(self.native["attributes"]["ApproximateReceiveCount"], "the count of deliveries")
        return count or None

    @property
    def carrier(self) -> Mapping[str, Any]:
        trace = _object(self.native.get("attributes")).get("AWSTraceHeader")
        return self.attributes if trace is None else {**self.attributes, "x-amzn-trace-id": trace}


class FIFOMessage(SQSMessage):
    """A message of a FIFO queue, in order within its group."""

    def __init__(self, record: Record) -> None:
        super().__init__(record)
        self.key = given(record["attributes"]["MessageGroupId"], "the MessageGroupId of a record of a FIFO queue")

    @lazy
    def sequence(self) -> str | None:
        return maybe_text(self.native["attributes"].get("SequenceNumber")) or None


def _sqs_value(value: Any) -> str | bytes:
    """The value of an attribute of SQS's, whose type may have a label: `Number.int`, `Binary.gif`."""
    text = value.get("stringValue")
    if isinstance(text, str) and maybe_text(value.get("dataType"))[:6] != "Binary":
        return text
    return a2b_base64(value["binaryValue"], strict_mode=True)


def sqs(record: Record) -> Item:
    """A record of a standard queue; where SNS put its envelope into the body, the message that was published."""
    try:
        if '"TopicArn"' in record["body"] and (published := _published(SQSMessage(record))) is not None:
            return published
        return SQSMessage(record)
    except BROKEN as exc:
        return unreadable(exc, "an SQS record")


def sqs_fifo(record: Record) -> Item:
    """A record of a FIFO queue."""
    try:
        message = FIFOMessage(record)
        return ('"TopicArn"' in record["body"] and _published(message)) or message
    except BROKEN as exc:
        return unreadable(exc, "an SQS record")


# What every one of SNS's envelopes has; anything less is a message that only looks like one.
_ENVELOPE = ("TopicArn", "MessageId", "Message")


def _published(outer: SQSMessage) -> SNSMessage | None:
    """The message that SNS put into the queue with its envelope."""
    try:
        envelope: Any = parse_json(outer.text)
    except ValueError:
        return None
    if not isinstance(envelope, dict) or envelope.get("Type") != "Notification":
        return None
    if not all(type(envelope.get(name)) is str for name in _ENVELOPE) or not (
        envelope["TopicArn"] and envelope["MessageId"]
    ):
        return None
    return SNSMessage(envelope, envelope, outer)


class SNSMessage(Message):
    """A published message.

    https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html
    """

    def __init__(self, sns: Mapping[str, Any], native: object, outer: SQSMessage | None = None) -> None:
        self._sns = sns
        self.native = native
        self.id = given(sns["MessageId"], "the MessageId of an SNS notification")
        self.source = given(sns["TopicArn"], "the TopicArn of an SNS notification")
        self._outer = outer
        if outer is not None:
            self.envelopes = (outer,)
            self.key = outer.key

    @decoded
    def channel(self) -> str:
        return short_name(self.source)

    @lazy
    def subject(self) -> str:
        return maybe_text(self._sns.get("Subject"))

    @decoded
    def text(self) -> str:
        return _text(self._sns["Message"])

    @decoded
    def body(self) -> bytes:
        text: str = self.text
        return text.encode("utf-8", "surrogatepass")

    @lazy
    def content_type(self) -> str:
        return _content_type(self._sns.get("MessageAttributes"))

    @lazy
    def attributes(self) -> Mapping[str, str | bytes | None]:
        sent = self._sns.get("MessageAttributes")
        return dict(pair for pair in _each(sent, _sns_value) if pair[0].lower() != "content-type") if sent else {}

    @optional
    def time(self) -> datetime | None:
        from portable_fn.adapter.cloudevents import parse_time

        return parse_time(self._sns["Timestamp"])

    @lazy
    def attempt(self) -> int | None:
        return None if self._outer is None else self._outer.attempt

    @lazy
    def sequence(self) -> str | None:
        return maybe_text(self._sns.get("SequenceNumber")) or None

    @property
    def carrier(self) -> Mapping[str, Any]:
        return self.attributes if self._outer is None else {**self._outer.carrier, **self.attributes}


def _sns_value(value: Any) -> str | bytes:
    text = _text(value["Value"])
    if value.get("Type") == "Binary":
        try:
            return a2b_base64(text, strict_mode=True)
        except ValueError:
            pass  # AWS's own sample event has text here
    return text


def sns(record: Record) -> Item:
    """A record that SNS hands over itself."""
    try:
        return SNSMessage(record["Sns"], record)
    except BROKEN as exc:
        return unreadable(exc, "an SNS record")


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError("a value that is no text")
    return value


def _content_type(attributes: Any) -> str:
    """The content type among SQS's or SNS's attributes."""
    for name, value in _object(attributes).items():
        if name.lower() == "content-type":
            sent = _object(value)
            return maybe_text(sent.get("stringValue") or sent.get("Value"))
    return ""


class KinesisMessage(Message):
    """A record of a stream, also as EventBridge Pipes has it.

    https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html
    """

    native: Record
    attributes: Mapping[str, str | bytes | None] | lazy[Mapping[str, str | bytes | None]] = MappingProxyType({})

    def __init__(self, record: Record) -> None:
        self.native = record
        self.id = id = record["eventID"]
        self.source = source = record["eventSourceARN"]
        if not (type(id) is type(source) is str and id and source):
            raise DecodeError("the eventID or the eventSourceARN of a Kinesis record is empty, or no text")

    @lazy
    def _kinesis(self) -> Mapping[str, Any]:
        return _object(self.native.get("kinesis")) or self.native

    @decoded
    def channel(self) -> str:
        return short_name(self.source)

    @decoded
    def body(self) -> bytes:
        return a2b_base64(self._kinesis["data"], strict_mode=True)

    @optional
    def time(self) -> datetime | None:
        return since_epoch(self._kinesis.get("approximateArrivalTimestamp"), "seconds")

    @lazy
    def key(self) -> str | None:
        return maybe_text(self._kinesis.get("partitionKey")) or None

    @decoded
    def partition(self) -> str | None:
        shard, colon, _ = self.id.rpartition(":")
        return shard if colon else None

    @decoded
    def sequence(self) -> str | None:
        return given(self._kinesis["sequenceNumber"], "the sequenceNumber of a Kinesis record")


def kinesis(record: Record) -> Item:
    """A record of a stream."""
    try:
        return KinesisMessage(record)
    except BROKEN as exc:
        return unreadable(exc, "a Kinesis record")


class KafkaMessage(Message):
    """A record of a topic, whose coordinates are its id.

    https://docs.aws.amazon.com/lambda/latest/dg/with-msk.html

    Partition and offset are numbers, or texts of digits, as AWS's guide to Pipes has them. A tombstone, whose value is null, has
    an empty body. A key that isn't UTF-8 stays in base64. A header that is null is None; those of one name are joined.
    """

    def __init__(self, record: Record, source: str) -> None:
        self.native = record
        self.source = source
        self.channel = given(record["topic"], "the topic of a Kafka record")
        partition, offset = record["partition"], record["offset"]
        if type(partition) is not int or type(offset) is not int or partition < 0 or offset < 0:
            partition = whole(partition, "the partition of a Kafka record")
            offset = whole(offset, "the offset of a Kafka record")
        self.partition = str(partition)
        self.sequence = str(offset)
        self.id = f"{self.channel}-{partition}-{offset}"

    @decoded
    def body(self) -> bytes:
        value = self.native.get("value")  # type: ignore[attr-defined]  # the record that it was made of
        return b"" if value is None else a2b_base64(value, strict_mode=True)

    @optional
    def key(self) -> str | None:
        encoded: str | None = self.native.get("key")  # type: ignore[attr-defined]  # the record that it was made of
        if encoded is None:
            return None
        try:
            return a2b_base64(encoded, strict_mode=True).decode()
        except UnicodeDecodeError:
            return encoded

    @optional
    def time(self) -> datetime | None:
        return milliseconds(self.native.get("timestamp"))  # type: ignore[attr-defined]  # the record that it was made of

    @lazy
    def attributes(self) -> Mapping[str, str | bytes | None]:
        headers = self.native.get("headers")  # type: ignore[attr-defined]  # the record that it was made of
        return join_repeated(pair for header in _list(headers) for pair in _each(header, _octets)) if headers else {}


def kafka(record: Record, source: str) -> Item:
    """A record of a topic of that cluster."""
    try:
        return KafkaMessage(record, source)
    except BROKEN as exc:
        return unreadable(exc, "a Kafka record")


def _octets(values: Any) -> str | bytes | None:
    """The text of byte values, which Java has from -128 to 127; bytes where it isn't UTF-8; None for null."""
    if values is None:
        return None
    octets = bytes(value & 255 for value in values)
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets


class MQMessage(Message):
    """A message of a broker."""

    _correlation: str | None = None

    @property
    def carrier(self) -> Mapping[str, Any]:
        return self.attributes if not self._correlation else {**self.attributes, "x-correlation-id": self._correlation}


def activemq(record: Record, source: str) -> Item:
    """A message of an ActiveMQ broker.

    https://docs.aws.amazon.com/lambda/latest/dg/with-mq.html

    AWS's guides write `physicalName` and `physicalname`, `correlationID` and `correlationId`.
    """
    try:
        message = MQMessage(
            given(_any_case(record, "messageid"), "the messageID of an ActiveMQ message"),
            source,
            a2b_base64(record.get("data") or "", strict_mode=True),
            channel=maybe_text(_any_case(_object(record.get("destination")), "physicalname")),
            time=maybe_time(milliseconds, record.get("timestamp")),
            attributes=dict(_each(record.get("properties"), _written)),
            attempt=1 if record.get("redelivered") is False else None,
            native=record,
        )
        message._correlation = maybe_text(_any_case(record, "correlationid"))
    except BROKEN as exc:
        return unreadable(exc, "an ActiveMQ message")
    return message


def rabbitmq(record: Record, source: str, queue: str, fallback_id: str) -> Item:
    """A message of a RabbitMQ queue, named `queue::/host`.

    RabbitMQ has no ids of its own: where the sender gave none, the message's place in the invocation is its id.
    """
    try:
        properties = _object(record.get("basicProperties"))
        message = MQMessage(
            given(properties.get("messageId") or fallback_id, "the messageId of a RabbitMQ message"),
            source,
            a2b_base64(record.get("data") or "", strict_mode=True),
            channel=queue.partition("::")[0],
            time=maybe_time(_java_time, properties.get("timestamp")),
            content_type=maybe_text(properties.get("contentType")),
            attributes=dict(_each(properties.get("headers"), _written)),
            attempt=1 if record.get("redelivered") is False else None,
            native=record,
        )
        message._correlation = maybe_text(properties.get("correlationId"))
    except BROKEN as exc:
        return unreadable(exc, "a RabbitMQ message")
    return message


def _any_case(record: Mapping[str, Any], name: str) -> Any:
    """The member of that lower-case name, whatever capitals it is written with."""
    return next((value for known, value in record.items() if known.lower() == name), None)


def maybe_time(read: Callable[[Any], datetime | None], value: Any) -> datetime | None:
    """What `read` makes of the value; None if it can't be read."""
    try:
        return read(value)
    except BROKEN:
        return None


def _written(value: Any) -> str | bytes | None:
    """A property or header as text: RabbitMQ's texts are byte values, other values are JSON; None for null."""
    if isinstance(value, dict) and isinstance(value.get("bytes"), list):
        return _octets(value["bytes"])
    return value if value is None or isinstance(value, str) else to_json(value)


def _java_time(text: Any) -> datetime | None:
    """The time that Lambda writes as `Jan 1, 1970, 12:33:41 AM`; newer Javas have a narrow space before AM."""
    if not text:
        return None
    from datetime import UTC, datetime

    return datetime.strptime(" ".join(text.split()), "%b %d, %Y, %I:%M:%S %p").replace(tzinfo=UTC)


def logs(data: Any) -> Message | DecodeError | None:
    """A CloudWatch Logs batch as one message whose body is the batch's JSON; None for a mere check of the subscription.

    Its id is the first log event's. https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html
    """
    import zlib

    try:
        body = unzipped(a2b_base64(data, strict_mode=True))
        batch: Any = parse_json(body.decode())
        return None if batch["messageType"] == "CONTROL_MESSAGE" else logs_message(batch, body)
    except (*UNREADABLE, zlib.error) as exc:
        return unreadable(exc, "the CloudWatch Logs batch")
    except DecodeError as exc:
        return exc


def unzipped(data: bytes) -> bytes:
    """A batch of CloudWatch Logs without its gzip; DecodeError if it is too large, zlib.error if it is no gzip."""
    import zlib

    inflater = zlib.decompressobj(wbits=31)
    body = inflater.decompress(data, MAX_LOGS)
    if inflater.unconsumed_tail:
        raise DecodeError(f"the CloudWatch Logs batch is over {MAX_LOGS} bytes")
    return body


def logs_message(batch: Any, body: bytes) -> Message[Any]:
    """The message of a batch of CloudWatch Logs whose text is the body."""
    first = batch["logEvents"][0]
    group = given(batch["logGroup"], "the logGroup of a CloudWatch Logs batch")
    return Message(
        given(first["id"], "the id of a log event"),
        group,
        body,
        channel=group,
        time=maybe_time(milliseconds, first.get("timestamp")),
        content_type="application/json",
        partition=maybe_text(batch.get("logStream")) or None,
        native=batch,
    )


def ses(record: Record) -> Item:
    """A mail that SES received, as a message whose body is the JSON about it: its text isn't there.

    The channel is its first recipient, the attributes are its headers by lower-case name, repeated ones joined by commas.
    https://docs.aws.amazon.com/ses/latest/dg/receiving-email-action-lambda-event.html
    """
    try:
        about = record["ses"]
        mail = about["mail"]
        headers = map(_object, _list(mail.get("headers")))
        recipients = _list(_object(about.get("receipt")).get("recipients")) or _list(mail.get("destination")) or [""]
        from portable_fn.adapter.cloudevents import parse_time

        return Message(
            given(mail["messageId"], "the messageId of a mail"),
            "aws:ses",
            # A lone surrogate becomes the escape that JSON has for it.
            to_json(about).encode("utf-8", "backslashreplace"),
            channel=maybe_text(recipients[0]),
            time=maybe_time(parse_time, mail.get("timestamp")),
            content_type="application/json",
            attributes=join_repeated(
                (name.lower(), value)
                for header in headers
                if (name := maybe_text(header.get("name"))) and isinstance(value := header.get("value"), str)
            ),
            subject=maybe_text(_object(mail.get("commonHeaders")).get("subject")),
            native=record,
        )
    except BROKEN as exc:
        return unreadable(exc, "an SES record")
