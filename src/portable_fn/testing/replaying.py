"""Replay recorded invocations on their provider or on another one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from copy import copy
from decimal import Decimal
from pathlib import Path
from typing import Any

from portable_fn.adapter.binding import Binding, bindings
from portable_fn.data import parse_json
from portable_fn.errors import ConfigurationError, PortableError
from portable_fn.events import Batch, ChangeEvent, Event, Message, ObjectEvent, ScheduleEvent, Task
from portable_fn.http import Request
from portable_fn.record import Record
from portable_fn.recording.calls import Call, probes, reporting
from portable_fn.recording.recorder import not_recorded, recorded_again
from portable_fn.recording.recording import MAX_BODY
from portable_fn.testing.delivery import deliver
from portable_fn.testing.native_json import native_payloads
from portable_fn.testing.recordings import Outcome, Recorded, Unreadable, answer_as_recorded, read_recordings

__all__ = ["Replay", "Replayed", "replay"]

# The largest float has 308 digits before the point. Writing the int of "1E+9999999" takes minutes.
_LARGEST = 307


class Replayed(Record):
    """A replayed recording.

    Attributes:
        file: The recording's file.
        of: The provider where it was recorded.
        to: The provider where it was replayed.
        differences: How the result differs from the recorded one.
        skipped: Why it couldn't be replayed, or "".
    """

    _fields = ("file", "of", "to", "differences", "skipped")

    def __init__(self, file: str, of: str, to: str, differences: Sequence[str] = (), skipped: str = "") -> None:
        self.file = file
        self.of = of
        self.to = to
        self.differences = list(differences)
        self.skipped = skipped


class Replay(list[Replayed]):
    """The replayed recordings, in the order in which they were recorded."""

    @property
    def differences(self) -> list[str]:
        """All differences, each with its file."""
        return [f"{replayed.file}: {difference}" for replayed in self for difference in replayed.differences]

    @property
    def skipped(self) -> list[str]:
        """The reasons why recordings couldn't be replayed, each with its file."""
        return [f"{replayed.file}: {replayed.skipped}" for replayed in self if replayed.skipped]


def replay(
    recorded: str | os.PathLike[str], handler: object, to: str | None = None, *, ignore: Sequence[str] = ()
) -> Replay:
    """Replay what PORTABLE_FN_RECORD recorded. The functions get the payloads without secrets, as they were recorded.

    A recording of a third party's adapter is replayed only if `to` or PORTABLE_FN_PROVIDER names that adapter, or if it is already
    imported. Unreadable recordings are skipped.

    Args:
        recorded: The folder of recordings, or a log file with the lines that PORTABLE_FN_RECORD=- printed.
        handler: The functions.
        to: The provider; by default the recording's own.
        ignore: Members of a JSON answer that may differ, such as ids and times: a name at any depth, `"created_at"`, or a path
            from the top, `"/items/*/id"`, in which `*` is any member or index.

    Raises:
        ValueError: There are no readable recordings.
    """
    recordings = read_recordings(Path(recorded), to)
    ignored = [_steps(text) for text in ignore]
    return Replay(_replayed(recording, handler, to, ignored) for recording in recordings)


def _steps(text: str) -> list[str]:
    """Return the steps of a path to ignore; a name alone matches at any depth, so its first step is "**"."""
    if not isinstance(text, str) or not text.strip("/"):
        raise ValueError(f"ignore takes names and paths such as '/items/*/id', not {text!r}")
    steps = text.removeprefix("/").split("/")
    return steps if text.startswith("/") or len(steps) > 1 else ["**", *steps]


def _without(value: Any, paths: Sequence[list[str]]) -> Any:
    """Return the JSON value with null instead of each member that a path names."""
    if [] in paths:
        return None
    if not paths or not isinstance(value, (dict, list)):
        return value
    members = value.items() if isinstance(value, dict) else enumerate(value)
    kept = {name: _without(member, _remaining(paths, str(name))) for name, member in members}
    return kept if isinstance(value, dict) else list(kept.values())


