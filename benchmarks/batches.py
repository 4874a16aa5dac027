"""Measure what SQS messages, Kinesis records and changed rows cost besides the handler's own work."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from operator import truediv
from typing import Any

from benchmarks.overhead import BLOCK, Contender, compared, process, sampled
from benchmarks.report import Goal, Section, Table, paired
from benchmarks.staging import Staged

HAND_WRITTEN, PORTABLE, POWERTOOLS = "hand-written loop", "portable_fn", "Powertools BatchProcessor"
HAND_WRITTEN_ASYNC, PORTABLE_ASYNC = "hand-written async loop", "portable_fn, async handler"
CONTENDERS = {
    HAND_WRITTEN: "hand_written_batches",
    HAND_WRITTEN_ASYNC: "hand_written_async_batches",
    PORTABLE: "portable_batches",
    PORTABLE_ASYNC: "portable_async_batches",
    POWERTOOLS: "powertools_batches",
}
EVENTS = {
    "sqs10": "SQS, 10 messages",
    "sqs100": "SQS, 100 messages",
    "kinesis100": "Kinesis, 100 records",
    "dynamodb100": "DynamoDB stream, 100 rows with both images",
}
MANY = "sqs10000"

MOST_TIMES_HAND_WRITTEN_ASYNC, MOST_TIMES_SYNC = 1.5, 2.0
MOST_TIMES_HAND_WRITTEN, LEAST_POWERTOOLS, MOST_TIMES_PER_MESSAGE, MOST_TIMES_PAYLOAD = 1.5, 1.0, 1.2, 2.0


def measure(code: Staged, quick: bool) -> Section:
    """Measure one call of each contender's Lambda handler."""
    rounds = 5 if quick else 60
    section = Section(
        "One call of the Lambda handler with a parsed payload. All decode each body (base64 and JSON, or DynamoDB's attribute values, "
        "numbers as Decimal), catch each failure and report it; here none fails. Each contender in its own process, "
        f"{rounds} blocks of {BLOCK * 1000:.0f} ms at least, taking turns; microseconds of CPU time. “over” and “times” are medians within a round."
    )
    with ExitStack() as stack:
        processes = {
            name: stack.enter_context(process(code, "batches", module, "batches"))
            for name, module in CONTENDERS.items()
        }
        for event, described in EVENTS.items():
            _check(processes, event)
            _event(section, processes, event, described, rounds)
        _linear(section, processes[PORTABLE], rounds)
        _memory(section, processes)
    return section


def _check(processes: dict[str, Contender], event: str) -> None:
    """Check that all contenders read the same."""
    answers = {name: contender.answer(event) for name, contender in processes.items()}
    for name, answer in answers.items():
        assert answer == answers[HAND_WRITTEN], f"{name} answered {event} with {answer}, not {answers[HAND_WRITTEN]}"


def _event(section: Section, processes: dict[str, Contender], event: str, described: str, rounds: int) -> None:
    samples = sampled(processes, event, rounds, warm=50)
    section.tables.append(compared(described, samples, HAND_WRITTEN))
    own = paired(samples[PORTABLE], samples[HAND_WRITTEN], truediv)
    section.goals.append(Goal(f"{described}: beside hand-written", own, MOST_TIMES_HAND_WRITTEN, "times"))
    _async_goals(section, samples, described)
    faster = paired(samples[POWERTOOLS], samples[PORTABLE], truediv)
    section.goals.append(Goal(f"{described}: faster than Powertools", faster, LEAST_POWERTOOLS, "times", at_least=True))


def _async_goals(section: Section, samples: dict[str, list[float]], described: str) -> None:
    """Measure an async handler that waits for nothing."""
    ours = samples[PORTABLE_ASYNC]
    beside = paired(ours, samples[HAND_WRITTEN_ASYNC], truediv)
    section.goals.append(
        Goal(f"{described}, async: beside hand-written async", beside, MOST_TIMES_HAND_WRITTEN_ASYNC, "times")
    )
    sync = paired(ours, samples[PORTABLE], truediv)
    section.goals.append(Goal(f"{described}, async: beside the sync handler", sync, MOST_TIMES_SYNC, "times"))


def _linear(section: Section, contender: Contender, rounds: int) -> None:
    """Compare the cost of a message among 10,000 with that of one among 100."""
    few, many = [], []
    for _ in range(max(3, rounds // 4)):
        few.append(contender.seconds("sqs100", 100) / 100)
        many.append(contender.seconds(MANY, 1) / 10_000)
    ratio = paired(many, few, truediv)
    section.goals.append(
        Goal("SQS, a message among 10,000 beside one among 100", ratio, MOST_TIMES_PER_MESSAGE, "times")
    )


def _memory(section: Section, processes: dict[str, Contender]) -> None:
    """Compare the peak memory of 10,000 messages with the size of the payload as Python objects."""
    from benchmarks.inside.batches import EVENTS as SENT

    payload = _size(SENT[MANY])
    rows: list[list[Any]] = []
    for name, contender in processes.items():
        rows.append([name, contender.peak(MANY) / 1e6, contender.peak(MANY) / payload])
    section.tables.append(
        Table(
            f"Memory: 10,000 SQS messages, a payload of {payload / 1e6:.1f} MB as objects ({len(json.dumps(SENT[MANY])) / 1e6:.1f} MB as JSON)",
            ["", "most allocated, MB", "times payload"],
            rows,
            digits=2,
        )
    )
    own = rows[list(processes).index(PORTABLE)][2]
    section.goals.append(Goal("Memory beside the payload's", own, MOST_TIMES_PAYLOAD, "times"))


def _size(value: Any) -> int:
    """Return the bytes of a JSON value's objects."""
    size = sys.getsizeof(value)
    if isinstance(value, dict):
        size += sum(_size(each) for each in value.values())
    elif isinstance(value, list):
        size += sum(map(_size, value))
    return size
