"""Find the functions for an event that isn't a request.

A message is a message first. An event inside it reaches another function only if that function's trigger names the message's
channel (`via=`), or if no function takes the messages of that channel.
"""

from __future__ import annotations

from portable_fn.errors import ConfigurationError, DecodeError
from portable_fn.events import CloudEvent, Event, Message, Task
from portable_fn.http import Request
from portable_fn.on import MessageTrigger, Trigger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from portable_fn.adapter.binding import Binding

    # Returns the events directly inside an event, such as the records of a notification; often none.
    Unwrap = Callable[[Event[Any]], list[Event[Any]]]
    # A function, and the events to call it for.
    Call = tuple[Binding, list[Event[Any]]]
    Kind = type[Event[Any]]

__all__ = ["Dispatcher", "describe"]

# Why a function gets an event: its trigger names the source, it takes every event of a kind, or no other function takes such
# sources.
_NAMED, _BARE, _ONLY = "named", "bare", "only"
# AWS nests three deep: an EventBridge event of an S3 notification in SNS in SQS.
_DEEPEST = 5


def nothing_inside(event: Event[Any]) -> list[Event[Any]]:
    """Return no events, for a provider whose events hold no others."""
    return []


class Dispatcher:
    """Finds the functions for an event, by their triggers and by the kind that they take.

    A function whose trigger names the source comes first, then one that takes every event of the kind, then the only function
    for such sources. That one gets the event whatever the source is called, since a provider's names may differ from the code's.
    Several functions for one source all get the event.

    Args:
        functions: The functions; those for requests are ignored.
        unwrap: Returns the events inside an event.

    Raises:
        ConfigurationError: Two functions without triggers take the same kind.
    """

    def __init__(self, functions: Iterable[Binding], unwrap: Unwrap = nothing_inside) -> None:
        self.functions = [function for function in functions if function.kind is not Request]
        self._unwrap = unwrap
        bare: dict[Kind, Binding] = {}
        for function in self.functions:
            if not function.triggers:
                other = bare.setdefault(function.kind, function)
                if other is not function:
                    raise ConfigurationError(
                        f"{other.name} and {function.name} both take every {function.kind.__name__}: add triggers, such as on.queue(…)"
                    )
        self._only = self.functions[0] if len(self.functions) == 1 else None
        self._audience = _Audience([seeker for function in self.functions for seeker in _seekers(function)])

    def takes(self, kind: Kind) -> bool:
        """Return whether a function takes exactly this kind, by its annotation or a trigger."""
        return any(
            function.kind is kind or any(trigger.kind is kind for trigger in function.triggers)
            for function in self.functions
        )

    def takes_message(self, event: Event[Any]) -> bool:
        """Return whether a function takes the message itself, not only an event inside it."""
        audience: _Audience | None = self._audience
        for message in _chain(event):
            if audience is None:
                return False
            claim = audience.claim(message.channel)
            if claim.takers or (claim.relayed and message is event and not claim.is_open):
                return True
            audience = claim.beyond
        return False

    def hidden(self) -> list[tuple[Binding, Binding]]:
        """Return the functions that are never called, each with the function that takes the messages with its events.

        Their triggers name no channel (`via=`), and the other function takes the messages of every channel.
        """
        claim = self._audience.claim("")
        if claim.is_open or not claim.takers:
            return []
        deep = [seeker for seeker in self._audience.seekers if not issubclass(seeker.kind, (Message, Task))]
        return [
            (seeker.function, claim.takers[0].function)
            for seeker in deep
            if seeker.kind is not Event and not any(trigger.channels for trigger in seeker.triggers)
        ]

    def direct(self, kind: Kind) -> Binding | None:
        """Return the function that gets every event of this kind unchanged, if it is the only function."""
        only = self._only
        if only is None or not issubclass(kind, only.kind) or (only.kind is Event and issubclass(kind, CloudEvent)):
            return None
        for trigger in only.triggers:
            if not trigger.wants_all:
                return None
        return only

    def calls(self, event: Event[Any], unwanted: Callable[[str], object] | None = None) -> list[Call]:
        """Return the functions to call for the event, each with its events; none if their triggers don't want it.

        Args:
            event: The event.
            unwanted: Called with the reason if no trigger wants the event.

        Raises:
            DecodeError: No function takes such an event. Or the events inside it can't be read, and no function takes it
                unchanged.
        """
        if isinstance(event, Message) and not event.envelopes:
            claim = self._audience.claim(event.channel)
            if claim.is_final:
                return [(taker.function, [event]) for taker in claim.takers]
        search = _Search(event, _Contents(self._unwrap))
        calls = search.calls(self._audience)
        if not calls:
            if not search.is_filtered:
                raise DecodeError(self._untaken(search))
            if unwanted is not None:
                unwanted(self._unwanted(event, search.contents))
        return calls

    def takes_event(self, item: Event[Any] | DecodeError) -> bool:
        """Return whether a function takes the event or anything inside it, whatever names the triggers have.

        True if the event, or what is inside it, can't be read: the functions may be meant.
        """
        if isinstance(item, DecodeError):
            return True
        contents = _Contents(self._unwrap)
        try:
            return any(_find(function.kind, item, contents) for function in self.functions)
        except DecodeError:
            return True

    def _unwanted(self, event: Event[Any], contents: _Contents) -> str:
        """Describe an event for which `calls` returns no function, and the functions that could take it."""
        subject, functions = event, []
        for function in self.functions:
            try:
                events = _find(function.kind, event, contents)
            except DecodeError:
                continue
            if events and function.triggers:
                subject = events[0]
                functions.append(f"{function.name} ({', '.join(map(_declared, function.triggers))})")
        action = getattr(subject, "action", "")
        return f"no function wants {describe(subject)}{action and f', {action}'}; there are {', '.join(functions)}"

    def only(self, kind: Kind, event: Event[Any]) -> Event[Any]:
        """Return the only event of the kind that the event is or holds.

        Raises:
            DecodeError: There is no such event, or there are several.
        """
        events = _find(kind, event, _Contents(self._unwrap))
        if len(events) != 1:
            raise DecodeError(f"a batch needs one {kind.__name__} of each event; {describe(event)} has {len(events)}")
        return events[0]

    def _untaken(self, search: _Search) -> str:
        if search.empty is not None:
            message, seekers = search.empty
            functions = ", ".join(f"{seeker.function.name} ({_declared(seeker.triggers[0])})" for seeker in seekers)
            return f"{describe(message)} holds nothing for {functions}"
        functions = ", ".join(f"{function.name} ({function.kind.__name__})" for function in self.functions)
        return f"no function takes {describe(search.event)}; there are {functions or 'only functions for HTTP'}"


