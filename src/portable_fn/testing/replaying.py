"""Recorded invocations once more, on the provider where they were recorded or on another one."""

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
from portable_fn.recording.recorder import MAX_BODY, VARIABLE, not_recorded, recorded_again
from portable_fn.recording.redaction import redacted
from portable_fn.testing.delivery import deliver
from portable_fn.testing.extras import require_extras
from portable_fn.testing.native_json import native_payloads
from portable_fn.testing.results import Answer

# Digits before the point of the largest float, less one; to write the int of "1E+9999999" takes minutes.
_LARGEST = 307


class Replayed(Record):
    """One recording, replayed: its `file`, the provider that it is `of` and that it was replayed `to`.

    `differences` say what came out otherwise, `skipped` why it couldn't be replayed there, "" where it was.
    """

    _fields = ("file", "of", "to", "differences", "skipped")

    def __init__(self, file: str, of: str, to: str, differences: Sequence[str] = (), skipped: str = "") -> None:
        self.file = file
        self.of = of
        self.to = to
        self.differences = list(differences)
        self.skipped = skipped


class Replay(list[Replayed]):
    """The recordings, replayed, in the order in which they were recorded."""

    @property
    def differences(self) -> list[str]:
        """What came out otherwise, of all of them, each after its file."""
        return [f"{one.file}: {difference}" for one in self for difference in one.differences]

    @property
    def skipped(self) -> list[str]:
        """Why some couldn't be replayed, each after its file."""
        return [f"{one.file}: {one.skipped}" for one in self if one.skipped]


def replay(
    recorded: str | os.PathLike[str], handler: object, to: str | None = None, *, ignore: Sequence[str] = ()
) -> Replay:
    """Runs what PORTABLE_FN_RECORD recorded, on the provider of each, or on another one.

    `ignore` has the members of a JSON answer that may differ, such as ids and times: a name, `"created_at"`, wherever it stands,
    or a path from the top, `"/items/*/id"`, in which `*` is any member or place.

    `recorded` is its folder, or a file with the lines that "-" printed, whatever a console put before and around them. The
    function sees the payload as it was recorded, without secrets. ValueError where there are no recordings; what can't be
    read among them is skipped. One of a third party's adapter is replayed where `to` or PORTABLE_FN_PROVIDER names that
    adapter, or it has been used before.
    """
    place = Path(recorded)
    found = [_read(name, text, to) for name, text in (_in_file(place) if place.is_file() else _in_folder(place))]
    if all(isinstance(one, _Unreadable) for one in found):
        raise ValueError(f"{found[0].file} is no recording: {found[0].why}")
    paths = [_path(one) for one in ignore]
    return Replay(_replayed(one, handler, to, paths) for one in found)


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
    found: list[tuple[str, str | bytes | OSError]] = []
    # Not splitlines: a text of JSON's may have other ends of lines as they are.
    for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").split("\n"), 1):
        found += [(f"{file.name}:{number}", text) for text in _in_line(line)]
    if not found:
        raise ValueError(f"no recordings (lines with {VARIABLE}) in {file}")
    return found


def _in_line(line: str) -> list[str]:
    """The recordings in a line of a log, which may be JSON that has them in a text."""
    mark = f"{VARIABLE} {{"
    if mark not in line:
        return []
    if line.lstrip()[:1] in ("{", "[", '"'):
        try:
            return [one for text in _texts(json.loads(line)) for one in _in_line(text)]
        except (ValueError, RecursionError):
            pass
    found = []
    at = line.find(mark)
    while at >= 0:
        start = at + len(mark) - 1
        try:
            _, end = _decoder.raw_decode(line, start)
            at = line.find(mark, end)
        except (ValueError, RecursionError):
            at = line.find(mark, start)
            end = len(line) if at < 0 else at
        found.append(line[start:end])
    return found


_decoder = json.JSONDecoder()


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for one in inside for text in _texts(one)]


