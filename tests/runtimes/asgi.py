"""Uvicorn, the ASGI server of most containers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.runtimes.environments import venv
from tests.runtimes.process import Server, free_ports, serving


@contextmanager
def uvicorn(
    app: str, *, pythonpath: Sequence[Path] = (), lifespan: str = "auto", env: Mapping[str, str] = {}
) -> Iterator[Server]:
    """Serve the ASGI application `module:attribute`; leaving the block stops it gracefully, lifespan and all."""
    [port] = free_ports(1)
    command: list[str | Path] = [venv("asgi"), "-m", "uvicorn", app, "--lifespan", lifespan]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with serving(command, port, pythonpath=pythonpath, env=env) as server:
        yield server
