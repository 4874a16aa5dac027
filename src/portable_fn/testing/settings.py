"""Set the environment variables that triggers take names from, if a test hasn't."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Lock

from portable_fn.adapter.binding import Binding, declared, resolved

__all__ = ["placeholder_settings", "resolve_names"]

# How many blocks set each variable: deliveries nest, and run in threads.
_ours: Counter[str] = Counter()
_one_at_a_time = Lock()


@contextmanager
def placeholder_settings(*targets: object) -> Iterator[None]:
    """Set each variable that the targets' triggers need and that isn't set to its own name, during the block."""
    settings = [
        setting
        for function in (declared(*targets) if targets else ())
        for trigger in function.triggers
        for setting in trigger.settings.values()
    ]
    variables = {setting.variable for setting in settings if setting.default is None}
    with _one_at_a_time:
        mine = [name for name in variables if _ours[name] or not os.environ.get(name)]
        for name in mine:
            _ours[name] += 1
            os.environ[name] = name
    try:
        yield
    finally:
        with _one_at_a_time:
            for name in mine:
                _ours[name] -= 1
                if not _ours[name]:
                    os.environ.pop(name, None)


def resolve_names(functions: Iterable[Binding]) -> list[Binding]:
    """Return the functions with names from the environment, or placeholders if a variable isn't set."""
    bindings = list(functions)
    with placeholder_settings(*(binding.function for binding in bindings)):
        return resolved(bindings, os.environ)
