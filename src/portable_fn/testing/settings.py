"""Variables that triggers take names from, where a test has not set them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Lock

from portable_fn.adapter.binding import Binding, declared, resolved

# How many blocks have put each variable there: deliveries nest, and run in threads.
_ours: Counter[str] = Counter()
_one_at_a_time = Lock()


@contextmanager
def stood_in(*targets: object) -> Iterator[None]:
    """Set each variable that a trigger of the targets needs, and that isn't set, to its own name for the block."""
    settings = [
        setting
        for function in (declared(*targets) if targets else ())
        for trigger in function.triggers
        for setting in trigger.settings.values()
    ]
    variables = {one.variable for one in settings if one.default is None}
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


def with_names(functions: Iterable[Binding]) -> list[Binding]:
    """Return the functions with the names that their triggers take from the environment, as in `stood_in`."""
    those = list(functions)
    with stood_in(*(function.function for function in those)):
        return resolved(those, os.environ)
