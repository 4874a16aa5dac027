"""Name the kinds of events with the same words in every command and option."""

from __future__ import annotations

from portable_fn.cli.errors import Failure
from portable_fn.providers import nearest

# The class of each word.
CLASSES = {
    "request": "Request",
    "message": "Message",
    "object": "ObjectEvent",
    "change": "ChangeEvent",
    "schedule": "ScheduleEvent",
    "cloud_event": "CloudEvent",
    "task": "Task",
}
KINDS = tuple(CLASSES)
# The words of `on`.
_TRIGGERS = {"http": "request", "queue": "message", "topic": "message", "stream": "message", "event": "cloud_event"}


def word(text: str) -> str:
    """Return the word of a kind by any of its names, such as "message" for "Message", "queue" and "messages".

    An unknown text is returned unchanged.
    """
    name = text.strip().lower().replace("-", "_")
    by_class = {name_of_class.lower(): kind for kind, name_of_class in CLASSES.items()}
    for singular in (name, name.removesuffix("s")):
        if kind := by_class.get(singular) or _TRIGGERS.get(singular) or (singular if singular in CLASSES else None):
            return kind
    return text


def named(text: str, option: str) -> str:
    """Return the word of the kind that an option names.

    Raises:
        Failure: There is no such kind.
    """
    if (kind := word(text)) not in CLASSES:
        raise Failure(f"{option}: no kind {text!r}{nearest(text.lower(), KINDS)}; possible are {', '.join(KINDS)}")
    return kind