class _Recorded:
    """A recording as it was read."""

    def __init__(self, file: str, provider: str, payload: Any, was: _Outcome, *, is_whole: bool) -> None:
        self.file = file
        self.provider = provider
        self.payload = payload
        self.was = was
        self.is_whole = is_whole


class _Unreadable:
    """What is no recording."""

    def __init__(self, file: str, why: str) -> None:
        self.file = file
        self.why = why


def _read(file: str, text: str | bytes | OSError, to: str | None) -> Any:
    """A `_Recorded`, or an `_Unreadable`."""
    if isinstance(text, OSError):
        return _Unreadable(file, str(text.strerror))
    try:
        made = json.loads(text)
    except (ValueError, RecursionError) as exc:
        return _Unreadable(file, f"{type(exc).__name__}: it isn't JSON, or was cut short")
    if not isinstance(made, dict) or not {"provider", "payload"} <= made.keys():
        return _Unreadable(file, "it is no object with a provider and a payload")
    provider = made["provider"]
    if not _is_known(provider, to):
        return _Unreadable(file, f"its provider is {str(provider)[:80]!r}, which is none of {', '.join(ADAPTERS)}")
    require_extras(provider)
    cut, raised = made.get("cut", []), made.get("raised", {})
    if not _are_calls(made.get("calls")):
        return _Unreadable(file, "its calls can't be read")
    if not isinstance(cut, list) or not isinstance(raised, dict) or not isinstance(raised.get("name", ""), str):
        return _Unreadable(file, "what was raised, or cut, can't be read")
    try:
        was = _Outcome.of(made)
    except Exception as exc:
        return _Unreadable(file, f"its answer can't be read: {type(exc).__name__}")
    return _Recorded(file, provider, made["payload"], was, is_whole="payload" not in cut)


def _is_known(provider: object, to: str | None) -> TypeGuard[str]:
    """Whether a recording may name the provider: its adapter is a module, which is imported."""
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
        and all(map(_is_told, call["events"]))
        for call in value
    )


def _is_told(event: Any) -> bool:
    return (
        isinstance(event, dict)
        and all(isinstance(event.get(name), str) for name in ("id", "outcome"))
        and isinstance(event.get("after", 0), (int, float))
        and isinstance(event.get("error", ""), str)
    )


def _path(text: str) -> list[str]:
    """The steps of a path to ignore; a name alone is found at any depth, as its first step "**" says."""
    if not isinstance(text, str) or not text.strip("/"):
        raise ValueError(f"ignore takes a name or a path such as '/items/*/id', not {text!r}")
    steps = text.removeprefix("/").split("/")
    return steps if text.startswith("/") or len(steps) > 1 else ["**", *steps]


def _without(value: Any, paths: Sequence[list[str]]) -> Any:
    """The JSON value with null in place of each member that a path leads to."""
    if [] in paths:
        return None
    if not paths or not isinstance(value, (dict, list)):
        return value
    members = value.items() if isinstance(value, dict) else enumerate(value)
    made = {name: _without(one, _further(paths, str(name))) for name, one in members}
    return made if isinstance(value, dict) else list(made.values())


def _further(paths: Sequence[list[str]], name: str) -> list[list[str]]:
    """What is left of the paths that go through the member."""
    left: list[list[str]] = []
    for path in paths:
        if path[0] == "**":
            left.append([] if path[1] in (name, "*") else path)
        elif path[0] in (name, "*"):
            left.append(path[1:])
    return left


def _replayed(one: Any, handler: object, to: str | None, ignore: Sequence[list[str]]) -> Replayed:
    if isinstance(one, _Unreadable):
        return Replayed(one.file, "", to or "", skipped=f"no recording: {one.why}")
    provider: str = one.provider
    where = to or provider
    if not one.is_whole:
        return Replayed(one.file, provider, where, skipped="its body is too long to be kept, or broke off")
    try:
        found = (
            _again(one.payload, provider, handler)
            if where == provider
            else _elsewhere(one.payload, provider, handler, where)
        )
    except (ConfigurationError, ImportError):
        raise
    except (PortableError, ValueError) as exc:
        return Replayed(one.file, provider, where, skipped=str(exc))
    except Exception as exc:
        why = f"{where} can't hand it over: {type(exc).__name__}: {exc}"
        return Replayed(one.file, provider, where, skipped=why)
    return Replayed(one.file, provider, where, _differences(one.was, found, ignore, same=where == provider))


