"""The command `portable-fn`; nothing else of portable_fn imports it."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; an error is one line on stderr."""
    try:
        from portable_fn.cli.command import run
    except ModuleNotFoundError as exc:
        if exc.name not in ("typer", "rich"):
            raise
        print(f"portable-fn needs {exc.name}: pip install 'portable-fn[cli]'", file=sys.stderr)
        return 2
    # As with `python -m`, the current folder may have an adapter.
    if (here := os.getcwd()) in sys.path:
        return run(arguments)
    sys.path.insert(0, here)
    try:
        return run(arguments)
    finally:
        if here in sys.path:
            sys.path.remove(here)
