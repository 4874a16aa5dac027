"""Which functions get an event that isn't a request, and what they get of it.

A message is a message first. What its sender put inside of it reaches another function only if that function's trigger names
the message's channel (`via=`), or if no function takes the messages of that channel.
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

    # What is directly inside of an event: none, or several such as the records of a notification.
    Unwrap = Callable[[Event[Any]], list[Event[Any]]]
    # A function, with the events that it is to be called for.
    Call = tuple[Binding, list[Event[Any]]]
    Kind = type[Event[Any]]

# Why a function gets an event: its trigger names the source, it takes all of a kind, or it is the only one for such sources.
_NAMED, _BARE, _ONLY = "named", "bare", "only"
# AWS nests three deep: an EventBridge event of an S3 notification in SNS in SQS.
_DEEPEST = 5


def nothing_inside(event: Event[Any]) -> list[Event[Any]]:
    """For a provider whose events hold no others."""
    return []


class Dispatcher:
    """Finds the functions for an event, by their triggers and by the kind that they take.

    `unwrap` gives what is inside of an event. A function whose trigger names the source wins over one that takes all of a kind;
    that one wins over the only function for such sources, which gets the event whatever the source is called, since a
    provider's names need not be the code's. Several functions for one source all get the event. ConfigurationError if two
    functions without triggers take the same kind.
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
        self._read: tuple[Event[Any], _Contents] | None = None

    def takes(self, kind: Kind) -> bool:
        """Whether a function asks for this very kind, by its annotation or a trigger."""
        return any(
            function.kind is kind or any(trigger.kind is kind for trigger in function.triggers)
            for function in self.functions
        )

    def takes_message(self, event: Event[Any]) -> bool:
        """Whether a function takes the message itself, not only what is inside of it."""
        audience: _Audience | None = self._audience
        for one in _chain(event):
            if audience is None:
                return False
            claim = audience.claim(one.channel)
            if claim.takers or (claim.relayed and one is event and not claim.is_open):
                return True
            audience = claim.beyond
        return False

    def hidden(self) -> list[tuple[Binding, Binding]]:
        """The functions for what is inside of messages that don't say of which, each with the function that takes them all."""
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
        """The function that gets every event of this kind as it is, if it is the only one."""
        only = self._only
        if only is None or not issubclass(kind, only.kind) or (only.kind is Event and issubclass(kind, CloudEvent)):
            return None
        for trigger in only.triggers:
            if not trigger.wants_all:
                return None
        return only

    def calls(self, event: Event[Any]) -> list[Call]:
        """The functions to call for the event, each with what it is to get; none if their triggers don't want it.

        Raises DecodeError if none takes such an event, or if what is inside can't be read and no function takes the event as
        it is.
        """
        if isinstance(event, Message) and not event.envelopes:
            claim = self._audience.claim(event.channel)
            if claim.is_final:
                return [(taker.function, [event]) for taker in claim.takers]
        search = _Search(event, self._contents(event))
        found = search.calls(self._audience)
        if not found:
            if not search.is_filtered:
                raise DecodeError(self._for_none(search))
            # For `unwanted`.
            self._read = event, search.contents
        return found

    def takes_event(self, item: Event[Any] | DecodeError) -> bool:
        """Return whether a function takes the event or anything inside it, whatever names the triggers have.

        True if the event, or what is inside it, can't be read: the functions may be meant.
        """
        if isinstance(item, DecodeError):
            return True
        contents = self._contents(item)
        self._read = item, contents
        try:
            return any(_find(function.kind, item, contents) for function in self.functions)
        except DecodeError:
            return True

    def unwanted(self, event: Event[Any]) -> str:
        """What a log says of an event for which `calls` gives none: what of it no function wants, and which functions there are."""
        of, functions = event, []
        contents = self._contents(event)
        for function in self.functions:
            try:
                events = _find(function.kind, event, contents)
            except DecodeError:
                continue
            if events and function.triggers:
                of = events[0]
                functions.append(f"{function.name} ({', '.join(map(_declared, function.triggers))})")
        action = getattr(of, "action", "")
        return f"no function wants {describe(of)}{action and f', {action}'}; there are {', '.join(functions)}"

    def only(self, kind: Kind, event: Event[Any]) -> Event[Any]:
        """The one event of the kind that the event is or holds; DecodeError if it has none or several."""
        contents = self._contents(event)
        events = _find(kind, event, contents)
        if len(events) != 1:
            raise DecodeError(f"{describe(event)} has {len(events)} of the {kind.__name__} that a batch has one of")
        self._read = event, contents
        return events[0]

    def _contents(self, event: Event[Any]) -> _Contents:
        """What is inside of the event; what was read of the same event just before isn't read again."""
        read, self._read = self._read, None
        return read[1] if read is not None and read[0] is event else _Contents(self._unwrap)

    def _for_none(self, search: _Search) -> str:
        if search.empty is not None:
            message, seekers = search.empty
            looked = ", ".join(f"{one.function.name} ({_declared(one.triggers[0])})" for one in seekers)
            return f"{describe(message)} holds nothing for {looked}"
        takes = ", ".join(f"{function.name} (a {function.kind.__name__})" for function in self.functions)
        return f"{describe(search.event)} is for none of the functions; there are {takes or 'none but for HTTP'}"