class _Outcome:
    """What came out: the calls of functions, what was raised to the provider, and the answer to a request.

    `is_whole` says that the answer has its body.
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
        """What came out by a recording."""
        answer = _http(recorded["provider"], recorded["payload"], recorded.get("answer"))
        is_whole = "answer" not in recorded.get("cut", ())
        return cls(recorded["calls"], recorded.get("raised", {}).get("name"), answer, is_whole=is_whole)


def _again(payload: Any, provider: str, handler: object) -> _Outcome:
    """On the provider where it was recorded, with the payload as it is: recorded once more."""
    with recorded_again() as made:
        for one in native_payloads(payload, provider):
            one.invoke(provider, (handler,))
    outcomes = [_Outcome.of({**one, "payload": payload}) for one in made]
    last = outcomes[-1] if outcomes else _Outcome([])
    calls = [call for one in outcomes for call in one.calls]
    return _Outcome(calls, last.raised, last.answer, is_whole=last.is_whole)


def _elsewhere(payload: Any, provider: str, handler: object, to: str) -> _Outcome:
    """On another provider, with what each function got of the payload."""
    with not_recorded():
        return _delivered(payload, provider, handler, to)


def _delivered(payload: Any, provider: str, handler: object, to: str) -> _Outcome:
    seen: list[tuple[Binding, Any]] = []
    for one in native_payloads(payload, provider):
        one.invoke(provider, probes(bindings(handler), lambda function, event: seen.append((function, event))))
    if not seen:
        raise ValueError("no function is called for it")
    found = _Outcome([])
    together: dict[int, tuple[Binding, list[Event[Any]]]] = {}
    for function, event in seen:
        if isinstance(event, Request):
            answer = deliver(reporting([function], found.calls.append), _request(event), to=to)
            found.answer, found.is_whole = _of_answer(answer), len(answer.body) <= MAX_BODY
        else:
            those = event if isinstance(event, Batch) else [event]
            together.setdefault(id(function), (function, []))[1].extend(_neutral(one, function) for one in those)
    for function, events in together.values():
        delivery = deliver(reporting([function], found.calls.append), events, to=to)
        found.raised = None if delivery.error is None else delivery.error[0]
    return found


def _request(request: Request[Any]) -> Request[Any]:
    """The request without what its provider had of it."""
    headers = request.headers.multi_items()
    neutral = request.copy(
        [(name, value) for name, value in headers if not name.startswith("x-forwarded-") and name != "host"]
    )
    neutral.params, neutral.root_path, neutral.native = {}, "", None
    return neutral


def _neutral(event: Event[Any], function: Binding) -> Event[Any]:
    """The event, with the short name of its source and without its place there: these are its provider's."""
    made: Any = copy(event)
    if isinstance(event, Message):
        made.source = event.channel
    elif isinstance(event, ObjectEvent):
        made.source, made.type = event.bucket, ""
    elif isinstance(event, ChangeEvent):
        made.source, made.type = event.table, ""
        made.key, made.before, made.after = map(_plain_numbers, (event.key, event.before, event.after))
    elif isinstance(event, ScheduleEvent):
        # Some have but a time; those with names have names throughout.
        made.name = made.source = event.name or function.name
    elif isinstance(event, Task):
        # Where it was recorded the name is that of what was deployed; here it is the function's.
        made.name = ""
    if isinstance(event, (Message, ChangeEvent)):
        made.partition = made.sequence = None
    return made  # type: ignore[no-any-return]  # a copy


