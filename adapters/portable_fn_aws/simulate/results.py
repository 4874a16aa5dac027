"""Read a function's answers as the event sources do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from portable_fn.adapter.dead_letter import ID, REASON
from portable_fn.events import Event, Task
from portable_fn.testing.results import Delivery, EventResult, Raised, reject_reason
from portable_fn_aws.events import objects
from portable_fn_aws.simulate import queues
from portable_fn_aws.simulate.events import invocations, outermost, payloads
from portable_fn_aws.simulate.queues import Queues


def results(events: Sequence[Event[Any]], service: str, answers: Sequence[Any]) -> Delivery:
    """Return the result of each event by the function's answers."""
    outcomes: list[EventResult] = [EventResult("acknowledged")] * len(events)
    sqs = queues.current.get() or Queues()
    for indices, answer in zip(invocations(events, service), answers, strict=True):
        sent = payloads([events[index] for index in indices], service)[0]
        if isinstance(events[0], Task):
            sent = [events[0].id]  # the payload is the caller's value, which may look like a list of records
        redelivered = _redelivered(sent, outermost(service), answer)
        for place, index in enumerate(indices):
            if place in redelivered:
                outcomes[index] = EventResult("retried", _delay(sent, place, sqs))
            else:
                ids = {events[index].id, *_ids(_records(sent)[place])}
                outcomes[index] = _dead_lettered(ids, sqs) or outcomes[index]
    answer = answers[0]
    if isinstance(answer, Raised):
        return Delivery(outcomes, error=(answer.name, answer.message))
    # Sources that poll or invoke asynchronously ignore the answer.
    return Delivery(outcomes, result=json.loads(json.dumps(answer)) if isinstance(events[0], Task) else None)


def _redelivered(sent: Any, service: str, answer: Any) -> set[int]:
    """Return the indices of the records that the source redelivers."""
    records = _records(sent)
    everything = set(range(len(records)))
    if isinstance(answer, Raised):
        return everything
    service = service.removeprefix("pipes_")
    if service not in ("sqs", "sqs_fifo", "kinesis", "dynamodb", "kafka", "self_managed_kafka"):
        return set()
    # Without batchItemFailures an answer means success; with an unknown name the whole batch fails:
    # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    answer = json.loads(json.dumps(answer))
    failures = answer.get("batchItemFailures") if isinstance(answer, dict) else None
    if not failures:
        return set()
    redelivered: set[int] = set()
    for failure in failures if isinstance(failures, list) else [None]:
        name = failure.get("itemIdentifier") if isinstance(failure, dict) else None
        places = [place for place, record in enumerate(records) if name and _name(record, service) == name]
        if not places:
            return everything
        if service in ("sqs", "sqs_fifo"):
            redelivered.update(places)
        else:
            redelivered.update(
                place
                for place in range(places[0], len(records))
                if "kafka" not in service or _partition(records[place]) == _partition(records[places[0]])
            )
    return redelivered


def _records(sent: Any) -> list[Any]:
    if isinstance(sent, list):
        return sent
    if isinstance(sent, dict):
        for name in ("Records", "messages", "events"):
            if isinstance(sent.get(name), list):
                return list(sent[name])
        for name in ("records", "rmqMessagesByQueue"):
            if isinstance(sent.get(name), dict):
                return [record for records in sent[name].values() for record in records]
    return [sent]


def _name(record: Any, service: str) -> Any:
    if service in ("sqs", "sqs_fifo"):
        return record["messageId"]
    if service == "kinesis":
        return (record.get("kinesis") or record)["sequenceNumber"]
    if service == "dynamodb":
        return record["dynamodb"]["SequenceNumber"]
    return {"partition": _partition(record), "offset": record["offset"]}


def _partition(record: Any) -> str:
    return f"{record['topic']}-{record['partition']}"


def _delay(sent: Any, place: int, sqs: Queues) -> float | None:
    record = _records(sent)[place]
    handle = record.get("receiptHandle") if isinstance(record, dict) else None
    return sqs.delays().get(str(handle))


def _ids(record: Any) -> set[str]:
    """Return the ids that a dead letter about the record may have."""
    if not isinstance(record, dict):
        return set()
    ids = {record.get("messageId"), record.get("eventID"), record.get("Sns", {}).get("MessageId")} - {None}
    if '"TopicArn"' in record.get("body", ""):
        ids.add(json.loads(record["body"]).get("MessageId"))
    if "s3" in record:
        # S3 sends no id.
        ids.add(getattr(objects.read_s3(record), "id", None))
    return ids | ({f"{_partition(record)}-{record['offset']}"} if "offset" in record else set())


def _dead_lettered(ids: set[str], sqs: Queues) -> EventResult | None:
    for letter in sqs.dead_letters():
        attributes = letter["MessageAttributes"]
        if attributes[ID]["StringValue"] in ids:
            return EventResult("dead-lettered", None, reject_reason(attributes[REASON]["StringValue"]))
    return None