class _Contents:
    """The events inside an event, at every depth. Each event is unwrapped once, however many functions look inside.

    They aren't stored in the event: they refer to it, and such a circle stays in memory until the garbage collector runs.
    """

    def __init__(self, unwrap: Unwrap) -> None:
        self._unwrap = unwrap
        self._known: dict[int, tuple[Event[Any], list[Event[Any]] | DecodeError]] = {}

    def of(self, event: Event[Any]) -> list[Event[Any]]:
        """Return the events directly inside the event.

        Raises:
            DecodeError: They can't be read.
        """
        known = self._known.get(id(event))
        if known is None:
            inside: list[Event[Any]] | DecodeError
            try:
                inside = self._unwrap(event)
            except DecodeError as exc:
                inside = exc
            known = self._known[id(event)] = event, inside
        if isinstance(known[1], DecodeError):
            raise known[1].with_traceback(None)
        return known[1]


class _Seeker:
    """A function that looks for events of one kind, with its triggers for that kind.

    `is_meant` if a trigger names the channel of a message around the event.
    """

    def __init__(self, function: Binding, kind: Kind, triggers: tuple[Trigger, ...], *, is_meant: bool = False) -> None:
        self.function = function
        self.kind = kind
        self.triggers = triggers
        self.takes_messages = issubclass(Message, kind)
        self.is_meant = is_meant and not self.takes_messages


def _seekers(function: Binding) -> list[_Seeker]:
    """Return a seeker for each kind that the function takes: its annotation's, or, if that is Event, those of its triggers."""
    if function.kind is not Event:
        return [_Seeker(function, function.kind, function.triggers, is_meant=function.sees_inside)]
    kinds = dict.fromkeys(trigger.kind for trigger in function.triggers) or {Event: None}
    return [
        _Seeker(function, kind, tuple(trigger for trigger in function.triggers if trigger.kind is kind))
        for kind in kinds
    ]


