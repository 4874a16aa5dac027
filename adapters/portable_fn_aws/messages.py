"""SQS, SNS, Kinesis, Kafka, Amazon MQ, CloudWatch Logs and SES as messages."""

from __future__ import annotations

from binascii import a2b_base64
from types import MappingProxyType

from portable_fn.data import parse_json, to_json
from portable_fn.errors import DecodeError
from portable_fn.events import BROKEN, UNREADABLE, Message, decoded, unreadable
from portable_fn.record import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
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
    """The time of milliseconds since the epoch, a number or digits."""
    from datetime import UTC, datetime, timedelta

    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(value))


def short_name(arn: str) -> str:
    """The queue, topic or stream that an ARN ends in, without the ".fifo" that AWS wants of some names."""
    name = arn.rpartition(":")[2]
    return name.rpartition("/")[2].removesuffix(".fifo")


class SQSMessage(Message):
    """A message of a standard queue. https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html

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

    @decoded
    def content_type(self) -> str:
        sent = self.native.get("messageAttributes")
        return _content_type(sent) if sent else ""

    @decoded
    def attributes(self) -> Mapping[str, str | bytes | None]:
        attributes: dict[str, str | bytes | None] = {}
        for name, value in (self.native.get("messageAttributes") or {}).items():
            if name.lower() != "content-type":
                is_binary = value["dataType"].startswith("Binary")
                attributes[name] = (
                    a2b_base64(value["binaryValue"], strict_mode=True) if is_binary else _text(value["stringValue"])
                )
        return attributes

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

    @decoded
    def time(self) -> datetime | None:
        sent = self.native["attributes"].get("SentTimestamp")
        return None if sent is None else milliseconds(sent)

    @decoded
    def attempt(self) -> int | None:
        count = self.native["attributes"].get("ApproximateReceiveCount")
        return None if count is None else int(count)

    @property
    def carrier(self) -> Mapping[str, Any]:
        system = self.native.get("attributes")
        trace = system.get("AWSTraceHeader") if isinstance(system, dict) else None
        return self.attributes if trace is None else {**self.attributes, "x-amzn-trace-id": trace}


class FIFOMessage(SQSMessage):
    """A message of a FIFO queue, in order within its group."""

    def __init__(self, record: Record) -> None:
        super().__init__(record)
        self.key = given(record["attributes"]["MessageGroupId"], "the MessageGroupId of a record of a FIFO queue")

    @decoded
    def sequence(self) -> str | None:
        number: str | None = self.native["attributes"].get("SequenceNumber")
        return number


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
_ENVELOPE = frozenset(("TopicArn", "MessageId", "Message"))


def _published(outer: SQSMessage) -> SNSMessage | None:
    """The message that SNS put into the queue with its envelope."""
    try:
        envelope: Any = parse_json(outer.text)
    except ValueError:
        return None
    if not isinstance(envelope, dict) or envelope.get("Type") != "Notification" or not _ENVELOPE <= envelope.keys():
        return None
    return SNSMessage(envelope, envelope, outer)


class SNSMessage(Message):
    """A published message. https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html"""

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

    @decoded
    def subject(self) -> str:
        return _text(self._sns.get("Subject") or "")

    @decoded
    def text(self) -> str:
        return _text(self._sns["Message"])

    @decoded
    def body(self) -> bytes:
        text: str = self.text
        return text.encode("utf-8", "surrogatepass")

    @decoded
    def content_type(self) -> str:
        return _content_type(self._sns.get("MessageAttributes") or {})

    @decoded
    def attributes(self) -> Mapping[str, str | bytes | None]:
        attributes: dict[str, str | bytes | None] = {}
        for name, value in (self._sns.get("MessageAttributes") or {}).items():
            if name.lower() == "content-type":
                continue
            attributes[name] = _text(value["Value"])
            if value["Type"] == "Binary":
                try:
                    attributes[name] = a2b_base64(value["Value"], strict_mode=True)
                except ValueError:
                    pass  # AWS's own sample event has text here
        return attributes

    @decoded
    def time(self) -> datetime | None:
        from portable_fn.cloudevents import parse_time

        return parse_time(self._sns["Timestamp"])

    @decoded
    def attempt(self) -> int | None:
        return None if self._outer is None else self._outer.attempt

    @decoded
    def sequence(self) -> str | None:
        number: str | None = self._sns.get("SequenceNumber")
        return number

    @property
    def carrier(self) -> Mapping[str, Any]:
        return self.attributes if self._outer is None else {**self._outer.carrier, **self.attributes}


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


def _content_type(attributes: Mapping[str, Mapping[str, Any]]) -> str:
    """The content type among SQS's or SNS's attributes."""
    for name, value in attributes.items():
        if name.lower() == "content-type":
            return _text(value.get("stringValue") or value.get("Value") or "")
    return ""


class KinesisMessage(Message):
    """A record of a stream, also as EventBridge Pipes has it. https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html"""

    native: Record
    attributes: Mapping[str, str | bytes | None] | lazy[Mapping[str, str | bytes | None]] = MappingProxyType({})

    def __init__(self, record: Record) -> None:
        self.native = record
        self.id = id = record["eventID"]
        self.source = source = record["eventSourceARN"]
        if not (type(id) is type(source) is str and id and source):
            raise DecodeError("the eventID or the eventSourceARN of a Kinesis record is empty, or no text")

    @decoded
    def _kinesis(self) -> Mapping[str, Any]:
        inside: Mapping[str, Any] = self.native.get("kinesis") or self.native
        return inside

    @decoded
    def channel(self) -> str:
        return short_name(self.source)

    @decoded
    def body(self) -> bytes:
        return a2b_base64(self._kinesis["data"], strict_mode=True)

    @decoded
    def time(self) -> datetime | None:
        arrived = self._kinesis.get("approximateArrivalTimestamp")
        return None if arrived is None else milliseconds(round(arrived * 1000))

    @decoded
    def key(self) -> str | None:
        return given(self._kinesis["partitionKey"], "the partitionKey of a Kinesis record")

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
    """A record of a topic, whose coordinates are its id. https://docs.aws.amazon.com/lambda/latest/dg/with-msk.html

    A tombstone, whose value is null, has an empty body. A key that isn't UTF-8 stays in base64.
    """

    def __init__(self, record: Record, source: str) -> None:
        self.native = record
        self.source = source
        self.channel = given(record["topic"], "the topic of a Kafka record")
        partition, offset = record["partition"], record["offset"]
        if type(partition) is not int or type(offset) is not int:
            raise DecodeError("the partition or the offset of a Kafka record is no whole number")
        self.partition = str(partition)
        self.sequence = str(offset)
        self.id = f"{self.channel}-{partition}-{offset}"

    @decoded
    def body(self) -> bytes:
        value = self.native.get("value")  # type: ignore[attr-defined]  # the record that it was made of
        return b"" if value is None else a2b_base64(value, strict_mode=True)

    @decoded
    def key(self) -> str | None:
        encoded: str | None = self.native.get("key")  # type: ignore[attr-defined]  # the record that it was made of
        if encoded is None:
            return None
        try:
            return a2b_base64(encoded, strict_mode=True).decode()
        except UnicodeDecodeError:
            return encoded

    @decoded
    def time(self) -> datetime | None:
        sent = self.native.get("timestamp")  # type: ignore[attr-defined]  # the record that it was made of
        return None if sent is None else milliseconds(sent)

    @decoded
    def attributes(self) -> Mapping[str, str | bytes | None]:
        headers = self.native.get("headers") or ()  # type: ignore[attr-defined]  # the record that it was made of
        return {name: _octets(value) for header in headers for name, value in header.items()}


def kafka(record: Record, source: str) -> Item:
    """A record of a topic of that cluster."""
    try:
        return KafkaMessage(record, source)
    except BROKEN as exc:
        return unreadable(exc, "a Kafka record")


def _octets(values: Any) -> str | bytes:
    """The text of byte values, which Java has from -128 to 127; bytes where it isn't UTF-8."""
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
    """A message of an ActiveMQ broker. https://docs.aws.amazon.com/lambda/latest/dg/with-mq.html"""
    try:
        sent = record.get("timestamp")
        message = MQMessage(
            given(record["messageID"], "the messageID of an ActiveMQ message"),
            source,
            a2b_base64(record.get("data") or "", strict_mode=True),
            channel=given(record["destination"]["physicalName"], "the destination of an ActiveMQ message"),
            time=None if sent is None else milliseconds(sent),
            attributes={name: _written(value) for name, value in (record.get("properties") or {}).items()},
            attempt=1 if record.get("redelivered") is False else None,
            native=record,
        )
        message._correlation = record.get("correlationID")
    except BROKEN as exc:
        return unreadable(exc, "an ActiveMQ message")
    return message


