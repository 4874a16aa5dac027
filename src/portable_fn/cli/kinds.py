"""The words for kinds of events, the same in every command and option."""

from __future__ import annotations

from portable_fn.cli.errors import Failure
from portable_fn.providers import nearest

# By the word, the class.
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
# What `on` calls them.
_TRIGGERS = {"http": "request", "queue": "message", "topic": "message", "stream": "message", "event": "cloud_event"}


def word(text: str) -> str:
    """The word of a kind by any of its names, "message" of "Message", "queue" and "messages"; the text itself if it is unknown."""
    name = text.strip().lower().replace("-", "_")
    by_class = {of.lower(): one for one, of in CLASSES.items()}
    for one in (name, name.removesuffix("s")):
        if found := by_class.get(one) or _TRIGGERS.get(one) or (one if one in CLASSES else None):
            return found
    return text


def named(text: str, option: str) -> str:
    """The word of the kind that an option names; Failure for one that there isn't."""
    if (found := word(text)) not in CLASSES:
        raise Failure(f"{option}: no kind {text!r}{nearest(text.lower(), KINDS)}; possible are {', '.join(KINDS)}")
    return found
