"""What the simulation of a provider needs beside this package."""

from __future__ import annotations

from importlib import import_module

from portable_fn.errors import ConfigurationError
from portable_fn.providers import ADAPTERS, adapter


class MissingExtra(ConfigurationError):
    """What a provider's functions are called with isn't installed; the message names the extra that brings it."""


def needed(*providers: str) -> None:
    """Imports what the providers' functions are called with: `NEEDS` of an adapter's `simulate`, modules by their names.

    Raises MissingExtra, for all of the providers at once.
    """
    missing: dict[str, str | None] = {}
    for provider in providers:
        name = ""
        try:
            for name in getattr(adapter(provider, "simulate"), "NEEDS", ()):
                import_module(name)
        except ModuleNotFoundError as exc:
            # Where there is no azure.functions there may be no azure either.
            missing[provider] = name if name.startswith(f"{exc.name}.") else exc.name
    if missing:
        raise MissingExtra(told(missing))


def told(missing: dict[str, str | None]) -> str:
    """What to install where providers lack modules, by the providers' names."""
    # A module of a namespace is of the distribution with dashes for its dots, such as azure-functions.
    lacking = ", ".join(f"{provider} needs {(name or '').replace('.', '-')}" for provider, name in missing.items())
    extras = ",".join(provider for provider in missing if provider in ADAPTERS)
    return f"{lacking}: pip install 'portable-fn[{extras}]'" if extras else f"{lacking}, which isn't installed"
