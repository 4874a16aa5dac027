"""Read recordings from files and logs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeGuard

from portable_fn.providers import ADAPTERS
from portable_fn.recording.calls import Call
from portable_fn.recording.payload_json import adapter_json, body_fields
from portable_fn.recording.recorder import VARIABLE
from portable_fn.recording.recording import MAX_BODY
from portable_fn.recording.redaction import redacted
from portable_fn.testing.extras import require_extras
from portable_fn.testing.results import Answer

__all__ = ["Outcome", "Recorded", "Unreadable", "answer_as_recorded", "read_recordings"]


class Recorded:
    """A recording read from a file.

    Attributes:
        file: The file.
        provider: The provider.
        payload: The payload, as JSON.
        outcome: The recorded outcome.
        is_whole: Whether the payload has its body.
    """

    def __init__(self, file: str, provider: str, payload: Any, outcome: Outcome, *, is_whole: bool) -> None:
        self.file = file
        self.provider = provider
        self.payload = payload
        self.outcome = outcome
        self.is_whole = is_whole


class Unreadable:
    """A file, or a part of one, that isn't a recording."""

    def __init__(self, file: str, why: str) -> None:
        self.file = file
        self.why = why


class Outcome:
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
    def of(cls, recorded: dict[str, Any]) -> Outcome:
        """Return a recording's outcome."""
        answer = _recorded_answer(recorded["provider"], recorded["payload"], recorded.get("answer"))
        is_whole = "answer" not in recorded.get("cut", ())
        return cls(recorded["calls"], recorded.get("raised", {}).get("name"), answer, is_whole=is_whole)


def read_recordings(path: Path, to: str | None) -> list[Recorded | Unreadable]:
    """Read the recordings of a folder, or of a log file with the lines that PORTABLE_FN_RECORD=- printed.

    Args:
        path: The folder or file.
        to: The provider of the replay, whose adapter may be imported.

    Raises:
        ValueError: There are no readable recordings.
    """
    recordings = [_read(name, text, to) for name, text in (_in_file(path) if path.is_file() else _in_folder(path))]
    first = recordings[0]
    if isinstance(first, Unreadable) and all(isinstance(recording, Unreadable) for recording in recordings):
        raise ValueError(f"{first.file} isn't a recording: {first.why}")
    return recordings


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


def _read(file: str, text: str | bytes | OSError, to: str | None) -> Recorded | Unreadable:
    if isinstance(text, OSError):
        return Unreadable(file, str(text.strerror))
    try:
        recording = json.loads(text)
    except (ValueError, RecursionError) as exc:
        return Unreadable(file, f"{type(exc).__name__}: it isn't JSON, or was cut short")
    if not isinstance(recording, dict) or not {"provider", "payload"} <= recording.keys():
        return Unreadable(file, "it isn't an object with a provider and a payload")
    provider = recording["provider"]
    if not _is_known(provider, to):
        return Unreadable(file, f"its provider is {str(provider)[:80]!r}, not one of {', '.join(ADAPTERS)}")
    require_extras(provider)
    cut, raised = recording.get("cut", []), recording.get("raised", {})
    if not _are_calls(recording.get("calls")):
        return Unreadable(file, "its calls can't be read")
    if not isinstance(cut, list) or not isinstance(raised, dict) or not isinstance(raised.get("name", ""), str):
        return Unreadable(file, "its members raised or cut can't be read")
    try:
        outcome = Outcome.of(recording)
    except Exception as exc:
        return Unreadable(file, f"its answer can't be read: {type(exc).__name__}")
    return Recorded(file, provider, recording["payload"], outcome, is_whole="payload" not in cut)


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


def _recorded_answer(provider: str, payload: Any, native: Any) -> dict[str, Any] | None:
    """Return the recorded answer in the form of `answer_as_recorded`; None for other recordings."""
    read: Callable[[Any, Any], Answer | None] | None = getattr(adapter_json(provider), "http_answer", None)
    if read is not None and native is not None:
        answer = read(payload, native)
        return None if answer is None else answer_as_recorded(answer)
    return native if isinstance(native, dict) and isinstance(native.get("headers"), dict) else None


def answer_as_recorded(answer: Answer) -> dict[str, Any]:
    """Return what a recording keeps of an answer: status, content type and redacted body."""
    headers = {"content-type": answer.headers.get("content-type")}
    body = answer.body if len(answer.body) <= MAX_BODY else b""
    value: dict[str, Any] = redacted({"status": answer.status, "headers": headers, **body_fields(body)})
    return value
