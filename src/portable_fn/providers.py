"""The adapters, as strings: one that isn't used costs nothing."""

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

# The package that the class of a native argument comes from.
_PACKAGES = {
    "awslambdaric": "aws",
    "flask": "gcp",
    "werkzeug": "gcp",
    "starlette": "gcp",
    # What functions-framework makes of a request where it runs a function as `cloudevent` or `event`.
    "cloudevents": "gcp",
    "google": "gcp",
    "azure": "azure",
    "azure_functions_runtime": "azure",
    "azure_functions_worker": "azure",
}


# What others call the providers.
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
    """The adapter's package, or a module in it; a name that isn't one of ours is a third party's adapter, by its module.

    Raises ConfigurationError where there is none of that name.
    """
    from importlib import import_module

    package = ADAPTERS.get(provider, provider)
    name = f"{package}.{part}" if part else package
    try:
        found = import_module(name)
        # A folder without __init__.py, such as that of Google's packages, imports as well.
        if found.__file__ is not None:
            return found
    except (ModuleNotFoundError, TypeError, ValueError) as exc:
        if isinstance(exc, ModuleNotFoundError) and exc.name not in (package, name):
            raise
    # That there is no such module says nothing to one who has misspelt a name.
    meant = _ALSO_CALLED.get(str(provider).lower())
    hint = f" (is it {meant!r}?)" if meant else nearest(provider, ADAPTERS)
    raise ConfigurationError(
        f"no provider {provider!r}{hint}; possible are {', '.join(ADAPTERS)}, or the module of an adapter"
    )


def nearest(name: object, known: Iterable[str]) -> str:
    """Return " (is it 'aws'?)" for an error, if one of the known names is near, else ""."""
    from difflib import get_close_matches

    found = get_close_matches(str(name), list(known), 1)
    return f" (is it {found[0]!r}?)" if found else ""


def recognise(args: tuple[object, ...]) -> str:
    """The provider that calls with these arguments; PORTABLE_FN_PROVIDER, where set, decides."""
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
        f"called with ({seen}): a portable function takes a neutral event (portable_fn.testing.fake makes one), "
        f"or what {', '.join(ADAPTERS)} hand over; PORTABLE_FN_PROVIDER names the provider where it isn't recognised"
    )
