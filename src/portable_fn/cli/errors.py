"""Define the exit codes, and the error that ends the command."""

from __future__ import annotations

OK, FAILED, USAGE, IMPORT = 0, 1, 2, 3


class Failure(Exception):
    """Ends the command with one line on stderr and the exit code."""

    def __init__(self, message: str, code: int = USAGE) -> None:
        super().__init__(message)
        self.code = code