class _Contents:
    """What is inside of an event, and of what is inside of that: each is unwrapped once, however many functions look.

    It isn't kept with the event, to which its contents refer: such a circle stays in memory until the garbage collector runs.
    """

    def __init__(self, unwrap: Unwrap) -> None:
        self._unwrap = unwrap
        self._known: dict[int, tuple[Event[Any], list[Event[Any]] | DecodeError]] = {}

    def of(self, event: Event[Any]) -> list[Event[Any]]:
        """What is directly inside of the event; DecodeError if that can't be read."""
        known = self._known.get(id(event))
        if known is None:
            found: list[Event[Any]] | DecodeError
            try:
                found = self._unwrap(event)
            except DecodeError as exc:
                found = exc
            known = self._known[id(event)] = event, found
        if isinstance(known[1], DecodeError):
            raise known[1].with_traceback(None)
        return known[1]


class _Seeker:
    """A function that looks for events of a kind, with those of its triggers that may get them; none if it has no triggers.

    It `is_meant` if a trigger names the channel of a message around what it is shown.
    """

    def __init__(self, function: Binding, kind: Kind, triggers: tuple[Trigger, ...], *, is_meant: bool = False) -> None:
        self.function = function
        self.kind = kind
        self.triggers = triggers
        self.takes_messages = issubclass(Message, kind)
        self.is_meant = is_meant and not self.takes_messages


def _seekers(function: Binding) -> list[_Seeker]:
    """What the function looks for: what its annotation says; if that is any event, what each of its triggers is for."""
    if function.kind is not Event:
        return [_Seeker(function, function.kind, function.triggers, is_meant=function.sees_inside)]
    kinds = dict.fromkeys(trigger.kind for trigger in function.triggers) or {Event: None}
    return [
        _Seeker(function, kind, tuple(trigger for trigger in function.triggers if trigger.kind is kind))
        for kind in kinds
    ]


class _Claim:
    """Who gets the messages of a channel.

    `takers` get the messages themselves, `relayed` are for topics whose messages come by this channel, `deep` look inside.
    `how` says why. If the channel `is_open` nobody takes its messages: `relayed` are the functions for messages of which none
    names the channel.
    """

    is_open = False

    def __init__(self, how: str, seekers: Sequence[_Seeker], relayed: Sequence[_Seeker] = ()) -> None:
        self.how = how
        self.takers = [seeker for seeker in seekers if seeker.takes_messages]
        self.relayed = relayed
        deep = [seeker for seeker in seekers if not seeker.takes_messages]
        self.deep = _Audience(deep) if deep else None
        # Who looks at a message that came in this one.
        self.beyond: _Audience | None = _Audience([*deep, *relayed]) if deep or relayed else None
        self.is_final = bool(self.takers) and self.beyond is None
        # A function for any event gives way to others.
        self.is_for_any = how == _BARE and self.takers[0].kind is Event