class _Claim:
    """The functions that get the messages of a channel.

    - `takers` get the messages themselves.
    - `relayed` are for topics whose messages arrive by this channel.
    - `deep` look inside the messages.
    - `how` says why.
    - If the channel `is_open`, no function names it, and several take messages: these are `relayed`.
    """

    is_open = False

    def __init__(self, how: str, seekers: Sequence[_Seeker], relayed: Sequence[_Seeker] = ()) -> None:
        self.how = how
        self.takers = [seeker for seeker in seekers if seeker.takes_messages]
        self.relayed = relayed
        deep = [seeker for seeker in seekers if not seeker.takes_messages]
        self.deep = _Audience(deep) if deep else None
        # They look at a message inside this one.
        self.beyond: _Audience | None = _Audience([*deep, *relayed]) if deep or relayed else None
        self.is_final = bool(self.takers) and self.beyond is None
        # A function for any event gives way to others.
        self.is_for_any = how == _BARE and self.takers[0].kind is Event


class _Audience:
    """Functions that may get an event, and the claims of each channel's messages."""

    def __init__(self, seekers: list[_Seeker]) -> None:
        self.seekers = seekers
        self._named: dict[str, _Claim] | None = None
        self._unnamed: _Claim | None = None
        self._deeper: dict[type[Any], tuple[list[_Seeker], list[_Seeker], _Audience]] = {}

    def claim(self, channel: str) -> _Claim:
        """Return the claim of the channel's messages."""
        if self._named is None:
            names = {name for seeker in self.seekers for trigger in seeker.triggers for name in trigger.channels}
            self._named = {name: self._claim_of(name) for name in names}
        claim = self._named.get(channel) or self._unnamed
        if claim is None:
            claim = self._unnamed = self._claim_of_any()
        return claim

    def _claim_of(self, channel: str) -> _Claim:
        """Return the claim of a channel that a trigger names."""
        direct: list[_Seeker] = []
        relayed: list[_Seeker] = []
        for seeker in self.seekers:
            named = tuple(trigger for trigger in seeker.triggers if channel in trigger.channels)
            if named:
                narrowed = _Seeker(seeker.function, seeker.kind, named, is_meant=True)
                is_relayed = seeker.takes_messages and all(trigger.name != channel for trigger in named)
                (relayed if is_relayed else direct).append(narrowed)
            elif seeker.is_meant:
                direct.append(seeker)
        return _Claim(_NAMED, direct, relayed)

    def _claim_of_any(self) -> _Claim:
        """Return the claim of a channel that no trigger names."""
        meant = [seeker for seeker in self.seekers if seeker.is_meant]
        for kind in (Message, Event):
            if bare := [seeker for seeker in self.seekers if not seeker.triggers and seeker.kind is kind]:
                return _Claim(_BARE, [*bare, *meant])
        named = [
            seeker for seeker in self.seekers if any(isinstance(trigger, MessageTrigger) for trigger in seeker.triggers)
        ]
        if len(named) == 1:
            return _Claim(_ONLY, [*named, *(seeker for seeker in meant if seeker not in named)])
        claim = _Claim(_ONLY, [seeker for seeker in self.seekers if not seeker.takes_messages])
        claim.is_open = True
        claim.relayed = [seeker for seeker in named if seeker.takes_messages]
        claim.beyond = self
        return claim

    def at(self, kind: type[Any]) -> tuple[list[_Seeker], list[_Seeker], _Audience]:
        """Sort the functions for an event of the class.

        Return those that take the event, those that take it only if nothing inside it is for them, and the audience of the
        events inside it.
        """
        known = self._deeper.get(kind)
        if known is None:
            fitting = [seeker for seeker in self.seekers if issubclass(kind, seeker.kind)]
            reluctant = [seeker for seeker in fitting if seeker.kind is Event and issubclass(kind, CloudEvent)]
            takers = [seeker for seeker in fitting if seeker not in reluctant]
            deeper = _Audience([seeker for seeker in self.seekers if seeker not in takers])
            known = self._deeper[kind] = takers, reluctant, deeper
        return known


def _chain(event: Event[Any]) -> list[Message[Any]]:
    """Return the messages around the message, outermost first, and the message itself; an empty list for another event."""
    if not isinstance(event, Message):
        return []
    return [*(envelope for envelope in event.envelopes if isinstance(envelope, Message)), event]


class _Result:
    """The calls of one function, or of those for a message: why they get their events, and how deep inside they are."""

    def __init__(self, how: str, depth: int, calls: list[Call], seeker: _Seeker | None = None) -> None:
        self.how = how
        self.depth = depth
        self.calls = calls
        self.seeker = seeker


