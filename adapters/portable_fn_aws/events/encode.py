"""What becomes of events as AWS's event sources take it."""

from __future__ import annotations

from portable_fn.errors import EncodeError, PortableError
from portable_fn.outcomes import Done, Retry, to_raise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from portable_fn.outcomes import Outcome
    from portable_fn_aws.events.decode import IncomingEvents

# A result of as many characters is in no case too large.
_SURE = 500_000
# How AWS names a record when it is told that it failed.
_NAMES: dict[str, Callable[[Any], Any]] = {
    "sqs": lambda record: record["messageId"],
    "kinesis": lambda record: (record.get("kinesis") or record)["sequenceNumber"],
    "dynamodb": lambda record: record["dynamodb"]["SequenceNumber"],
    "kafka": lambda record: {
        "partition": f"{record['topic']}-{record['partition']}",
        "offset": int(record["offset"]) if type(record["offset"]) is str else record["offset"],
    },
}


def success(arrival: IncomingEvents) -> Any:
    """The answer where all is done, and no function returned anything."""
    return _of_batch(arrival, []) if arrival.service in _NAMES else None


def _of_batch(arrival: IncomingEvents, names: list[Any]) -> dict[str, Any]:
    """The answer of a batch of which these records failed, with the state of its tumbling window."""
    answer: dict[str, Any] = {"batchItemFailures": [{"itemIdentifier": name} for name in names]}
    if arrival.window is not None:
        answer["state"] = plain(arrival.state)
    return answer


def answer(arrival: IncomingEvents, outcomes: Sequence[Outcome], *, report: bool, always: bool = False) -> Any:
    """The answer; raises what the first failed handler raised if the source takes nothing less, or if `report` is false.

    If every event failed it raises too, unless `always`: AWS doesn't tell whether ReportBatchItemFailures is set, and without it
    whatever is answered means success.
    """
    service = arrival.service
    if service == "invoke":
        return _result(arrival, outcomes[0])
    failed = [index for index, outcome in enumerate(outcomes) if isinstance(outcome, Retry)]
    results = arrival.results
    if results is None:
        results = [outcome.result if isinstance(outcome, Done) else None for outcome in outcomes]
    if failed:
        some = always or len(failed) < len(outcomes)
        names = _names(arrival, failed) if service in _NAMES and some and report else None
        # Results are of a pipe's enrichment, which would pass a report of failures on as data.
        if names is None or (arrival.pipe and any(result is not None for result in results)):
            raise error_of(outcomes[failed[0]])
        return _of_batch(arrival, names)
    if arrival.pipe and any(result is not None for result in results):
        return plain(results)
    if service == "ses" and len(results) == 1:
        return plain(results[0])
    return success(arrival)


def _names(arrival: IncomingEvents, failed: list[int]) -> list[Any] | None:
    """Return the names of the failed records: all of a queue, the first of each shard or partition.

    None means that one of them has no name.
    """
    name = _NAMES[arrival.service]
    names: list[Any] = []
    seen = set()
    for index in failed if arrival.service in ("sqs", "kafka") else failed[:1]:
        try:
            found = name(arrival.records[index])
        except (LookupError, TypeError, AttributeError, ValueError):
            return None
        if arrival.service == "kafka":
            if found["partition"] in seen or type(found["offset"]) is not int:
                if found["partition"] in seen:
                    continue
                return None
            seen.add(found["partition"])
        elif type(found) is not str or not found:
            return None
        names.append(found)
    return names


def _result(arrival: IncomingEvents, outcome: Outcome) -> Any:
    """What a task's caller gets; raises what its handler raised."""
    if not isinstance(outcome, Done):
        raise error_of(outcome)
    result = plain(outcome.result)
    # A handler that returns nothing, such as one for any event, has Firehose keep the records as failed, which loses none.
    if result is not None and getattr(arrival.items[0], "type", "") == "firehose":
        _check_firehose(arrival.records[0], result)
    return result


def _check_firehose(payload: Any, answer: Any) -> None:
    """Raises EncodeError where Firehose would count records as failed that nobody said had failed.

    https://docs.aws.amazon.com/firehose/latest/dev/data-transformation-status-model.html
    """
    records = answer.get("records") if isinstance(answer, dict) else None
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise EncodeError("Firehose takes {'records': [{'recordId': …, 'result': 'Ok', 'data': base64}, …]}")
    sent = payload.get("records")
    given = [record.get("recordId") for record in records]
    wanted = [record.get("recordId") for record in sent] if isinstance(sent, list) else []
    if len(given) != len(wanted) or any(id not in wanted for id in given) or any(id not in given for id in wanted):
        raise EncodeError(f"Firehose takes each recordId once: {len(wanted)} came, {len(given)} are answered")
    for record in records:
        if record.get("result") not in ("Ok", "Dropped", "ProcessingFailed"):
            raise EncodeError(f"Firehose's result is Ok, Dropped or ProcessingFailed, not {record.get('result')!r}")
        if record["result"] == "Ok" and not isinstance(record.get("data"), str):
            raise EncodeError("Firehose takes base64 as the data of a record that is Ok")


def error_of(outcome: Outcome) -> Exception:
    """The error by which Lambda is to know a failure: the handler's own, whose class is its errorType."""
    error: BaseException | None = outcome.error if isinstance(outcome, Retry) else None
    if error is None:
        error = outcome if isinstance(outcome, Exception) else EncodeError("the function has not failed")
    error = to_raise(error, getattr(outcome, "traceback", None))
    return error if isinstance(error, Exception) else told(error)


def told(error: BaseException) -> Exception:
    """What tells the class's name and the message of an error that is no Exception, by which awslambdaric's process ends."""
    raised: Exception = type(type(error).__name__, (PortableError,), {})(*error.args)
    raised.__cause__ = error
    return raised


def plain(value: Any) -> Any:
    """Return a value that awslambdaric can write as JSON.

    Raises:
        EncodeError: JSON has no form for the value, or it is larger than Lambda accepts.
    """
    if value is None or type(value) in (int, bool) or (type(value) is str and len(value) < _SURE):
        return value
    from json import loads

    from portable_fn.data import to_json

    try:
        text = to_json(value)
        found = loads(text)
        if len(text) > _SURE:
            from portable_fn_aws.limits import check

            check(found, text)
        return found
    except EncodeError:
        raise
    except (TypeError, ValueError, RecursionError) as exc:
        raise EncodeError(
            f"the function returned a {type(value).__name__} that can't be written as JSON: {exc}"
        ) from exc