def _remaining(paths: Sequence[list[str]], name: str) -> list[list[str]]:
    """Return the rest of each path that goes through the member."""
    remaining: list[list[str]] = []
    for path in paths:
        if path[0] == "**":
            remaining.append([] if path[1] in (name, "*") else path)
        elif path[0] in (name, "*"):
            remaining.append(path[1:])
    return remaining


def _replayed(
    recording: Recorded | Unreadable, handler: object, to: str | None, ignore: Sequence[list[str]]
) -> Replayed:
    if isinstance(recording, Unreadable):
        return Replayed(recording.file, "", to or "", skipped=f"not a recording: {recording.why}")
    provider = recording.provider
    target = to or provider
    if not recording.is_whole:
        return Replayed(recording.file, provider, target, skipped="its body was too long to record, or was cut off")
    try:
        outcome = (
            _replay_there(recording.payload, provider, handler)
            if target == provider
            else _replay_elsewhere(recording.payload, provider, handler, target)
        )
    except (ConfigurationError, ImportError):
        raise
    except (PortableError, ValueError) as exc:
        return Replayed(recording.file, provider, target, skipped=str(exc))
    except Exception as exc:
        why = f"{target} can't deliver it: {type(exc).__name__}: {exc}"
        return Replayed(recording.file, provider, target, skipped=why)
    differences = _differences(recording.outcome, outcome, ignore, same=target == provider)
    return Replayed(recording.file, provider, target, differences)


def _replay_there(payload: Any, provider: str, handler: object) -> Outcome:
    """Replay on the recording's own provider: invoke with the same payload, and record that."""
    with recorded_again() as recordings:
        for native in native_payloads(payload, provider):
            native.invoke(provider, (handler,))
    outcomes = [Outcome.of({**recording, "payload": payload}) for recording in recordings]
    last = outcomes[-1] if outcomes else Outcome([])
    calls = [call for outcome in outcomes for call in outcome.calls]
    return Outcome(calls, last.raised, last.answer, is_whole=last.is_whole)


def _replay_elsewhere(payload: Any, provider: str, handler: object, to: str) -> Outcome:
    """Replay on another provider: deliver the events that each function gets from the payload."""
    with not_recorded():
        seen: list[tuple[Binding, Any]] = []
        for native in native_payloads(payload, provider):
            native.invoke(provider, probes(bindings(handler), lambda function, event: seen.append((function, event))))
        if not seen:
            raise ValueError("no function is called for it")
        return _deliver_seen(seen, to)


def _deliver_seen(seen: Sequence[tuple[Binding, Any]], to: str) -> Outcome:
    outcome = Outcome([])
    batches: dict[int, tuple[Binding, list[Event[Any]]]] = {}
    for function, event in seen:
        if isinstance(event, Request):
            answer = deliver(reporting([function], outcome.calls.append), _neutral_request(event), to=to)
            outcome.answer, outcome.is_whole = answer_as_recorded(answer), len(answer.body) <= MAX_BODY
        else:
            events = event if isinstance(event, Batch) else [event]
            batch = batches.setdefault(id(function), (function, []))[1]
            batch.extend(_neutral(member, function) for member in events)
    for function, batch in batches.values():
        delivery = deliver(reporting([function], outcome.calls.append), batch, to=to)
        outcome.raised = None if delivery.error is None else delivery.error[0]
    return outcome


def _neutral_request(request: Request[Any]) -> Request[Any]:
    """Return the request without what its provider added."""
    headers = request.headers.multi_items()
    neutral = request.copy(
        [(name, value) for name, value in headers if not name.startswith("x-forwarded-") and name != "host"]
    )
    neutral.params, neutral.root_path, neutral.native = {}, "", None
    return neutral


