"""A real runtime as a process of this machine: started, listened to, waited for and stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from random import randrange


@dataclass(frozen=True)
class Process:
    """A running command; its output, stdout and stderr in one, is complete in `logs` once it has been stopped."""

    popen: subprocess.Popen[bytes]
    logs: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return self.popen.poll()

    def logged(self, text: str, *, timeout: float = 10) -> str:
        """The first line of output that contains the text, awaited."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            for line in list(self.logs):
                if text in line:
                    return line
            time.sleep(0.005)
        raise AssertionError(f"no line with {text!r} within {timeout} s, but:\n{self.tail()}")

    def tail(self) -> str:
        return "\n".join(self.logs[-40:]) or "(no output)"


@dataclass(frozen=True)
class Server:
    """A running HTTP server; `url` has no trailing slash."""

    url: str
    process: Process

    @property
    def logs(self) -> list[str]:
        return self.process.logs


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    pythonpath: Sequence[Path] = (),
    env: Mapping[str, str] = {},
) -> Iterator[Process]:
    """Run a command, found on the PATH of `env`, in this process's environment, less its PYTHON…, plus `env`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    python = {"PYTHONUNBUFFERED": "1", "PYTHONPATH": os.pathsep.join(map(str, pythonpath))}
    popen = subprocess.Popen(
        [str(part) for part in command],
        cwd=cwd,
        env={**inherited, **python, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    process = Process(popen)
    reader = threading.Thread(target=_collect, args=(process,), daemon=True)
    reader.start()
    try:
        yield process
    except Exception as exc:
        exc.add_note(f"output of {' '.join(map(str, command))}:\n{process.tail()}")
        raise
    finally:
        _stop(process)
        reader.join(timeout=5)


@contextmanager
def serving(
    command: Sequence[str | Path],
    port: int,
    *,
    cwd: Path | None = None,
    pythonpath: Sequence[Path] = (),
    env: Mapping[str, str] = {},
    timeout: float = 30,
) -> Iterator[Server]:
    """Run a command that listens on a port of 127.0.0.1, from when the port answers."""
    with running(command, cwd=cwd, pythonpath=pythonpath, env=env) as process:
        end = time.monotonic() + timeout
        while not _answers(port):
            if process.exit_code is not None:
                raise RuntimeError(f"it exited with {process.exit_code} before port {port} answered")
            if time.monotonic() > end:
                raise TimeoutError(f"port {port} did not answer within {timeout} s")
            time.sleep(0.005)
        yield Server(f"http://127.0.0.1:{port}", process)


# Below those that Linux gives for port 0, of which another server might get one that was just found to be free.
_FIRST, _EACH, _WORKERS = 15_000, 4_000, 4
_ports = count(randrange(_EACH))


def free_ports(count: int) -> list[int]:
    """Distinct ports of 127.0.0.1 that nothing listens on, out of those of this process of pytest-xdist's."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
    found: list[int] = []
    for number in islice(_ports, _EACH):
        port = _FIRST + _EACH * worker + number % _EACH
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise OSError(f"no {count} free ports from {_FIRST + _EACH * worker} on")


def _collect(process: Process) -> None:
    assert process.popen.stdout is not None
    with process.popen.stdout as output:
        for line in output:
            process.logs.append(line.decode(errors="replace").rstrip("\r\n"))


def _stop(process: Process) -> None:
    """End it gracefully, or by force after ten seconds, and whatever is left of its session's first process group."""
    if process.exit_code is None:
        process.popen.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.popen.wait(timeout=10)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.popen.pid, signal.SIGKILL)
    process.popen.wait()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
