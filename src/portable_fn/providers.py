"""The adapters, as strings: one that isn't used costs nothing."""

from __future__ import annotations

from portable_fn.errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

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
    "azure": "azure",
    "azure_functions_runtime": "azure",
    "azure_functions_worker": "azure",
}


def adapter(provider: str) -> Any:
    """The adapter's package; a name that isn't one of ours is imported as a module, for a third party's adapter."""
    from importlib import import_module

    return import_module(ADAPTERS.get(provider, provider))


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