class _Audience:
    """The functions that an event may be for, and who of them gets the messages of which channel."""

    def __init__(self, seekers: list[_Seeker]) -> None:
        self.seekers = seekers
        self._named: dict[str, _Claim] | None = None
        self._unnamed: _Claim | None = None
        self._deeper: dict[type[Any], tuple[list[_Seeker], list[_Seeker], _Audience]] = {}

    def claim(self, channel: str) -> _Claim:
        """Who gets the messages of the channel."""
        if self._named is None:
            names = {name for seeker in self.seekers for trigger in seeker.triggers for name in trigger.channels}
            self._named = {name: self._claim_of(name) for name in names}
        claim = self._named.get(channel) or self._unnamed
        if claim is None:
            claim = self._unnamed = self._claim_of_any()
        return claim

    def _claim_of(self, channel: str) -> _Claim:
        """Who gets the messages of a channel that a trigger names."""
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
        """Who gets the messages of a channel that no trigger names."""
        meant = [seeker for seeker in self.seekers if seeker.is_meant]
        for kind in (Message, Event):
            if bare := [seeker for seeker in self.seekers if not seeker.triggers and seeker.kind is kind]:
                return _Claim(_BARE, [*bare, *meant])
        those = [one for one in self.seekers if any(isinstance(trigger, MessageTrigger) for trigger in one.triggers)]
        if len(those) == 1:
            return _Claim(_ONLY, [*those, *(one for one in meant if one not in those)])
        claim = _Claim(_ONLY, [seeker for seeker in self.seekers if not seeker.takes_messages])
        claim.is_open = True
        claim.relayed = [seeker for seeker in those if seeker.takes_messages]
        claim.beyond = self
        return claim

    def at(self, kind: type[Any]) -> tuple[list[_Seeker], list[_Seeker], _Audience]:
        """Who is for an event of the class, who is but rather gets what is inside, and the audience of what is inside."""
        known = self._deeper.get(kind)
        if known is None:
            fitting = [seeker for seeker in self.seekers if issubclass(kind, seeker.kind)]
            rather = [seeker for seeker in fitting if seeker.kind is Event and issubclass(kind, CloudEvent)]
            those = [seeker for seeker in fitting if seeker not in rather]
            deeper = _Audience([seeker for seeker in self.seekers if seeker not in those])
            known = self._deeper[kind] = those, rather, deeper
        return known


def _chain(event: Event[Any]) -> list[Message[Any]]:
    """The messages that the message came in, outermost first, and it itself; nothing if it is none."""
    if not isinstance(event, Message):
        return []
    return [*(one for one in event.envelopes if isinstance(one, Message)), event]


class _Result:
    """The calls that one function, or those for a message, may get, why, and how far inside."""

    def __init__(self, how: str, depth: int, calls: list[Call], seeker: _Seeker | None = None) -> None:
        self.how = how
        self.depth = depth
        self.calls = calls
        self.seeker = seeker


