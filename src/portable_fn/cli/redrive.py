"""Dead letters sent back to where their events came from: each is deleted only after the queue has acknowledged its event."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any, Protocol

from portable_fn.adapter.dead_letter import reason
from portable_fn.cli.errors import Failure
from portable_fn.errors import ConfigurationError, PortableError
from portable_fn.events import BROKEN, Event, Message
from portable_fn.providers import adapter

SENT, WOULD, LEFT = "sent", "would be sent", "left"


class Letters(Protocol):
    """A queue of dead letters; an adapter's module `redrive` has `letters(queue, service)`, and `SERVICES`."""

    def receive(self) -> Sequence[Message[Any]]:
        """Take some letters out, for a minute at least; none if there are no more. Their `native` is what deletes them."""
        ...

    def event(self, letter: Message[Any]) -> Event[Any]:
        """The event that the letter is about; the letter itself if the provider dead-lettered it."""
        ...

    def destination(self, letter: Message[Any]) -> str:
        """Where the letter's event came from, "" if it can't be sent there."""
        ...

    def send(self, letter: Message[Any], event: Event[Any], to: str) -> None:
        """Send the event; ValueError if it can't be sent there, PortableError if it wasn't."""
        ...

    def delete(self, letter: Message[Any]) -> None:
        """Delete a letter that was taken out."""
        ...

    def release(self, letters: Sequence[Message[Any]]) -> None:
        """Put back letters that were taken out."""
        ...


@dataclass(frozen=True)
class Redriven:
    """What became of a letter: "sent", "would be sent" or "left", and `why`."""

    id: str
    kind: str
    reason: str
    to: str
    outcome: str
    why: str = ""

    def __str__(self) -> str:
        shown = [self.outcome, self.id, *(["→", self.to] if self.to else []), f"({self.reason})" if self.reason else ""]
        return " ".join(filter(None, shown)) + (f": {self.why}" if self.why else "")


def letters_of(queue: str, where: str) -> Letters:
    """The queue of dead letters of a provider, or of one of its services, as in azure/storage_queue."""
    provider, _, service = where.partition("/")
    try:
        package = adapter(provider)
    except ConfigurationError as exc:
        raise Failure(str(exc)) from exc
    if find_spec(f"{package.__name__}.redrive") is None:
        raise Failure(
            f"dead letters of {provider} can't be read from here: let a function read them, and call the event's own "
            "function with portable_fn.adapter.dead_letter.restored(letter)"
        )
    module = adapter(provider, "redrive")
    service = service or module.SERVICES[0]
    if service not in module.SERVICES:
        raise Failure(f"{provider} has no dead letters in {service!r}; possible are {', '.join(module.SERVICES)}")
    try:
        found: Letters = module.letters(queue, service)
    except (PortableError, ValueError) as exc:
        raise Failure(str(exc)) from exc
    return found


def redriven(letters: Letters, to: str | None, limit: int | None, dry_run: bool) -> Iterator[Redriven]:
    """Send the letters' events, each to where it came from or `to`, and delete them; tells of each as it is done.

    It ends with the last letter, after `limit`, or with the first event that the queue doesn't take.
    """
    held: list[Message[Any]] = []
    seen: set[str] = set()
    count = 0
    try:
        while limit is None or count < limit:
            received = letters.receive()
            # What is left is not to be taken out again, before it is put back.
            new = [letter for letter in received if letter.id not in seen]
            if not new:
                held += received
                return
            for number, letter in enumerate(received):
                if letter.id in seen:
                    held.append(letter)
                    continue
                seen.add(letter.id)
                if limit is not None and count >= limit:
                    held += received[number:]
                    return
                count += 1
                try:
                    one = _one(letters, letter, to, dry_run)
                except BaseException:
                    held += received[number:]
                    raise
                if one.outcome != SENT:
                    held.append(letter)
                yield one
                if one.outcome == LEFT and one.why.startswith(_REFUSED):
                    held += received[number + 1 :]
                    return
    finally:
        if held:
            letters.release(held)


_REFUSED = "it wasn't sent"


def _one(letters: Letters, letter: Message[Any], to: str | None, dry_run: bool) -> Redriven:
    event: Event[Any] = letter
    why = ""
    try:
        event = letters.event(letter)
        why = "" if event is letter else reason(letter) or ""
        there = to or letters.destination(letter)
    except BROKEN as exc:
        return Redriven(letter.id, "", why, "", LEFT, f"it can't be read: {exc}")
    except PortableError as exc:
        # Such as a subscription that is gone.
        return Redriven(event.id, event.kind_name, why, "", LEFT, f"its place can't be found: {exc}")

    def ended(outcome: str, told: str = "") -> Redriven:
        return Redriven(event.id, event.kind_name, why, there, outcome, told)

    if not there:
        return ended(LEFT, f"nothing tells a queue that takes a {event.kind_name} of {event.source}: --to names one")
    if dry_run:
        return ended(WOULD)
    try:
        letters.send(letter, event, there)
    except (ValueError, TypeError) as exc:
        return ended(LEFT, str(exc))
    except PortableError as exc:
        return ended(LEFT, f"{_REFUSED}: {exc}")
    try:
        letters.delete(letter)
    except PortableError as exc:
        return ended(SENT, f"but it is still among the dead letters: {exc}")
    return ended(SENT)


def summary(found: Sequence[Redriven]) -> str:
    """How many letters there were, and what became of them."""
    if not found:
        return "There are no dead letters."
    counts = [(outcome, sum(one.outcome == outcome for one in found)) for outcome in (SENT, WOULD, LEFT)]
    return ", ".join(f"{count} {outcome}" for outcome, count in counts if count) + "."


def as_json(found: Sequence[Redriven]) -> Any:
    """What became of the letters, as an object of JSON."""
    return {"letters": [asdict(one) for one in found]}
