"""The command `portable-fn`; nothing else of portable_fn imports it."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and gives its exit code; what goes wrong is one line on stderr."""
    try:
        import rich  # noqa: F401  # looked for here, used by the modules beside this one
        import typer  # noqa: F401
    except ModuleNotFoundError as exc:
        print(f"portable-fn needs {exc.name}: pip install 'portable-fn[cli]'", file=sys.stderr)
        return 2
    from portable_fn.cli.command import run

    return run(arguments)
