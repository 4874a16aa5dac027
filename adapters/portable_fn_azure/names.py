"""Name functions as Azure allows."""

from __future__ import annotations

from portable_fn.errors import ConfigurationError

# Those that Azure can name in a route; a function whose route names none takes every method.
METHODS = ("GET", "POST", "DELETE", "HEAD", "PATCH", "PUT", "OPTIONS")


LONGEST_NAME = 128


def legal_name(name: str) -> str:
    """A function's name as Azure takes it: letters, digits, "_" and "-", a letter first."""
    legal = "".join(char if char.isascii() and (char.isalnum() or char == "_") else "-" for char in name)
    legal = legal.lstrip("-_0123456789").rstrip("-")
    if not legal or legal.lower() == "host" or len(legal) > LONGEST_NAME - len("-99"):
        raise ConfigurationError(
            f"{name!r} can't be the name of an Azure function: possible are up to {LONGEST_NAME - 3} letters, digits, _ and -, "
            "a letter first, and not 'host'"
        )
    return legal
