"""Check that the libraries that simulate a provider are installed."""

from __future__ import annotations

from importlib import import_module

from portable_fn.errors import ConfigurationError
from portable_fn.providers import ADAPTERS, adapter

__all__ = ["MissingExtra", "describe_missing", "require_extras"]


class MissingExtra(ConfigurationError):
    """A library that simulates the provider isn't installed; the message names the extra that installs it."""


def require_extras(*providers: str) -> None:
    """Import the modules that each adapter's `simulate` names in `NEEDS`.

    Raises:
        MissingExtra: Some aren't installed, for all of the providers together.
    """
    missing: dict[str, str | None] = {}
    for provider in providers:
        name = ""
        try:
            for name in getattr(adapter(provider, "simulate"), "NEEDS", ()):
                import_module(name)
        except ModuleNotFoundError as exc:
            # Without azure.functions, the namespace azure may be missing too.
            missing[provider] = name if name.startswith(f"{exc.name}.") else exc.name
    if missing:
        raise MissingExtra(describe_missing(missing))


def describe_missing(missing: dict[str, str | None]) -> str:
    """Return the message for the missing modules, by provider."""
    # azure.functions is in the distribution azure-functions.
    lacking = ", ".join(f"{provider} needs {(name or '').replace('.', '-')}" for provider, name in missing.items())
    extras = ",".join(provider for provider in missing if provider in ADAPTERS)
    return f"{lacking}: pip install 'portable-fn[{extras}]'" if extras else f"{lacking}, which isn't installed"
