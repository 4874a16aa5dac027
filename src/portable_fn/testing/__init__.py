"""Tests without a cloud: fake events, delivery through a provider's real shapes, and the conformance stories."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from portable_fn.testing import fake
    from portable_fn.testing.delivery import deliver
    from portable_fn.testing.faults import Duplicates, Redelivery, Reordered, Throttled
    from portable_fn.testing.parsing import parse
    from portable_fn.testing.rendering import render
    from portable_fn.testing.replaying import replay

__all__ = ["Duplicates", "Redelivery", "Reordered", "Throttled", "deliver", "fake", "parse", "render", "replay"]

# Which module each name costs: every pytest of an environment imports this package for its plugin. A module can't have the
# name of what is in it, since the package has its modules as attributes once they are imported.
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