class _Search:
    """The search for the functions of one event."""

    def __init__(self, event: Event[Any], contents: _Contents) -> None:
        self.event = event
        self.contents = contents
        # Whether a trigger takes such events, but doesn't want this one.
        self.is_filtered = False
        # A message that holds nothing for the functions whose triggers name its channel.
        self.empty: tuple[Message[Any], list[_Seeker]] | None = None
        self._unreadable: DecodeError | None = None
        self._refused: set[Kind] = set()

    def calls(self, audience: _Audience) -> list[Call]:
        """Return the calls for the event; none if no function takes it."""
        chain = _chain(self.event)
        return self._best(self._of_message(chain, audience, 0) if chain else self._look([self.event], audience, 0))

    def _best(self, results: list[_Result]) -> list[Call]:
        """Return the calls of the first of: functions that name the source, that take every event of a kind, the only one."""
        for how in (_NAMED, _BARE):
            best = [result for result in results if result.how == how]
            if best:
                # The innermost event is the subject.
                depth = max(result.depth for result in best)
                innermost = [result for result in best if result.depth == depth]
                return [call for result in (innermost if how == _NAMED else innermost[:1]) for call in result.calls]
        if self._unreadable is not None:
            raise self._unreadable
        # If another trigger names the source, the source isn't this trigger's, even if the other one doesn't want the event.
        left = [result for result in results if result.seeker is None or result.seeker.kind not in self._refused]
        calls = [call for result in left for call in result.calls]
        # Several messages in one event are several results for the same functions.
        if len({tuple(id(function) for function, _ in result.calls) for result in left}) > 1:
            raise self._undecided(function for function, _ in calls)
        return calls

    def _undecided(self, functions: Iterable[Binding]) -> DecodeError:
        names = ", ".join(f"{function.name} (on.{function.triggers[0].word})" for function in functions)
        return DecodeError(
            f"{describe(self.event)} could be for any of {names}: name a trigger after the source, or give each function its own entry"
        )

    def _of_message(self, chain: Sequence[Message[Any]], audience: _Audience, depth: int) -> list[_Result]:
        """Find the functions for the last message of the chain, or for the events inside it.

        The other messages of the chain are around it, outermost first.
        """
        outermost, message = chain[0], chain[-1]
        claim = audience.claim(outermost.channel)
        is_last = outermost is message
        if claim.is_open:
            if not is_last:
                return self._of_message(chain[1:], audience, depth)
            rivals = [_Result(_ONLY, depth, [(seeker.function, [message])], seeker) for seeker in claim.relayed]
            return [*rivals, *self._inside([message], claim.deep, depth)]
        if is_last and len(claim.relayed) > 1:
            # Without SNS's envelope, the message doesn't say which topic it was published to.
            raise self._undecided(seeker.function for seeker in claim.relayed)
        takers = [*claim.takers, *claim.relayed] if is_last else claim.takers
        calls: list[Call] = [(taker.function, [message]) for taker in takers]
        inside = claim.deep if is_last else claim.beyond
        if inside is not None:
            results = self._inside([message], inside, depth) if is_last else self._of_message(chain[1:], inside, depth)
            if takers and claim.how != _NAMED:
                # If it only looks as if it held events, it is still a message.
                self._unreadable = None
            calls += self._best(results)
        if not calls:
            if not self.is_filtered and inside is not None:
                self.empty = outermost, inside.seekers
            return []
        return [_Result(claim.how, -1 if claim.is_for_any else depth, calls)]

    def _inside(self, events: Sequence[Event[Any]], audience: _Audience | None, depth: int) -> list[_Result]:
        """Find the functions of the audience for the events inside the events."""
        if audience is None or not audience.seekers or depth >= _DEEPEST:
            return []
        try:
            inside = [inner for event in events for inner in self.contents.of(event)]
        except DecodeError as exc:
            self._unreadable = exc
            return []
        return self._look(inside, audience, depth + 1)

    def _look(self, events: Sequence[Event[Any]], audience: _Audience, depth: int) -> list[_Result]:
        """Find the functions of the audience for the events, or for the events inside them."""
        alike: dict[type[Any], list[Event[Any]]] = {}
        for event in events:
            alike.setdefault(type(event), []).append(event)
        results: list[_Result] = []
        for kind, similar in alike.items():
            if issubclass(kind, Message):
                results += [result for message in similar for result in self._of_message([message], audience, depth)]  # type: ignore[list-item]  # a message
            else:
                results += self._of_kind(kind, similar, audience, depth)
        return results

    def _of_kind(self, kind: type[Any], events: list[Event[Any]], audience: _Audience, depth: int) -> list[_Result]:
        """Find the functions for events of one class that aren't messages, or for the events inside them."""
        takers, reluctant, deeper = audience.at(kind)
        results = self._results(takers, events, depth)
        if (results or reluctant) and events[0].sender_wrote_contents:
            # As with a message: the events inside are only for functions that say so.
            place = (events[0].source, events[0].type)
            deeper = _Audience(
                [
                    seeker
                    for seeker in deeper.seekers
                    if seeker in reluctant or any(trigger.via in place for trigger in seeker.triggers)
                ]
            )
        before = self._unreadable
        inside = self._inside(events, deeper, depth)
        if inside or not reluctant:
            return [*results, *inside]
        # No other function needs the events inside, so that they can't be read doesn't matter.
        if len(deeper.seekers) == len(reluctant):
            self._unreadable = before
        return [*results, *self._results(reluctant, events, depth)]

    def _results(self, seekers: Sequence[_Seeker], events: list[Event[Any]], depth: int) -> list[_Result]:
        """Return the calls of the functions that take the events."""
        results: list[_Result] = []
        others: list[tuple[_Seeker, list[Trigger]]] = []
        is_named = False
        for seeker in seekers:
            if not seeker.triggers:
                # A function for any event gives way to others.
                own_depth = -1 if seeker.kind is Event else depth
                results.append(_Result(_BARE, own_depth, [(seeker.function, events)], seeker))
                continue
            triggers = [trigger for trigger in seeker.triggers if _calls_for(trigger, events[0])]
            naming = [trigger for trigger in triggers if trigger.names(events[0])]
            if not naming:
                others.append((seeker, triggers))
            elif wanted := _wanted(events, naming):
                is_named = True
                results.append(_Result(_NAMED, depth, [(seeker.function, wanted)], seeker))
            else:
                self.is_filtered = True
                if any(trigger.name for trigger in naming):
                    self._refused.add(seeker.kind)
        # A notification may have thousands of records, and an entry many functions for other sources.
        for seeker, triggers in () if is_named else others:
            if wanted := _wanted(events, triggers):
                results.append(_Result(_ONLY, depth, [(seeker.function, wanted)], seeker))
            elif triggers:
                self.is_filtered = True
        return results


