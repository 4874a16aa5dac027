"""Replay recorded invocations on their provider or on another one."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from copy import copy
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeGuard

from portable_fn.adapter.binding import Binding, bindings
from portable_fn.data import parse_json
from portable_fn.errors import ConfigurationError, PortableError
from portable_fn.events import Batch, ChangeEvent, Event, Message, ObjectEvent, ScheduleEvent, Task
from portable_fn.http import Request
from portable_fn.providers import ADAPTERS
from portable_fn.record import Record
from portable_fn.recording.calls import Call, probes, reporting
from portable_fn.recording.payload_json import adapter_json, body_fields
from portable_fn.recording.recorder import VARIABLE, not_recorded, recorded_again
from portable_fn.recording.recording import MAX_BODY
from portable_fn.recording.redaction import redacted
from portable_fn.testing.delivery import deliver
from portable_fn.testing.extras import require_extras
from portable_fn.testing.native_json import native_payloads
from portable_fn.testing.results import Answer

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
    path = Path(recorded)
    recordings = [_read(name, text, to) for name, text in (_in_file(path) if path.is_file() else _in_folder(path))]
    if all(isinstance(recording, _Unreadable) for recording in recordings):
        raise ValueError(f"{recordings[0].file} isn't a recording: {recordings[0].why}")
    ignored = [_steps(text) for text in ignore]
    return Replay(_replayed(recording, handler, to, ignored) for recording in recordings)


def _in_folder(folder: Path) -> list[tuple[str, str | bytes | OSError]]:
    files = sorted(folder.glob("*.json"))
    if not files:
        raise ValueError(f"no recordings (*.json) in {folder}")
    return [(file.name, _content(file)) for file in files]


def _content(file: Path) -> bytes | OSError:
    try:
        return file.read_bytes()
    except OSError as exc:
        return exc


def _in_file(file: Path) -> list[tuple[str, str | bytes | OSError]]:
    if file.suffix == ".json":
        return [(file.name, _content(file))]
    recordings: list[tuple[str, str | bytes | OSError]] = []
    # Not splitlines: JSON strings may contain other line separators unescaped.
    for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").split("\n"), 1):
        recordings += [(f"{file.name}:{number}", text) for text in _in_line(line)]
    if not recordings:
        raise ValueError(f"no recordings (lines with {VARIABLE}) in {file}")
    return recordings


def _in_line(line: str) -> list[str]:
    """Return the recordings in a line of a log, which may be JSON with recordings in its strings."""
    mark = f"{VARIABLE} {{"
    if mark not in line:
        return []
    if line.lstrip()[:1] in ("{", "[", '"'):
        try:
            return [recording for text in _texts(json.loads(line)) for recording in _in_line(text)]
        except (ValueError, RecursionError):
            pass
    recordings = []
    at = line.find(mark)
    while at >= 0:
        start = at + len(mark) - 1
        try:
            _, end = _decoder.raw_decode(line, start)
            at = line.find(mark, end)
        except (ValueError, RecursionError):
            at = line.find(mark, start)
            end = len(line) if at < 0 else at
        recordings.append(line[start:end])
    return recordings


_decoder = json.JSONDecoder()


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for member in inside for text in _texts(member)]


class _Recorded:
    """A recording read from a file.

    Attributes:
        file: The file.
        provider: The provider.
        payload: The payload, as JSON.
        outcome: The recorded outcome.
        is_whole: Whether the payload has its body.
    """

    def __init__(self, file: str, provider: str, payload: Any, outcome: _Outcome, *, is_whole: bool) -> None:
        self.file = file
        self.provider = provider
        self.payload = payload
        self.outcome = outcome
        self.is_whole = is_whole


class _Unreadable:
    """A file, or a part of one, that isn't a recording."""

    def __init__(self, file: str, why: str) -> None:
        self.file = file
        self.why = why


def _read(file: str, text: str | bytes | OSError, to: str | None) -> Any:
    """Return a `_Recorded` or an `_Unreadable`."""
    if isinstance(text, OSError):
        return _Unreadable(file, str(text.strerror))
    try:
        recording = json.loads(text)
    except (ValueError, RecursionError) as exc:
        return _Unreadable(file, f"{type(exc).__name__}: it isn't JSON, or was cut short")
    if not isinstance(recording, dict) or not {"provider", "payload"} <= recording.keys():
        return _Unreadable(file, "it isn't an object with a provider and a payload")
    provider = recording["provider"]
    if not _is_known(provider, to):
        return _Unreadable(file, f"its provider is {str(provider)[:80]!r}, not one of {', '.join(ADAPTERS)}")
    require_extras(provider)
    cut, raised = recording.get("cut", []), recording.get("raised", {})
    if not _are_calls(recording.get("calls")):
        return _Unreadable(file, "its calls can't be read")
    if not isinstance(cut, list) or not isinstance(raised, dict) or not isinstance(raised.get("name", ""), str):
        return _Unreadable(file, "its members raised or cut can't be read")
    try:
        outcome = _Outcome.of(recording)
    except Exception as exc:
        return _Unreadable(file, f"its answer can't be read: {type(exc).__name__}")
    return _Recorded(file, provider, recording["payload"], outcome, is_whole="payload" not in cut)