class _Search:
    """The search for the functions that one event is for."""

    def __init__(self, event: Event[Any], contents: _Contents) -> None:
        self.event = event
        self.contents = contents
        # Whether a trigger that is for it doesn't want it.
        self.is_filtered = False
        # A message that holds nothing of what the functions look for whose triggers name its channel.
        self.empty: tuple[Message[Any], list[_Seeker]] | None = None
        self._unreadable: DecodeError | None = None
        self._refused: set[Kind] = set()

    def calls(self, audience: _Audience) -> list[Call]:
        """The calls for the event; none if nobody takes it."""
        chain = _chain(self.event)
        return self._best(self._of_message(chain, audience, 0) if chain else self._look([self.event], audience, 0))

    def _best(self, results: list[_Result]) -> list[Call]:
        """The calls of those whose triggers name the source, else of those that take all of a kind, else of the only one."""
        for how in (_NAMED, _BARE):
            found = [result for result in results if result.how == how]
            if found:
                # What is furthest inside is what the event is about.
                depth = max(result.depth for result in found)
                innermost = [result for result in found if result.depth == depth]
                return [call for result in (innermost if how == _NAMED else innermost[:1]) for call in result.calls]
        if self._unreadable is not None:
            raise self._unreadable
        # A source that another trigger names isn't this one's, even if the other doesn't want the event.
        left = [result for result in results if result.seeker is None or result.seeker.kind not in self._refused]
        calls = [call for result in left for call in result.calls]
        # Several messages in one event are several results, for the same functions.
        if len({tuple(id(function) for function, _ in result.calls) for result in left}) > 1:
            raise self._undecided(function for function, _ in calls)
        return calls

    def _undecided(self, functions: Iterable[Binding]) -> DecodeError:
        names = ", ".join(f"{function.name} (on.{function.triggers[0].word})" for function in functions)
        return DecodeError(
            f"{describe(self.event)} is for none of {names}: name the trigger after the source, or give each an entry of its own"
        )

    def _of_message(self, chain: Sequence[Message[Any]], audience: _Audience, depth: int) -> list[_Result]:
        """Who gets the last message of the chain, or what is inside; the others are what it came in, outermost first."""
        one, message = chain[0], chain[-1]
        claim = audience.claim(one.channel)
        is_last = one is message
        if claim.is_open:
            if not is_last:
                return self._of_message(chain[1:], audience, depth)
            rivals = [_Result(_ONLY, depth, [(each.function, [message])], each) for each in claim.relayed]
            return [*rivals, *self._inside([message], claim.deep, depth)]
        if is_last and len(claim.relayed) > 1:
            # Without SNS's envelope nothing tells of which of the topics it is.
            raise self._undecided(each.function for each in claim.relayed)
        takers = [*claim.takers, *claim.relayed] if is_last else claim.takers
        calls: list[Call] = [(taker.function, [message]) for taker in takers]
        inside = claim.deep if is_last else claim.beyond
        if inside is not None:
            found = self._inside([message], inside, depth) if is_last else self._of_message(chain[1:], inside, depth)
            if takers and claim.how != _NAMED:
                # What only looks as if it held something is still a message.
                self._unreadable = None
            calls += self._best(found)
        if not calls:
            if not self.is_filtered and inside is not None:
                self.empty = one, inside.seekers
            return []
        return [_Result(claim.how, -1 if claim.is_for_any else depth, calls)]

    def _inside(self, events: Sequence[Event[Any]], audience: _Audience | None, depth: int) -> list[_Result]:
        """Who of the audience gets what is inside of the events."""
        if audience is None or not audience.seekers or depth >= _DEEPEST:
            return []
        try:
            inside = [one for event in events for one in self.contents.of(event)]
        except DecodeError as exc:
            self._unreadable = exc
            return []
        return self._look(inside, audience, depth + 1)

    def _look(self, events: Sequence[Event[Any]], audience: _Audience, depth: int) -> list[_Result]:
        """Who of the audience gets the events, or what is inside of them."""
        alike: dict[type[Any], list[Event[Any]]] = {}
        for event in events:
            alike.setdefault(type(event), []).append(event)
        found: list[_Result] = []
        for kind, those in alike.items():
            if issubclass(kind, Message):
                found += [result for one in those for result in self._of_message([one], audience, depth)]  # type: ignore[list-item]  # a message
            else:
                found += self._of_kind(kind, those, audience, depth)
        return found

    def _of_kind(self, kind: type[Any], events: list[Event[Any]], audience: _Audience, depth: int) -> list[_Result]:
        """Who gets events of one class that are no messages, or what is inside of them."""
        fitting, rather, deeper = audience.at(kind)
        found = self._results(fitting, events, depth)
        if (found or rather) and events[0].sender_wrote_contents:
            # As with a message: what is inside is for none but those that say so.
            place = (events[0].source, events[0].type)
            deeper = _Audience(
                [one for one in deeper.seekers if one in rather or any(each.via in place for each in one.triggers)]
            )
        before = self._unreadable
        inside = self._inside(events, deeper, depth)
        if inside or not rather:
            return [*found, *inside]
        # Nobody whom it concerns misses what can't be read.
        if len(deeper.seekers) == len(rather):
            self._unreadable = before
        return [*found, *self._results(rather, events, depth)]

    def _results(self, seekers: Sequence[_Seeker], events: list[Event[Any]], depth: int) -> list[_Result]:
        """What those that are for the events get of them."""
        found: list[_Result] = []
        others: list[tuple[_Seeker, list[Trigger]]] = []
        is_named = False
        for seeker in seekers:
            if not seeker.triggers:
                depth_of_it = -1 if seeker.kind is Event else depth
                found.append(_Result(_BARE, depth_of_it, [(seeker.function, events)], seeker))
                continue
            triggers = [trigger for trigger in seeker.triggers if _calls_for(trigger, events[0])]
            mine = [trigger for trigger in triggers if trigger.names(events[0])]
            if not mine:
                others.append((seeker, triggers))
            elif left := _wanted(events, mine):
                is_named = True
                found.append(_Result(_NAMED, depth, [(seeker.function, left)], seeker))
            else:
                self.is_filtered = True
                if any(trigger.name for trigger in mine):
                    self._refused.add(seeker.kind)
        # A notification may have thousands of records, and an entry many functions for other sources.
        for seeker, triggers in () if is_named else others:
            if left := _wanted(events, triggers):
                found.append(_Result(_ONLY, depth, [(seeker.function, left)], seeker))
            elif triggers:
                self.is_filtered = True
        return found


