"""Run code on the process's event loop, in threads and in processes, for tests."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from contextvars import copy_context
from pathlib import Path
from typing import Any

from portable_fn.adapter.loop import run

ROOT = Path(__file__).parents[2]
EVERYWHERE = ("aws", "gcp", "azure", "cloudflare", "asgi")


def done(awaitable: Any) -> Any:
    return run(awaitable, copy_context())


def in_a_process(code: str, **environment: str) -> str:
    """Return what the code prints in its own process, which prints nothing on stderr."""
    path = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'adapters'}"}
    command = [sys.executable, "-X", "dev", "-c", code]
    result = subprocess.run(command, env=path | environment, capture_output=True, text=True, check=True, timeout=60)
    # On a busy machine asyncio's debug mode logs callbacks that take over 0.1 seconds.
    assert [] == [line for line in result.stderr.splitlines() if not line.startswith("Executing <")]
    return result.stdout.strip()


def within(seconds: float, call: Callable[[], Any]) -> Any:
    """Return the result of the call in a thread, which mustn't hang."""
    result: list[Any] = []
    thread = threading.Thread(target=lambda: result.append(call()), daemon=True)
    thread.start()
    thread.join(seconds)
    assert result, f"it hangs: given up after {seconds} s"
    return result[0]