def _is_known(provider: object, to: str | None) -> TypeGuard[str]:
    """Whether a recording may name the provider, whose adapter would be imported."""
    return isinstance(provider, str) and (
        provider in ADAPTERS
        or provider in (to, os.environ.get("PORTABLE_FN_PROVIDER"))
        or f"{provider}.simulate" in sys.modules
    )


def _are_calls(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(call, dict)
        and all(isinstance(call.get(name), str) for name in ("function", "kind"))
        and isinstance(call.get("events"), list)
        and all(map(_is_event, call["events"]))
        for call in value
    )


def _is_event(event: Any) -> bool:
    return (
        isinstance(event, dict)
        and all(isinstance(event.get(name), str) for name in ("id", "outcome"))
        and isinstance(event.get("after", 0), (int, float))
        and isinstance(event.get("error", ""), str)
    )


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


def _replayed(recording: Any, handler: object, to: str | None, ignore: Sequence[list[str]]) -> Replayed:
    if isinstance(recording, _Unreadable):
        return Replayed(recording.file, "", to or "", skipped=f"not a recording: {recording.why}")
    provider: str = recording.provider
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


class _Outcome:
    """The result of an invocation.

    Attributes:
        calls: The calls of functions.
        raised: The name of the error raised to the provider, or None.
        answer: The answer to a request, or None.
        is_whole: Whether the answer has its body.
    """

    def __init__(
        self,
        calls: list[Call],
        raised: str | None = None,
        answer: dict[str, Any] | None = None,
        *,
        is_whole: bool = True,
    ) -> None:
        self.calls = calls
        self.raised = raised
        self.answer = answer
        self.is_whole = is_whole

    @classmethod
    def of(cls, recorded: dict[str, Any]) -> _Outcome:
        """Return a recording's outcome."""
        answer = _http(recorded["provider"], recorded["payload"], recorded.get("answer"))
        is_whole = "answer" not in recorded.get("cut", ())
        return cls(recorded["calls"], recorded.get("raised", {}).get("name"), answer, is_whole=is_whole)


def _replay_there(payload: Any, provider: str, handler: object) -> _Outcome:
    """Replay on the recording's own provider: invoke with the same payload, and record that."""
    with recorded_again() as recordings:
        for native in native_payloads(payload, provider):
            native.invoke(provider, (handler,))
    outcomes = [_Outcome.of({**recording, "payload": payload}) for recording in recordings]
    last = outcomes[-1] if outcomes else _Outcome([])
    calls = [call for outcome in outcomes for call in outcome.calls]
    return _Outcome(calls, last.raised, last.answer, is_whole=last.is_whole)


def _replay_elsewhere(payload: Any, provider: str, handler: object, to: str) -> _Outcome:
    """Replay on another provider: deliver the events that each function gets from the payload."""
    with not_recorded():
        seen: list[tuple[Binding, Any]] = []
        for native in native_payloads(payload, provider):
            native.invoke(provider, probes(bindings(handler), lambda function, event: seen.append((function, event))))
        if not seen:
            raise ValueError("no function is called for it")
        return _deliver_seen(seen, to)


def _deliver_seen(seen: Sequence[tuple[Binding, Any]], to: str) -> _Outcome:
    outcome = _Outcome([])
    batches: dict[int, tuple[Binding, list[Event[Any]]]] = {}
    for function, event in seen:
        if isinstance(event, Request):
            answer = deliver(reporting([function], outcome.calls.append), _neutral_request(event), to=to)
            outcome.answer, outcome.is_whole = _answer_json(answer), len(answer.body) <= MAX_BODY
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


def _http(provider: str, payload: Any, native: Any) -> dict[str, Any] | None:
    """Return the recorded answer in the form of `_answer_json`; None if the recording isn't of a request."""
    read: Callable[[Any, Any], Answer | None] | None = getattr(adapter_json(provider), "http_answer", None)
    if read is not None and native is not None:
        answer = read(payload, native)
        return None if answer is None else _answer_json(answer)
    return native if isinstance(native, dict) and isinstance(native.get("headers"), dict) else None


def _answer_json(answer: Answer) -> dict[str, Any]:
    headers = {"content-type": answer.headers.get("content-type")}
    body = answer.body if len(answer.body) <= MAX_BODY else b""
    value: dict[str, Any] = redacted({"status": answer.status, "headers": headers, **body_fields(body)})
    return value


def _differences(old: _Outcome, new: _Outcome, ignore: Sequence[list[str]], *, same: bool) -> list[str]:
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


def _body(outcome: _Outcome) -> Any:
    assert outcome.answer is not None
    return outcome.answer.get("body", outcome.answer.get("body_base64", ""))


def _bodies(old: _Outcome, new: _Outcome, ignore: Sequence[list[str]]) -> tuple[Any, Any]:
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
