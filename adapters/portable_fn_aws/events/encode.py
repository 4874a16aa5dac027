"""Encode outcomes as the answers that AWS's event sources take."""

from __future__ import annotations

from portable_fn.errors import EncodeError, PortableError
from portable_fn.outcomes import Done, Reject, Retry, to_raise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from portable_fn.outcomes import Outcome
    from portable_fn_aws.events.decode import IncomingEvents

# A result of up to so many characters always fits.
_ALWAYS_FITS = 500_000
# The name by which a service reports that a record failed.
_NAMES: dict[str, Callable[[Any], Any]] = {
    "sqs": lambda record: record["messageId"],
    "kinesis": lambda record: (record.get("kinesis") or record)["sequenceNumber"],
    "dynamodb": lambda record: record["dynamodb"]["SequenceNumber"],
    "kafka": lambda record: {
        "partition": f"{record['topic']}-{record['partition']}",
        "offset": int(record["offset"]) if type(record["offset"]) is str else record["offset"],
    },
}


def acknowledge_all(incoming: IncomingEvents) -> Any:
    """Return the answer for a batch that succeeded, if no function returned a result."""
    return _report(incoming, []) if incoming.service in _NAMES else None


def acknowledge(
    incoming: IncomingEvents, outcomes: Sequence[Outcome], *, reports: bool, reports_always: bool = False
) -> Any:
    """Return the answer for the outcomes of all records, or a task's result.

    AWS doesn't tell whether a mapping has ReportBatchItemFailures, and without it every answer means success. So if all records
    failed, this raises.

    Args:
        incoming: The events.
        outcomes: The outcome of each record.
        reports: Report the failed records, if the service accepts that.
        reports_always: Report them even if all records failed.

    Raises:
        Exception: The error of the first failed handler, if the failed records aren't reported, or of a failed task.
    """
    if incoming.service == "invoke":
        return _task_result(incoming, outcomes[0])
    failed = [index for index, outcome in enumerate(outcomes) if isinstance(outcome, Retry)]
    results = incoming.results
    if results is None:
        results = [outcome.result if isinstance(outcome, Done) else None for outcome in outcomes]
    has_results = any(result is not None for result in results)
    if failed:
        accepts_report = incoming.service in _NAMES and (reports_always or len(failed) < len(outcomes))
        names = _names(incoming, failed) if accepts_report and reports else None
        # A pipe's enrichment returns results: the pipe would pass the report on as data.
        if names is None or (incoming.pipe and has_results):
            raise handler_error(outcomes[failed[0]])  # type: ignore[arg-type]  # a Retry
        return _report(incoming, names)
    if incoming.pipe and has_results:
        return plain_json(results)
    if incoming.service == "ses" and len(results) == 1:
        return plain_json(results[0])
    return acknowledge_all(incoming)


def _report(incoming: IncomingEvents, names: list[Any]) -> dict[str, Any]:
    """Return the answer that reports the named records as failed, with the state of a tumbling window."""
    answer: dict[str, Any] = {"batchItemFailures": [{"itemIdentifier": name} for name in names]}
    if incoming.window is not None:
        answer["state"] = plain_json(incoming.state)
    return answer


def _names(incoming: IncomingEvents, failed: list[int]) -> list[Any] | None:
    """Name the failed records: all of a queue, the first of a shard or partition; return None if one has no name."""
    read_name = _NAMES[incoming.service]
    names: list[Any] = []
    partitions = set()
    for index in failed if incoming.service in ("sqs", "kafka") else failed[:1]:
        try:
            name = read_name(incoming.records[index])
        except (LookupError, TypeError, AttributeError, ValueError):
            return None
        if incoming.service == "kafka":
            if name["partition"] in partitions:
                continue
            if type(name["offset"]) is not int:
                return None
            partitions.add(name["partition"])
        elif type(name) is not str or not name:
            return None
        names.append(name)
    return names


def _task_result(incoming: IncomingEvents, outcome: Outcome) -> Any:
    """Return the result for a task's caller.

    Raises:
        Exception: The handler's error.
    """
    if not isinstance(outcome, Done):
        raise handler_error(outcome)
    result = plain_json(outcome.result)
    # If a handler returns nothing, Firehose counts the records as failed, and keeps them.
    if result is not None and getattr(incoming.items[0], "type", "") == "firehose":
        _check_firehose(incoming.records[0], result)
    return result


def _check_firehose(payload: Any, answer: Any) -> None:
    """Raise EncodeError if Firehose would count records as failed that the handler didn't report as failed.

    https://docs.aws.amazon.com/firehose/latest/dev/data-transformation-status-model.html
    """
    records = answer.get("records") if isinstance(answer, dict) else None
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise EncodeError(
            "the answer to Firehose needs {'records': [{'recordId': …, 'result': 'Ok', 'data': base64}, …]}"
        )
    sent = payload.get("records")
    answered_ids = [record.get("recordId") for record in records]
    sent_ids = [record.get("recordId") for record in sent] if isinstance(sent, list) else []
    if (
        len(answered_ids) != len(sent_ids)
        or any(id not in sent_ids for id in answered_ids)
        or any(id not in answered_ids for id in sent_ids)
    ):
        raise EncodeError(
            f"the answer to Firehose needs each recordId once: it sent {len(sent_ids)}, the answer has {len(answered_ids)}"
        )
    for record in records:
        if record.get("result") not in ("Ok", "Dropped", "ProcessingFailed"):
            raise EncodeError(f"a result for Firehose is Ok, Dropped or ProcessingFailed, not {record.get('result')!r}")
        if record["result"] == "Ok" and not isinstance(record.get("data"), str):
            raise EncodeError("a record for Firehose with the result Ok needs its data as base64")


def handler_error(outcome: Retry | Reject) -> Exception:
    """Return the error to raise for a failure: the handler's own, whose class becomes Lambda's errorType."""
    error = outcome.cause if isinstance(outcome, Retry) else outcome
    error = to_raise(error, outcome.traceback)
    return error if isinstance(error, Exception) else as_exception(error)


def as_exception(error: BaseException) -> Exception:
    """Wrap a BaseException in an Exception of its name and message; awslambdaric would exit on it."""
    exception: Exception = type(type(error).__name__, (PortableError,), {})(*error.args)
    exception.__cause__ = error
    return exception


def plain_json(value: Any) -> Any:
    """Return the value as JSON types, which awslambdaric writes.

    Raises:
        EncodeError: JSON can't express the value, or it is too large for Lambda.
    """
    if value is None or type(value) in (int, bool) or (type(value) is str and len(value) < _ALWAYS_FITS):
        return value
    from json import loads

    from portable_fn.data import to_json

    try:
        text = to_json(value)
        plain = loads(text)
        if len(text) > _ALWAYS_FITS:
            from portable_fn_aws.limits import check_result

            check_result(plain, text)
        return plain
    except EncodeError:
        raise
    except (TypeError, ValueError, RecursionError) as exc:
        raise EncodeError(
            f"the function returned a {type(value).__name__} that can't be written as JSON: {exc}"
        ) from exc