def rabbitmq(record: Record, source: str, queue: str, fallback_id: str) -> Item:
    """A message of a RabbitMQ queue, named `queue::/host`.

    RabbitMQ has no ids of its own: where the sender gave none, the message's place in the invocation is its id.
    """
    try:
        properties = record["basicProperties"]
        message = MQMessage(
            given(properties.get("messageId") or fallback_id, "the messageId of a RabbitMQ message"),
            source,
            a2b_base64(record.get("data") or "", strict_mode=True),
            channel=queue.partition("::")[0],
            time=_java_time(properties.get("timestamp")),
            content_type=_text(properties.get("contentType") or ""),
            attributes={name: _written(value) for name, value in (properties.get("headers") or {}).items()},
            attempt=1 if record.get("redelivered") is False else None,
            native=record,
        )
        message._correlation = properties.get("correlationId")
    except BROKEN as exc:
        return unreadable(exc, "a RabbitMQ message")
    return message


def _written(value: Any) -> str | bytes:
    """A property or header as text: RabbitMQ's texts are byte values, other values are JSON."""
    if isinstance(value, dict) and isinstance(value.get("bytes"), list):
        return _octets(value["bytes"])
    return value if isinstance(value, str) else to_json(value)


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
        inflater = zlib.decompressobj(wbits=31)
        body = inflater.decompress(a2b_base64(data, strict_mode=True), MAX_LOGS)
        if inflater.unconsumed_tail:
            raise DecodeError(f"the CloudWatch Logs batch is over {MAX_LOGS} bytes")
        batch: Any = parse_json(body.decode())
        if batch["messageType"] == "CONTROL_MESSAGE":
            return None
        first = batch["logEvents"][0]
        group = given(batch["logGroup"], "the logGroup of a CloudWatch Logs batch")
        return Message(
            given(first["id"], "the id of a log event"),
            group,
            body,
            channel=group,
            time=milliseconds(first["timestamp"]),
            content_type="application/json",
            partition=_text(batch["logStream"]),
            native=batch,
        )
    except (*UNREADABLE, zlib.error) as exc:
        return unreadable(exc, "the CloudWatch Logs batch")
    except DecodeError as exc:
        return exc


