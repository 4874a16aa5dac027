"""Send dead letters back to the sources of their events. Delete each only after the queue has acknowledged its event."""

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
    """A queue of dead letters. An adapter's module `redrive` has `letters(queue, service)` and `SERVICES`."""

    def receive(self) -> Sequence[Message[Any]]:
        """Take some letters out for at least a minute. Return none if there are no more. Their `native` deletes them."""
        ...

    def event(self, letter: Message[Any]) -> Event[Any]:
        """Return the rejected event, or the letter itself if the provider dead-lettered it."""
        ...

    def destination(self, letter: Message[Any]) -> str:
        """Return the source of the letter's event, or "" if it can't be sent there."""
        ...

    def send(self, letter: Message[Any], event: Event[Any], to: str) -> None:
        """Send the event.

        Raises:
            ValueError: The event can't be sent there.
            PortableError: Sending failed.
        """
        ...

    def delete(self, letter: Message[Any]) -> None:
        """Delete a letter that was taken out."""
        ...

    def release(self, letters: Sequence[Message[Any]]) -> None:
        """Put back letters that were taken out."""
        ...


@dataclass(frozen=True)
class Redriven:
    """The outcome of a letter: "sent", "would be sent" or "left", and `why`."""

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
    """Return the queue of dead letters of a provider, or of a service such as azure/storage_queue."""
    provider, _, service = where.partition("/")
    try:
        package = adapter(provider)
    except ConfigurationError as exc:
        raise Failure(str(exc)) from exc
    if find_spec(f"{package.__name__}.redrive") is None:
        raise Failure(
            f"dead letters of {provider} can't be read from here: let a function read them and call the event's "
            "function with portable_fn.adapter.dead_letter.restored(letter)"
        )
    module = adapter(provider, "redrive")
    service = service or module.SERVICES[0]
    if service not in module.SERVICES:
        raise Failure(f"{provider} has no dead letters in {service!r}; possible are {', '.join(module.SERVICES)}")
    try:
        letters: Letters = module.letters(queue, service)
    except (PortableError, ValueError) as exc:
        raise Failure(str(exc)) from exc
    return letters


def redriven(letters: Letters, to: str | None, limit: int | None, dry_run: bool) -> Iterator[Redriven]:
    """Send the letters' events to their sources or to `to`, delete the letters, and yield the outcome of each.

    It stops after the last letter, after `limit` letters, or at the first event that the queue refuses.
    """
    held: list[Message[Any]] = []
    seen: set[str] = set()
    count = 0
    try:
        while limit is None or count < limit:
            received = letters.receive()
            # Letters that are left stay taken out until the end, so that none is taken out twice.
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
                    outcome = _redrive(letters, letter, to, dry_run)
                except BaseException:
                    held += received[number:]
                    raise
                if outcome.outcome != SENT:
                    held.append(letter)
                yield outcome
                if outcome.outcome == LEFT and outcome.why.startswith(_REFUSED):
                    held += received[number + 1 :]
                    return
    finally:
        if held:
            letters.release(held)


_REFUSED = "it wasn't sent"


def _redrive(letters: Letters, letter: Message[Any], to: str | None, dry_run: bool) -> Redriven:
    event: Event[Any] = letter
    why = ""
    try:
        event = letters.event(letter)
        why = "" if event is letter else reason(letter) or ""
        there = to or letters.destination(letter)
    except BROKEN as exc:
        return Redriven(letter.id, "", why, "", LEFT, f"it can't be read: {exc}")
    except PortableError as exc:
        # For example, its subscription was deleted.
        return Redriven(event.id, event.kind_name, why, "", LEFT, f"its source can't be found: {exc}")

    def ended(outcome: str, note: str = "") -> Redriven:
        return Redriven(event.id, event.kind_name, why, there, outcome, note)

    if not there:
        return ended(LEFT, f"no queue is known for a {event.kind_name} of {event.source}: name one with --to")
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


def summary(letters: Sequence[Redriven]) -> str:
    """Count the letters by outcome."""
    if not letters:
        return "There are no dead letters."
    counts = [(outcome, sum(letter.outcome == outcome for letter in letters)) for outcome in (SENT, WOULD, LEFT)]
    return ", ".join(f"{count} {outcome}" for outcome, count in counts if count) + "."


def as_json(letters: Sequence[Redriven]) -> Any:
    """Return the outcomes of the letters as a JSON object."""
    return {"letters": [asdict(letter) for letter in letters]}