def _wanted(events: list[Event[Any]], triggers: list[Trigger]) -> list[Event[Any]]:
    """The events that a trigger wants."""
    return [one for one in events if any(trigger.wants(one) for trigger in triggers)]


def _find(kind: Kind, event: Event[Any], contents: _Contents) -> list[Event[Any]]:
    """The events of the kind that the event is, or that are inside of it at the first level that has some."""
    level = [event]
    for _ in range(_DEEPEST):
        fitting = [one for one in level if isinstance(one, kind)]
        if fitting and not (kind is Event and any(isinstance(one, CloudEvent) for one in fitting)):
            return fitting
        try:
            inside = [inner for one in level for inner in contents.of(one)]
        except DecodeError:
            if not fitting:
                raise
            inside = []
        if not inside:
            return fitting
        level = inside
    return []


def _calls_for(trigger: Trigger, event: Event[Any]) -> bool:
    """Whether the trigger is one for such an event; those for messages and events of a bus are also for what is inside."""
    return isinstance(event, trigger.kind) or (
        issubclass(trigger.kind, (Message, CloudEvent)) and bool(event.envelopes)
    )


def describe(event: Event[Any]) -> str:
    """An event, as an error names it."""
    kind = event.kind_name
    place = getattr(event, "channel", "") or getattr(event, "bucket", "") or getattr(event, "table", "")
    article = "an" if kind == "ObjectEvent" else "a"
    return f"{article} {kind} of {place or event.type or event.source!r}"


def _declared(trigger: Any) -> str:
    """A trigger as it is written, with what says which events it is for."""
    given = [*filter(None, (trigger.name,)), *getattr(trigger, "actions", ()), *getattr(trigger, "types", ())]
    shown = [repr(one) for one in given]
    named = {name: getattr(trigger, name, "") for name in ("prefix", "suffix", "source", "via")}
    shown += [f"{name}={value!r}" for name, value in named.items() if value]
    return f"on.{trigger.word}({', '.join(shown)})"