def _plain_numbers(value: Any) -> Any:
    """Decimals as int where they are whole, else float, which every table knows; ValueError for one that no float holds."""
    if isinstance(value, Decimal):
        if value.is_finite() and value.adjusted() > _LARGEST:
            raise ValueError(f"a number of {value.adjusted() + 1} digits is too large for another provider")
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {name: _plain_numbers(one) for name, one in value.items()}
    return [_plain_numbers(one) for one in value] if isinstance(value, list) else value


def _http(provider: str, payload: Any, native: Any) -> dict[str, Any] | None:
    """The recorded answer to a request as `_of_answer` has it; None where it was none to a request."""
    read: Callable[[Any, Any], Answer | None] | None = getattr(adapter_json(provider), "http_answer", None)
    if read is not None and native is not None:
        answer = read(payload, native)
        return None if answer is None else _of_answer(answer)
    return native if isinstance(native, dict) and isinstance(native.get("headers"), dict) else None


def _of_answer(answer: Answer) -> dict[str, Any]:
    headers = {"content-type": answer.headers.get("content-type")}
    body = answer.body if len(answer.body) <= MAX_BODY else b""
    made: dict[str, Any] = redacted({"status": answer.status, "headers": headers, **body_fields(body)})
    return made


def _differences(was: _Outcome, found: _Outcome, ignore: Sequence[list[str]], *, same: bool) -> list[str]:
    told = [*_of_calls(was.calls, found.calls)]
    # What reaches a provider for an event is its own; that of a request is the same everywhere.
    if same and was.raised != found.raised:
        told.append(f"the invocation raised {was.raised or 'nothing'}, and now {found.raised or 'nothing'}")
    if was.answer is not None and found.answer is not None and _is_for_request(was.calls, found.calls):
        for name, before, after in (
            ("status", was.answer.get("status"), found.answer.get("status")),
            ("content type", _content_type(was.answer), _content_type(found.answer)),
            ("body", *_bodies(was, found, ignore)),
        ):
            if before != after:
                told.append(f"the answer's {name} was {_shown(before)}, and is {_shown(after)}")
    return told


def _is_for_request(*calls: list[Call]) -> bool:
    return all(call["kind"] in ("Request", "Event") for those in calls for call in those)


def _content_type(answer: dict[str, Any]) -> Any:
    return (answer.get("headers") or {}).get("content-type")


def _body(one: _Outcome, other: _Outcome) -> Any:
    """The body of the answer; nothing is known of that which was too long to be kept."""
    assert one.answer is not None
    return one.answer.get("body", one.answer.get("body_base64", "")) if one.is_whole and other.is_whole else None


def _bodies(was: _Outcome, found: _Outcome, ignore: Sequence[list[str]]) -> tuple[Any, Any]:
    """Both bodies, without what is to be ignored if both are JSON."""
    before, after = _body(was, found), _body(found, was)
    if ignore and before != after and before is not None and after is not None:
        try:
            return _without(parse_json(before), ignore), _without(parse_json(after), ignore)
        except ValueError:
            pass
    return before, after


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:197]}..."


def _of_calls(was: list[Call], found: list[Call]) -> list[str]:
    before, after = _by_event(was), _by_event(found)
    if set(before) != set(after):
        # Ids of requests, schedules and tasks are of the invocation.
        before, after = _in_turn(was), _in_turn(found)
    told = []
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name, "not called"), after.get(name, "not called")
        if old != new:
            told.append(f"{' '.join(filter(None, name))} was {old}, and is {new}")
    return told


def _by_event(calls: list[Call]) -> dict[tuple[str, str], str]:
    return {(call["function"], one["id"]): _word(one) for call in calls for one in call["events"]}


def _in_turn(calls: list[Call]) -> dict[tuple[str, str], str]:
    words = [(call["function"], _word(one)) for call in calls for one in call["events"]]
    if len(words) == 1:
        return {(words[0][0], ""): words[0][1]}
    return {(name, f"call {number}"): word for number, (name, word) in enumerate(words, 1)}


def _word(event: dict[str, Any]) -> str:
    word: str = event["outcome"]
    if "after" in event:
        word += f" after {event['after']:g} s"
    return f"{word} {event['error']}" if "error" in event else word