def ses(record: Record) -> Item:
    """A mail that SES received, as a message whose body is the JSON about it: its text isn't there.

    The channel is its first recipient, the attributes are its headers by lower-case name, repeated ones joined by commas.
    https://docs.aws.amazon.com/ses/latest/dg/receiving-email-action-lambda-event.html
    """
    try:
        about = record["ses"]
        mail = about["mail"]
        headers: dict[str, str | bytes | None] = {}
        for header in mail.get("headers") or ():
            name, value = header["name"].lower(), _text(header["value"])
            headers[name] = f"{headers[name]!s}, {value}" if name in headers else value
        recipients = (about.get("receipt") or {}).get("recipients") or mail.get("destination") or [""]
        from portable_fn.cloudevents import parse_time

        return Message(
            given(mail["messageId"], "the messageId of a mail"),
            "aws:ses",
            # A lone surrogate becomes the escape that JSON has for it.
            to_json(about).encode("utf-8", "backslashreplace"),
            channel=_text(recipients[0]),
            time=parse_time(mail["timestamp"]),
            content_type="application/json",
            attributes=headers,
            subject=_text((mail.get("commonHeaders") or {}).get("subject") or ""),
            native=record,
        )
    except BROKEN as exc:
        return unreadable(exc, "an SES record")