def _wanted(events: list[Event[Any]], triggers: list[Trigger]) -> list[Event[Any]]:
    """Return the events that a trigger wants."""
    return [event for event in events if any(trigger.wants(event) for trigger in triggers)]


def _find(kind: Kind, event: Event[Any], contents: _Contents) -> list[Event[Any]]:
    """Return the event if it is of the kind, else the events of the kind at the first depth that has some."""
    level = [event]
    for _ in range(_DEEPEST):
        fitting = [event for event in level if isinstance(event, kind)]
        if fitting and not (kind is Event and any(isinstance(event, CloudEvent) for event in fitting)):
            return fitting
        try:
            inside = [inner for event in level for inner in contents.of(event)]
        except DecodeError:
            if not fitting:
                raise
            inside = []
        if not inside:
            return fitting
        level = inside
    return []


def _calls_for(trigger: Trigger, event: Event[Any]) -> bool:
    """Return whether the trigger is for such an event; triggers for messages and CloudEvents are also for events inside them."""
    return isinstance(event, trigger.kind) or (
        issubclass(trigger.kind, (Message, CloudEvent)) and bool(event.envelopes)
    )


def describe(event: Event[Any]) -> str:
    """Describe an event for an error."""
    kind = event.kind_name
    place = getattr(event, "channel", "") or getattr(event, "bucket", "") or getattr(event, "table", "")
    article = "an" if kind == "ObjectEvent" else "a"
    return f"{article} {kind} of {place or event.type or event.source!r}"


def _declared(trigger: Any) -> str:
    """Write a trigger as in the code, with the arguments that select events."""
    positional = [*filter(None, (trigger.name,)), *getattr(trigger, "actions", ()), *getattr(trigger, "types", ())]
    arguments = [repr(value) for value in positional]
    named = {name: getattr(trigger, name, "") for name in ("prefix", "suffix", "source", "via")}
    arguments += [f"{name}={value!r}" for name, value in named.items() if value]
    return f"on.{trigger.word}({', '.join(arguments)})"
