"""Which functions get an event that isn't a request, and what they get of it: the envelopes unwrap by what a function asks for."""

from __future__ import annotations

from portable_fn.errors import ConfigurationError, DecodeError
from portable_fn.events import CloudEvent, Event, Message
from portable_fn.http import Request
from portable_fn.on import Trigger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from portable_fn.binding import Binding

    # What is directly inside of an event: none, or several such as the records of a notification.
    Unwrap = Callable[[Event[Any]], list[Event[Any]]]
    # A function, with the events that it is to be called for.
    Call = tuple[Binding, list[Event[Any]]]


def nothing_inside(event: Event[Any]) -> list[Event[Any]]:
    """For a provider whose events hold no others."""
    return []


class Dispatcher:
    """Finds the functions for an event, by their triggers and by the kind that they take.

    `unwrap` gives what is inside of an event. One with triggers for what the event comes from wins over one without; where
    only one function is for such a kind of source, it gets the event whatever the source is called, since a provider's names
    need not be the code's. Several functions for one source all get the event. ConfigurationError where two functions
    without triggers take the same kind.
    """

    def __init__(self, functions: Iterable[Binding], unwrap: Unwrap = nothing_inside) -> None:
        self.functions = [function for function in functions if function.kind is not Request]
        self._unwrap = unwrap
        bare: dict[type[Event[Any]], Binding] = {}
        for function in self.functions:
            if not function.triggers:
                other = bare.setdefault(function.kind, function)
                if other is not function:
                    raise ConfigurationError(
                        f"{other.name} and {function.name} both take every {function.kind.__name__}: add triggers, such as on.queue(…)"
                    )
        self._only = self.functions[0] if len(self.functions) == 1 else None

    def takes(self, kind: type[Event[Any]]) -> bool:
        """Whether a function asks for this very kind, by its annotation or a trigger."""
        return any(
            function.kind is kind or any(trigger.kind is kind for trigger in function.triggers)
            for function in self.functions
        )

    def direct(self, kind: type[Event[Any]]) -> Binding | None:
        """The function that gets every event of this kind as it is, where there is but that one."""
        only = self._only
        if only is None or not issubclass(kind, only.kind) or (only.kind is Event and issubclass(kind, CloudEvent)):
            return None
        for trigger in only.triggers:
            if not trigger.wants_all:
                return None
        return only

    def calls(self, event: Event[Any]) -> list[Call]:
        """The functions to call for the event, each with what it is to get; none where their triggers don't want it.

        Raises DecodeError where none takes such an event, or where what is inside can't be read and no function that names
        the source, or takes all of its kind, takes the event as it is.
        """
        named: list[tuple[int, Call]] = []
        unnamed: list[Call] = []
        bare: list[tuple[int, Call]] = []
        is_filtered = False
        unreadable: DecodeError | None = None
        for function in self.functions:
            try:
                depth, events = self.find(function.kind, event)
            except DecodeError as exc:
                # What only looks as if it held something is still a message for who asks for messages.
                unreadable = exc
                continue
            if not events:
                continue
            if not function.triggers:
                bare.append((depth if function.kind is not Event else -1, (function, events)))
                continue
            triggers = [trigger for trigger in function.triggers if _calls_for(trigger, function, events[0])]
            mine = [trigger for trigger in triggers if trigger.names(events[0])]
            left = [one for one in events if any(trigger.wants(one) for trigger in mine or triggers)]
            if not left:
                is_filtered = is_filtered or bool(triggers)
            elif mine:
                named.append((depth, (function, left)))
            else:
                unnamed.append((function, left))
        # What is furthest inside is what the event is about.
        innermost = max((depth for depth, _ in named), default=0)
        found = [call for depth, call in named if depth == innermost] or _innermost(bare)
        if not found and unreadable is not None:
            raise unreadable
        if not found and len(unnamed) > 1:
            names = ", ".join(f"{function.name} (on.{function.triggers[0].word})" for function, _ in unnamed)
            raise DecodeError(
                f"{describe(event)} is for none of {names}: name the trigger after the source, or give each an entry of its own"
            )
        found = found or unnamed
        if not found and not is_filtered:
            takes = ", ".join(f"{function.name} (a {function.kind.__name__})" for function in self.functions)
            raise DecodeError(
                f"{describe(event)} is for none of the functions; there are {takes or 'none but for HTTP'}"
            )
        return found

    def unwanted(self, event: Event[Any]) -> str:
        """What a log says of an event for which `calls` gives none: what of it no function wants, and which functions there are."""
        of, functions = event, []
        for function in self.functions:
            try:
                _, events = self.find(function.kind, event)
            except DecodeError:
                continue
            if events and function.triggers:
                of = events[0]
                functions.append(f"{function.name} ({', '.join(map(_declared, function.triggers))})")
        action = getattr(of, "action", "")
        return f"no function wants {describe(of)}{action and f', {action}'}; there are {', '.join(functions)}"

    def only(self, kind: type[Event[Any]], event: Event[Any]) -> Event[Any]:
        """The one event of the kind that the event is or holds; DecodeError where it has none or several."""
        _, events = self.find(kind, event)
        if len(events) != 1:
            raise DecodeError(f"{describe(event)} has {len(events)} of the {kind.__name__} that a batch has one of")
        return events[0]

    def find(self, kind: type[Event[Any]], event: Event[Any]) -> tuple[int, list[Event[Any]]]:
        """What a function of the kind gets of the event: itself, or what is inside of it, at the first level that has some."""
        level = [event]
        # AWS nests three deep: an EventBridge event of an S3 notification in SNS in SQS.
        for depth in range(5):
            fitting = [one for one in level if isinstance(one, kind)]
            if fitting and not (kind is Event and any(isinstance(one, CloudEvent) for one in fitting)):
                return depth, fitting
            try:
                inside = [inner for one in level for inner in self._unwrap(one)]
            except DecodeError:
                if not fitting:
                    raise
                inside = []
            if not inside:
                return depth, fitting
            level = inside
        return 5, []


def _calls_for(trigger: Trigger, function: Binding, event: Event[Any]) -> bool:
    """Whether the trigger is one for such an event; those for messages and events of a bus are also for what is inside."""
    if isinstance(event, trigger.kind):
        return True
    return trigger.kind in (Message, CloudEvent) and function.kind is not Event and bool(event.envelopes)


def _innermost(bare: list[tuple[int, Call]]) -> list[Call]:
    """Of the functions without triggers, the one whose kind is furthest inside; one that takes any only where it is alone."""
    return [max(bare, key=lambda found: found[0])[1]] if bare else []


def describe(event: Event[Any]) -> str:
    """An event, as an error names it."""
    kind = next(base.__name__ for base in type(event).__mro__ if base.__module__ == Event.__module__)
    place = getattr(event, "channel", "") or getattr(event, "bucket", "") or getattr(event, "table", "")
    article = "an" if kind == "ObjectEvent" else "a"
    return f"{article} {kind} of {place or event.type or event.source!r}"


def _declared(trigger: Any) -> str:
    """A trigger as it is written, with what says which events it is for."""
    given = [*filter(None, (trigger.name,)), *getattr(trigger, "actions", ()), *getattr(trigger, "types", ())]
    shown = [repr(one) for one in given]
    named = {name: getattr(trigger, name, "") for name in ("prefix", "suffix", "source")}
    shown += [f"{name}={value!r}" for name, value in named.items() if value]
    return f"on.{trigger.word}({', '.join(shown)})"
