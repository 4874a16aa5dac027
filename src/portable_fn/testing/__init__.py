"""Test without a cloud: make fake events, deliver them as a provider does, and tell the conformance stories."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from portable_fn.testing import fake
    from portable_fn.testing.delivery import deliver
    from portable_fn.testing.faults import Duplicates, Redelivery, Reordered, Throttled
    from portable_fn.testing.parsing import parse
    from portable_fn.testing.rendering import render
    from portable_fn.testing.replaying import replay

__all__ = ["Duplicates", "Redelivery", "Reordered", "Throttled", "deliver", "fake", "parse", "render", "replay"]

# The module of each name, imported on first use: pytest imports this package in every environment, for the plugin. No module may
# share a name with its content, because importing it sets that attribute of the package.
_HOMES = {
    "delivery": ("deliver",),
    "faults": ("Duplicates", "Redelivery", "Reordered", "Throttled"),
    "parsing": ("parse",),
    "rendering": ("render",),
    "replaying": ("replay",),
}


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name == "fake":
        return import_module("portable_fn.testing.fake")
    for home, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f"portable_fn.testing.{home}"), name)
            return value
    raise AttributeError(f"module 'portable_fn.testing' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
