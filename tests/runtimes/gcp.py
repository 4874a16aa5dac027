"""Google's functions-framework, as a Cloud Run function runs it: gunicorn with Flask, or with Starlette and uvicorn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.runtimes.environments import venv
from tests.runtimes.process import Server, free_ports, serving


@contextmanager
def functions_framework(
    source: Path,
    target: str,
    *,
    asgi: bool = False,
    signature_type: str | None = None,
    pythonpath: Sequence[Path] = (),
    env: Mapping[str, str] = {},
) -> Iterator[Server]:
    """Serve one function of a source file; `asgi` forces Starlette, which a function registered for it gets anyway."""
    [port] = free_ports(1)
    command: list[str | Path] = [venv("gcp"), "-m", "functions_framework", "--source", source, "--target", target]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    if signature_type is not None:
        command += ["--signature-type", signature_type]
    if asgi:
        command.append("--asgi")
    with serving(command, port, cwd=source.parent, pythonpath=pythonpath, env=env) as server:
        yield server
