"""Measure the cold start: a fresh process imports the hello sample and answers its first request."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import sub
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.inside.events import EVENTS
from benchmarks.report import Goal, Section, Table, median, paired, quantile
from benchmarks.staging import Staged, interpreter
from tests.runtimes import aws
from tests.runtimes.environments import Unavailable

PORTABLE, HAND_WRITTEN, BARE = "portable_fn", "hand-written", "bare interpreter"

# The contenders of each provider: (name, module, attribute).
CONTENDERS = {
    "aws": [
        (BARE, "", ""),
        (HAND_WRITTEN, "aws_hand_written", "lambda_handler"),
        (PORTABLE, "lambda_function", "lambda_handler"),
        (f"{PORTABLE}, app.hello itself", "app", "hello"),
        ("Powertools resolver", "aws_powertools", "lambda_handler"),
        ("Mangum + Starlette", "aws_mangum", "lambda_handler"),
    ],
    "gcp": [
        (BARE, "", ""),
        (HAND_WRITTEN, "gcp_hand_written", "hello"),
        (PORTABLE, "main", "hello"),
    ],
    "azure": [
        (BARE, "", ""),
        (HAND_WRITTEN, "azure_hand_written", "app"),
        (PORTABLE, "function_app", "app"),
    ],
    "asgi": [
        (BARE, "", ""),
        (HAND_WRITTEN, "asgi_hand_written", "app"),
        (PORTABLE, "asgi", "app"),
        ("Starlette", "asgi_starlette", "app"),
    ],
}
PEERS = ("Powertools resolver", "Mangum + Starlette", "Starlette")
SHOWN = {"aws": "AWS", "gcp": "Google", "azure": "Azure", "asgi": "ASGI"}

CLIENT, RUNTIME = "awslambdaric", "portable_fn_aws.runtime"
# On Lambda's own software: (contender, runtime).
ON_LAMBDA = [
    (HAND_WRITTEN, CLIENT, "aws_hand_written.lambda_handler"),
    (PORTABLE, CLIENT, "lambda_function.lambda_handler"),
    (PORTABLE, RUNTIME, "app:hello"),
    ("Powertools resolver", CLIENT, "aws_powertools.lambda_handler"),
    ("Mangum + Starlette", CLIENT, "aws_mangum.lambda_handler"),
]

MOST_OVER_HAND_WRITTEN = 8.0


def measure(code: Staged, quick: bool) -> Section:
    """Measure the cold starts on every provider, in fresh processes."""
    rounds = 5 if quick else 31
    section = Section(
        f"Fresh processes, {rounds} of each, the contenders of a provider taking turns; medians, in milliseconds. "
        "“over” is the median of the differences within a round. All contenders of a provider run in one environment with "
        "compiled bytecode. “wall” is from the spawn to the first answer, “inside” from the first statement of the program to "
        "the first answer, “CPU” what the process had used by then, “IQR” the distance of the quartiles of “wall”."
    )
    for provider, contenders in CONTENDERS.items():
        if code.has(provider):
            _provider(section, code, provider, contenders, rounds)
        else:
            section.missing.append(f"{SHOWN[provider]}: there is no adapter yet.")
    for title, invoke in (
        ("AWS, first invocation under the Runtime Interface Emulator (which starts the runtime)", _emulated),
        ("AWS, from the runtime's start to its first answer under a Runtime API server", _served),
    ):
        try:
            _on_lambda(section, code, title, invoke, rounds)
        except Unavailable as exc:
            section.missing.append(f"{title}: {exc}.")
    return section


def _provider(
    section: Section, code: Staged, provider: str, contenders: list[tuple[str, str, str]], rounds: int
) -> None:
    python = interpreter(provider)
    environment = _environment(code)
    samples: dict[str, list[tuple[float, float, float]]] = {name: [] for name, _, _ in contenders}
    for turn in range(rounds + 1):
        for name, module, attribute in contenders:
            # functions-framework loads a file; the other providers import a module.
            where = str(next(code.folder.glob(f"*/{module}.py"))) if provider == "gcp" and module else module
            sample = _spawned(python, environment, provider if module else "bare", where, attribute)
            if turn:  # The first round warms the file cache.
                samples[name].append(sample)
    wall, inside, cpu = ({name: [each[i] for each in taken] for name, taken in samples.items()} for i in range(3))
    rows: list[list[Any]] = []
    for name, _, _ in contenders:
        alone = name in (BARE, HAND_WRITTEN)
        over, more_cpu = (None if alone else paired(each[name], each[HAND_WRITTEN], sub) for each in (wall, cpu))
        spread = quantile(wall[name], 0.75) - quantile(wall[name], 0.25)
        rows.append(
            [name, median(wall[name]), spread, min(wall[name]), median(inside[name]), median(cpu[name]), over, more_cpu]
        )
    columns = ["", "wall", "IQR", "least", "inside", "CPU", "over hand-written", "CPU over"]
    section.tables.append(Table(f"{SHOWN[provider]}: spawn to first answer", columns, rows))
    section.goals += _goals(f"{SHOWN[provider]}", wall, PORTABLE)


def _goals(where: str, wall: dict[str, list[float]], ours: str) -> Iterator[Goal]:
    over = paired(wall[ours], wall[HAND_WRITTEN], sub)
    yield Goal(f"{where}: {ours} over hand-written", over, MOST_OVER_HAND_WRITTEN, "ms")
    for peer in PEERS:
        if peer in wall:
            yield Goal(f"{where}: {ours} beside {peer}", paired(wall[ours], wall[peer], sub), 0, "ms")


def _environment(code: Staged) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**inherited, "PYTHONPATH": os.pathsep.join(map(str, code.pythonpath("hello", "sample")))}


def _spawned(
    python: Path, env: dict[str, str], provider: str, module: str, attribute: str
) -> tuple[float, float, float]:
    """Return the milliseconds of one fresh process: wall, inside, CPU."""
    command = [str(python), "-c", "import first_answer", provider, module, attribute]
    began = time.perf_counter()
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        errors = process.stderr.read()
    if process.returncode or not line:
        raise RuntimeError(f"{module or 'the bare interpreter'} failed on {provider}: {errors[-2000:]}")
    started, answered, used = map(float, line.split())
    return (answered - began) * 1000, (answered - started) * 1000, used * 1000


def _on_lambda(
    section: Section,
    code: Staged,
    title: str,
    invoke: Callable[[Staged, dict[str, str], list[str]], tuple[float, list[float]]],
    rounds: int,
) -> None:
    names = [f"{name}, {runtime}" for name, runtime, _ in ON_LAMBDA]
    first: dict[str, list[float]] = {name: [] for name in names}
    warm: dict[str, list[float]] = {name: [] for name in names}
    python = interpreter("aws")
    env = {"PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}", "PYTHONUNBUFFERED": ""}
    for turn in range(rounds + 1):
        for name, (_, runtime, handler) in zip(names, ON_LAMBDA, strict=True):
            cold, later = invoke(code, env, ["python", "-m", runtime, handler])
            if turn:
                first[name].append(cold)
                warm[name].append(median(later))
    hand_written = names[0]
    rows: list[list[Any]] = []
    for name in names:
        over = None if name == hand_written else paired(first[name], first[hand_written], sub)
        spread = quantile(first[name], 0.75) - quantile(first[name], 0.25)
        rows.append([name, median(first[name]), spread, min(first[name]), over, fmean(warm[name])])
    columns = ["", "first answer", "IQR", "least", "over hand-written", "warm"]
    section.tables.append(Table(title, columns, rows, digits=2))
    where = "AWS emulator" if invoke is _emulated else "AWS Runtime API"
    for ours in (name for name in names if name.startswith(PORTABLE)):
        over = paired(first[ours], first[hand_written], sub)
        section.goals.append(Goal(f"{where}: {ours} over hand-written", over, MOST_OVER_HAND_WRITTEN, "ms"))
        for peer in names[3:]:
            difference = paired(first[ours], first[peer], sub)
            section.goals.append(Goal(f"{where}: {ours} beside {peer}", difference, 0, "ms"))


def _emulated(code: Staged, env: dict[str, str], command: list[str]) -> tuple[float, list[float]]:
    """Return the milliseconds of the first and some later invocations by HTTP, through the emulator."""
    app = code.folder / "sample"
    path = code.pythonpath("hello", "sample")
    payload = json.dumps(EVENTS["hello"]).encode()
    with aws.emulator(app, command[-1], bootstrap=command, pythonpath=path, env=env) as emulator:
        times = []
        for _ in range(6):
            began = time.perf_counter()
            answer = emulator.send(payload)
            times.append((time.perf_counter() - began) * 1000)
            assert json.loads(json.loads(answer.body)["body"])["hello"] == "Ada", answer
    return times[0], times[1:]


def _served(code: Staged, env: dict[str, str], command: list[str]) -> tuple[float, list[float]]:
    """Return the milliseconds from the runtime's start to the first answer, and of some later invocations."""
    app = code.folder / "sample"
    path = code.pythonpath("hello", "sample")
    event = EVENTS["hello"]
    # The shell waits at the gate. When the gate opens, it becomes the runtime.
    with _gate() as gate:
        gated = ["sh", "-c", f'read -r _ < "{gate}" && exec "$@"', "sh", *command]
        with aws.runtime_api(app, gated, pythonpath=path, env=env) as api:
            times = []
            with open(gate, "w") as opened:
                began = time.perf_counter()
                opened.write("\n")
            for _ in range(6):
                answer = api.invoke(event)
                times.append((time.perf_counter() - began) * 1000)
                began = time.perf_counter()
                assert json.loads(answer.json["body"])["hello"] == "Ada", answer
    return times[0], times[1:]


@contextmanager
def _gate() -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        gate = Path(folder, "gate")
        os.mkfifo(gate)
        yield gate