def _neutral(event: Event[Any], function: Binding) -> Event[Any]:
    """Return the event without its provider's source, type, partition and sequence."""
    neutral: Any = copy(event)
    if isinstance(event, Message):
        neutral.source = event.channel
    elif isinstance(event, ObjectEvent):
        neutral.source, neutral.type = event.bucket, ""
    elif isinstance(event, ChangeEvent):
        neutral.source, neutral.type = event.table, ""
        neutral.key, neutral.before, neutral.after = map(_plain_numbers, (event.key, event.before, event.after))
    elif isinstance(event, ScheduleEvent):
        # Some providers send only a time.
        neutral.name = neutral.source = event.name or function.name
    elif isinstance(event, Task):
        # The recorded name is that of the deployed function; `deliver` sets the portable function's.
        neutral.name = ""
    if isinstance(event, (Message, ChangeEvent)):
        neutral.partition = neutral.sequence = None
    return neutral  # type: ignore[no-any-return]  # a copy


def _plain_numbers(value: Any) -> Any:
    """Replace decimals by int or float, which every table has; raise ValueError if one is too large for a float."""
    if isinstance(value, Decimal):
        if value.is_finite() and value.adjusted() > _LARGEST:
            raise ValueError(f"a number of {value.adjusted() + 1} digits is too large for another provider")
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {name: _plain_numbers(member) for name, member in value.items()}
    return [_plain_numbers(item) for item in value] if isinstance(value, list) else value


def _differences(old: Outcome, new: Outcome, ignore: Sequence[list[str]], *, same: bool) -> list[str]:
    differences = [*_call_differences(old.calls, new.calls)]
    # Only the answer to a request is the same on every provider.
    if same and old.raised != new.raised:
        differences.append(f"the invocation raised {old.raised or 'nothing'}, now {new.raised or 'nothing'}")
    if old.answer is not None and new.answer is not None and _is_for_request(old.calls, new.calls):
        for name, before, after in (
            ("status", old.answer.get("status"), new.answer.get("status")),
            ("content type", _content_type(old.answer), _content_type(new.answer)),
            ("body", *_bodies(old, new, ignore)),
        ):
            if before != after:
                differences.append(f"the answer's {name} was {_short(before)}, and is {_short(after)}")
    return differences


def _is_for_request(*recorded: list[Call]) -> bool:
    return all(call["kind"] in ("Request", "Event") for calls in recorded for call in calls)


def _content_type(answer: dict[str, Any]) -> Any:
    return (answer.get("headers") or {}).get("content-type")


def _body(outcome: Outcome) -> Any:
    assert outcome.answer is not None
    return outcome.answer.get("body", outcome.answer.get("body_base64", ""))


def _bodies(old: Outcome, new: Outcome, ignore: Sequence[list[str]]) -> tuple[Any, Any]:
    """Return both bodies, without ignored members if both are JSON; None for both if one was too long to record."""
    if not (old.is_whole and new.is_whole):
        return None, None
    before, after = _body(old), _body(new)
    if ignore and before != after:
        try:
            return _without(parse_json(before), ignore), _without(parse_json(after), ignore)
        except ValueError:
            pass
    return before, after


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:197]}..."


def _call_differences(old: list[Call], new: list[Call]) -> list[str]:
    before, after = _by_event(old), _by_event(new)
    if set(before) != set(after):
        # Requests, schedules and tasks have a new id in each invocation.
        before, after = _by_order(old), _by_order(new)
    differences = []
    for name in dict.fromkeys([*before, *after]):
        was, now = before.get(name, "not called"), after.get(name, "not called")
        if was != now:
            differences.append(f"{' '.join(filter(None, name))} was {was}, and is {now}")
    return differences


def _by_event(calls: list[Call]) -> dict[tuple[str, str], str]:
    return {(call["function"], event["id"]): _word(event) for call in calls for event in call["events"]}


def _by_order(calls: list[Call]) -> dict[tuple[str, str], str]:
    words = [(call["function"], _word(event)) for call in calls for event in call["events"]]
    if len(words) == 1:
        return {(words[0][0], ""): words[0][1]}
    return {(name, f"call {number}"): word for number, (name, word) in enumerate(words, 1)}


def _word(event: dict[str, Any]) -> str:
    word: str = event["outcome"]
    if "after" in event:
        word += f" after {event['after']:g} s"
    return f"{word} {event['error']}" if "error" in event else word
