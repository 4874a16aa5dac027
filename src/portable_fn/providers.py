"""The adapters by name. An adapter that isn't used isn't imported."""

from __future__ import annotations

from portable_fn.errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = ["ADAPTERS", "adapter", "nearest", "recognise"]

ADAPTERS = {
    "aws": "portable_fn_aws",
    "gcp": "portable_fn_gcp",
    "azure": "portable_fn_azure",
    "cloudflare": "portable_fn_cloudflare",
    "asgi": "portable_fn_asgi",
}

# The package of a native argument's class, by provider.
_PACKAGES = {
    "awslambdaric": "aws",
    "flask": "gcp",
    "werkzeug": "gcp",
    "starlette": "gcp",
    # functions-framework converts a request to these for a function of the kind `cloudevent` or `event`.
    "cloudevents": "gcp",
    "google": "gcp",
    "azure": "azure",
    "azure_functions_runtime": "azure",
    "azure_functions_worker": "azure",
}


# Other names of the providers.
_ALSO_CALLED = {
    "amazon": "aws",
    "lambda": "aws",
    "google": "gcp",
    "cloud_run": "gcp",
    "microsoft": "azure",
    "workers": "cloudflare",
    "container": "asgi",
    "knative": "asgi",
    "dapr": "asgi",
}


def adapter(provider: str, part: str = "") -> Any:
    """Import an adapter's package, or a module in it. Another name is the module of a third party's adapter.

    Raises:
        ConfigurationError: There is no such adapter.
    """
    from importlib import import_module

    package = ADAPTERS.get(provider, provider)
    name = f"{package}.{part}" if part else package
    try:
        module = import_module(name)
        # A folder without __init__.py, such as that of Google's packages, can be imported, too.
        if module.__file__ is not None:
            return module
    except (ModuleNotFoundError, TypeError, ValueError) as exc:
        if isinstance(exc, ModuleNotFoundError) and exc.name not in (package, name):
            raise
    # A misspelt name needs a better message than that there is no such module.
    meant = _ALSO_CALLED.get(str(provider).lower())
    hint = f" (is it {meant!r}?)" if meant else nearest(provider, ADAPTERS)
    raise ConfigurationError(
        f"no provider {provider!r}{hint}; possible are {', '.join(ADAPTERS)}, or the module of an adapter"
    )


def nearest(name: object, known: Iterable[str]) -> str:
    """Return " (is it 'aws'?)" for an error, if one of the known names is near, else ""."""
    from difflib import get_close_matches

    matches = get_close_matches(str(name), list(known), 1)
    return f" (is it {matches[0]!r}?)" if matches else ""


def recognise(args: tuple[object, ...]) -> str:
    """Return the provider whose arguments these are. PORTABLE_FN_PROVIDER decides if it is set."""
    import os

    if provider := os.environ.get("PORTABLE_FN_PROVIDER"):
        return provider
    for argument in reversed(args):
        if hasattr(argument, "aws_request_id"):
            return "aws"
        if provider := _PACKAGES.get(type(argument).__module__.partition(".")[0]):
            return provider
    seen = ", ".join(type(argument).__name__ for argument in args) or "nothing"
    raise ConfigurationError(
        f"unknown provider: called with ({seen}). Pass a neutral event, such as one of portable_fn.testing.fake, "
        f"or set PORTABLE_FN_PROVIDER to one of {', '.join(ADAPTERS)}"
    )
