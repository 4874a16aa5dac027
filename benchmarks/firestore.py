"""Measure how an event's two Firestore documents become plain Python, beside Google's classes."""

from __future__ import annotations

from contextlib import ExitStack
from operator import truediv
from typing import Any

from benchmarks.overhead import BLOCK, process
from benchmarks.report import Goal, Section, Table, median, paired
from benchmarks.staging import Staged

PORTABLE, UPB, PROTO_PLUS = "portable_fn", "google's classes, upb", "google-events, proto-plus"
CONTENDERS = {PORTABLE: "portable_firestore", UPB: "google_upb", PROTO_PLUS: "google_proto_plus"}
EVENT = "update"


def measure(code: Staged, quick: bool) -> Section:
    """Measure the decoding of one event."""
    rounds = 5 if quick else 60
    section = Section(
        "An update of a document of ten fields, from protobuf to both documents as plain Python, in one environment; "
        f"{rounds} blocks of {BLOCK * 1000:.0f} ms, taking turns; microseconds of CPU time. portable_fn's decoder is Python without a "
        "dependency, Google's parser is C, whose values are then read by Python."
    )
    with ExitStack() as stack:
        processes = {
            name: stack.enter_context(process(code, "firestore", module, "firestore_events", provider="firestore"))
            for name, module in CONTENDERS.items()
        }
        answers = {name: contender.answer(EVENT) for name, contender in processes.items()}
        for name, answer in answers.items():
            assert answer == answers[PORTABLE], f"{name} read {answer}, not {answers[PORTABLE]}"
        samples: dict[str, list[float]] = {name: [] for name in processes}
        for contender in processes.values():
            contender.seconds(EVENT, 500)  # The interpreter specialises its bytecode meanwhile.
        for _ in range(rounds):
            for name, contender in processes.items():
                samples[name].append(contender.seconds(EVENT, 400) * 1e6)
    rows: list[list[Any]] = [
        [name, median(taken), min(taken), paired(taken, samples[PORTABLE], truediv)] for name, taken in samples.items()
    ]
    section.tables.append(Table("One Firestore event", ["", "median", "least", "times portable_fn"], rows, digits=2))
    faster = paired(samples[PROTO_PLUS], samples[PORTABLE], truediv)
    section.goals.append(Goal(f"Firestore: faster than {PROTO_PLUS}", faster, 1.0, "times", at_least=True))
    return section
