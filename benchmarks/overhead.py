"""Measure the overhead: what one API Gateway request costs besides the handler's own work."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from operator import sub, truediv
from typing import Any

from benchmarks.report import Goal, Section, Table, median, paired
from benchmarks.staging import Staged, interpreter

HAND_WRITTEN, PORTABLE = "hand-written", "portable_fn"
HAND_WRITTEN_ASYNC, PORTABLE_ASYNC = "hand-written, async", "portable_fn, async handler"
POWERTOOLS, MANGUM = "Powertools resolver", "Mangum + Starlette"
CONTENDERS = {
    HAND_WRITTEN: "hand_written",
    HAND_WRITTEN_ASYNC: "hand_written_async",
    PORTABLE: "portable",
    PORTABLE_ASYNC: "portable_async",
    POWERTOOLS: "powertools",
    MANGUM: "mangum_starlette",
}
EVENTS = {
    "GET": "GET with 20 headers, 2 query parameters (one percent-encoded) and a cookie",
    "POST": "POST of 1 KiB of JSON with 21 headers",
    "hello": "GET with 20 headers of which the handler reads none, only the path parameter",
}
BLOCK = 0.02  # seconds of calls between two looks at the clock

MOST_TIMES_HAND_WRITTEN_ASYNC, MOST_TIMES_SYNC = 1.5, 2.0
MOST_TIMES_HAND_WRITTEN, LEAST_POWERTOOLS, LEAST_MANGUM = 3.0, 5.0, 10.0


def measure(code: Staged, quick: bool) -> Section:
    """Measure one call of each contender's Lambda handler."""
    rounds = 10 if quick else 150
    section = Section(
        f"One call of the Lambda handler with a parsed payload 2.0; all read the same things and answer the same JSON. Each "
        f"contender in its own process, {rounds} blocks of {BLOCK * 1000:.0f} ms each, taking turns, garbage collection "
        "on; microseconds of CPU time, which is all the time there is, as no contender waits for anything. “over” and “times” are medians of the differences and ratios within a round."
    )
    with ExitStack() as stack:
        processes = {name: stack.enter_context(process(code, "items", module)) for name, module in CONTENDERS.items()}
        for event, described in EVENTS.items():
            _check(processes, event)
            _event(section, processes, event, described, rounds)
    section.notes.append(
        "The parsing and writing of JSON and the decoding of the query are in every row, the hand-written one's too; so that one's "
        "own multiple is the most that “faster than” can reach."
    )
    return section


def _event(section: Section, processes: dict[str, Contender], event: str, described: str, rounds: int) -> None:
    samples = sampled(processes, event, rounds, warm=500)
    section.tables.append(compared(described, samples, HAND_WRITTEN))
    if event == "hello":
        return  # The hand-written one does nothing at all there, so that its multiples say little.
    ours = samples[PORTABLE]
    own = paired(ours, samples[HAND_WRITTEN], truediv)
    section.goals.append(Goal(f"{event}: beside hand-written", own, MOST_TIMES_HAND_WRITTEN, "times"))
    later = samples[PORTABLE_ASYNC]
    beside = paired(later, samples[HAND_WRITTEN_ASYNC], truediv)
    section.goals.append(
        Goal(f"{event}, async: beside hand-written async", beside, MOST_TIMES_HAND_WRITTEN_ASYNC, "times")
    )
    sync = paired(later, ours, truediv)
    section.goals.append(Goal(f"{event}, async: beside the sync handler", sync, MOST_TIMES_SYNC, "times"))
    for peer, least in (POWERTOOLS, LEAST_POWERTOOLS), (MANGUM, LEAST_MANGUM):
        faster = paired(samples[peer], ours, truediv)
        section.goals.append(Goal(f"{event}: faster than {peer}", faster, least, "times", at_least=True))


def sampled(processes: dict[str, Contender], event: str, rounds: int, *, warm: int) -> dict[str, list[float]]:
    """Return the microseconds of a call of each contender, in rounds of one block each, after `warm` calls, twice."""
    counts = {}
    for name, contender in processes.items():
        contender.seconds(event, warm)  # The interpreter specialises its bytecode meanwhile.
        counts[name] = max(1, int(BLOCK / contender.seconds(event, warm)))
    samples: dict[str, list[float]] = {name: [] for name in processes}
    for _ in range(rounds):
        for name, contender in processes.items():
            samples[name].append(contender.seconds(event, counts[name]) * 1e6)
    return samples


def compared(described: str, samples: dict[str, list[float]], base: str) -> Table:
    """Compare the samples with the base's."""
    columns = ["", "median", "least", f"over {base}", f"times {base}"]
    rows: list[list[Any]] = [
        [name, median(taken), min(taken), *(paired(taken, samples[base], each) for each in (sub, truediv))]
        for name, taken in samples.items()
    ]
    return Table(described, columns, rows, digits=2)


class Contender:
    """A process that calls one contender on demand."""

    def __init__(self, popen: subprocess.Popen[str]) -> None:
        assert popen.stdin is not None
        assert popen.stdout is not None
        self._input, self._output = popen.stdin, popen.stdout

    def seconds(self, event: str, count: int) -> float:
        """Return the mean seconds of a call, over so many calls."""
        return float(self._told(event, count))

    def answer(self, event: str) -> Any:
        """Return the handler's answer."""
        return json.loads(self._told(event, 0))

    def peak(self, event: str) -> int:
        """Return the peak of bytes that a call allocated."""
        return int(self._told(event, -1))

    def _told(self, event: str, count: int) -> str:
        self._input.write(f"{event} {count}\n")
        self._input.flush()
        if not (line := self._output.readline()):
            raise RuntimeError("a contender failed; its traceback stands above")
        return line


@contextmanager
def process(code: Staged, peers: str, *arguments: str, provider: str = "aws") -> Iterator[Contender]:
    """Start a contender of the folder `peers`, by its module and the module of its events."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    env = {**inherited, "PYTHONPATH": os.pathsep.join(map(str, code.pythonpath(peers)))}
    command = [str(interpreter(provider)), str(code.folder / "inside/call_loop.py"), *arguments]
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as popen:
        try:
            yield Contender(popen)
        finally:
            assert popen.stdin is not None
            popen.stdin.close()


def _check(processes: dict[str, Contender], event: str) -> None:
    """Check that all contenders read the same."""
    answers = {name: process.answer(event) for name, process in processes.items()}
    bodies = {name: (answer["statusCode"], json.loads(answer["body"])) for name, answer in answers.items()}
    for name, body in bodies.items():
        assert body == bodies[HAND_WRITTEN], f"{name} answered {event} with {body}, not {bodies[HAND_WRITTEN]}"
