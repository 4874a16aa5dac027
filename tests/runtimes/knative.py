"""Knative Functions' Python middleware: an ASGI handler with Knative's health endpoints, served by hypercorn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.runtimes.environments import venv
from tests.runtimes.process import Server, free_ports, serving

# What the builder of `func` writes as the container's command: the source imported as `function`, and `new` preferred.
_SERVICE = """
import sys
from importlib import import_module
from func_python.http import serve

function = import_module(sys.argv[1])
serve(function.new if hasattr(function, "new") else function.handle)
"""


@contextmanager
def knative_function(module: str, *, pythonpath: Sequence[Path] = (), env: Mapping[str, str] = {}) -> Iterator[Server]:
    """Serve a module that has `handle`, an ASGI application by that __name__, or `new`, which makes an object of one.

    /health/liveness and /health/readiness answer before the function; an object's methods start(settings), stop(),
    alive() and ready() are called. Seen with func-python 0.8.1: the application gets no lifespan. If it raises, the answer
    is a 500 that breaks off before its body.
    """
    [port] = free_ports(1)
    address = {"LISTEN_ADDRESS": f"127.0.0.1:{port}"}
    command: list[str | Path] = [venv("knative"), "-c", _SERVICE, module]
    with serving(command, port, pythonpath=pythonpath, env={**env, **address}) as server:
        yield server
