"""Measure ASGI: requests a second under uvicorn[standard] with one worker."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.report import Goal, Section, Table, median, paired
from benchmarks.staging import Staged
from tests.runtimes.asgi import uvicorn
from tests.runtimes.process import Server

ASYNC, SYNC, STARLETTE, BARE = (
    "portable_fn, async handler",
    "portable_fn, sync handler",
    "Starlette",
    "bare ASGI function",
)
APPS = {
    BARE: "asgi_hand_written:app",
    ASYNC: "asgi_portable_async:app",
    SYNC: "asgi:app",  # the hello sample; it runs in the event loop's executor
    STARLETTE: "asgi_starlette:app",
}
CONNECTIONS = 16
LEAST_OF_BARE = 85.0
SATURATED = 90  # % of a core, below which something else than the server was the bottleneck

# The access log would be most of the work. uvicorn reads these options from the environment.
QUIET = {"UVICORN_ACCESS_LOG": "false", "UVICORN_LOG_LEVEL": "warning"}


def measure(code: Staged, quick: bool) -> Section:
    """Measure the rate of each application; the server is the bottleneck."""
    rounds, seconds = (2, 1.0) if quick else (15, 2.0)
    section = Section(
        f"GET /hello/Ada over {CONNECTIONS} kept connections, none pipelined, from a client process that costs less than the "
        f"server (whose CPU use stands beside). The servers, all started before, take turns: {rounds} rounds of "
        f"{seconds:.0f} s each; medians. “of bare” is the median of the ratios within a round. “CPU” is the server's, in "
        "microseconds for one request: it depends less than the rate on what else the machine does."
    )
    if not code.has("asgi"):
        section.missing.append("there is no adapter for ASGI yet.")
        return section
    with ExitStack() as stack:
        path = code.pythonpath("hello", "sample")
        servers = {name: stack.enter_context(uvicorn(app, pythonpath=path, env=QUIET)) for name, app in APPS.items()}
        rates: dict[str, list[float]] = {name: [] for name in APPS}
        busy: dict[str, list[float]] = {name: [] for name in APPS}
        used: dict[str, list[float]] = {name: [] for name in APPS}
        for turn in range(rounds + 1):
            for name, server in servers.items():
                answers, elapsed, cpu = _loaded(code, server, seconds)
                if turn:
                    rates[name].append(answers / elapsed)
                    busy[name].append(cpu / elapsed * 100)
                    used[name].append(cpu / answers * 1e6)
    rows: list[list[Any]] = []
    for name in APPS:
        of_bare, by_cpu = None, None
        if name != BARE:
            of_bare, by_cpu = paired(rates[name], rates[BARE], _percent), paired(used[BARE], used[name], _percent)
        row = [name, median(rates[name]), max(rates[name]), of_bare, median(used[name]), by_cpu, median(busy[name])]
        rows.append(row)
    columns = ["", "requests/s", "most", "% of bare", "CPU µs", "% of bare by CPU", "server's CPU %"]
    section.tables.append(Table("uvicorn, one worker", columns, rows, digits=0))
    of_bare = paired(rates[ASYNC], rates[BARE], _percent)
    section.goals.append(Goal("async handler, of the bare function's rate", of_bare, LEAST_OF_BARE, "%", at_least=True))
    if (least := min(median(each) for each in busy.values())) < SATURATED:
        section.notes.append(
            f"The machine was busy with other work: a server got {least:.0f} % of a core in the median, so that the rates are "
            "too low and their ratios rough; those of the CPU times are the surer ones."
        )
    return section


def _percent(one: float, other: float) -> float:
    return one / other * 100


def _loaded(code: Staged, server: Server, seconds: float) -> tuple[int, float, float]:
    """Return the number of answers in so many seconds, and the CPU seconds that the server used for them."""
    port = server.url.rpartition(":")[2]
    load = str(code.folder / "inside/load.py")
    command = [sys.executable, load, port, "/hello/Ada", str(CONNECTIONS), str(seconds)]
    before = _cpu(server)
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"the load generator failed: {result.stderr}\n{server.process.tail()}")
    used = _cpu(server) - before
    answers, elapsed = result.stdout.split()
    return int(answers), float(elapsed), used


def _cpu(server: Server) -> float:
    """Return the CPU seconds of all threads of the server's process. Linux counts 1/100 s."""
    fields = Path(f"/proc/{server.process.popen.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
