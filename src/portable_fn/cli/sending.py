"""One request through one provider: what each side sees on the way, and what the way costs."""

from __future__ import annotations

import asyncio
import copy
import logging
import os
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from importlib import import_module
from statistics import median
from time import perf_counter_ns
from typing import Any

from portable_fn.adapter.binding import Binding
from portable_fn.adapter.calling import is_awaitable
from portable_fn.cli.errors import Failure
from portable_fn.cli.excerpt import Plain, plain
from portable_fn.cli.target import place, what
from portable_fn.context import Context
from portable_fn.errors import ConfigurationError
from portable_fn.http import Request
from portable_fn.providers import ADAPTERS, adapter, nearest
from portable_fn.testing.extras import MissingExtra, require_extras
from portable_fn.testing.loop import run
from portable_fn.testing.project import Project
from portable_fn.testing.results import Answer, Exchange
from portable_fn.testing.services import exchange
from portable_fn.testing.settings import placeholder_settings

# No longer than this is spent on timing one provider, whatever --time says.
SECONDS = 1.0


@dataclass
class Sent:
    """What became of the request on one provider; `error` says why there is no answer."""

    provider: str
    service: str | None
    native_request: Plain = None
    seen: Request[Any] | None = None
    native_answer: Plain = None
    answer: Answer | None = None
    error: str | None = None
    missing: bool = False
    overhead: float | None = None
    calls: int = 0
    logged: list[str] = field(default_factory=list[str])

    @property
    def name(self) -> str:
        """The provider, and the service if there is one: `aws/sqs`."""
        return f"{self.provider}/{self.service}" if self.service else self.provider


def services(
    asked: str | None, possible: Callable[[str], tuple[str, ...]], own: Project
) -> list[tuple[str, str | None]]:
    """The providers, and services of them, that `--as` asks for, else those of the project; Failure for one that doesn't exist.

    `possible` gives a provider's services, of which the first is the default.
    """
    if asked is None:
        return [one for provider in own.providers for one in _own_services(provider, possible, own)]
    found: list[tuple[str, str | None]] = []
    for name in filter(None, (part.strip() for part in asked.split(","))):
        if name == "all":
            found += [(provider, None) for provider in ADAPTERS]
            continue
        provider, _, service = name.partition("/")
        # What comes inside of something else is named from the inside, "s3/sns/sqs".
        service = service.replace("/", "_")
        if provider not in ADAPTERS:
            try:
                adapter(provider, "simulate")
            except ConfigurationError as exc:
                raise Failure(f"{exc}; a service is named as in aws/rest_api") from exc
        if service:
            with suppress(ModuleNotFoundError):  # It is told later, in the provider's place.
                if service not in (known := possible(provider)):
                    near = nearest(service, known)
                    raise Failure(f"{provider} has no {service!r}{near}; possible are {', '.join(known) or 'none'}")
        found.append((provider, service or None))
    if not found:
        raise Failure(f"--as names no provider; possible are {', '.join(ADAPTERS)}, all")
    return list(dict.fromkeys(found))


def _own_services(
    provider: str, possible: Callable[[str], tuple[str, ...]], own: Project
) -> list[tuple[str, str | None]]:
    """The provider with each service that the project names for such events, else with its default."""
    mine: list[tuple[str, str | None]] = []
    with suppress(ModuleNotFoundError):  # It is told later, in the provider's place.
        mine += [(provider, name) for name in own.services.get(provider, ()) if name in possible(provider)]
    return mine or [(provider, None)]


def http_services(provider: str) -> tuple[str, ...]:
    """The provider's services that hand over requests."""
    found: tuple[str, ...] = import_module(f"{ADAPTERS.get(provider, provider)}.simulate").SERVICES
    return found


def send(functions: list[Binding], request: Request[Any], provider: str, service: str | None, repeat: int) -> Sent:
    """Sends the request and times it `repeat` times."""
    sent = Sent(provider, service)
    probes = [Probe(function) for function in functions]
    under_way: Exchange | None = None
    with log_kept(sent.logged), placeholder_settings(*(probe.function for probe in probes)):
        try:
            require_extras(provider)
            under_way = exchange(tuple(probe.function for probe in probes), request.copy(), provider, service)
            sent.native_request = plain(under_way.native_request)
            native = under_way.invoke()
            sent.native_answer = plain(native)
            sent.answer = under_way.answer(native)
        except Exception as exc:
            lacking = next((error for error in (exc, exc.__context__) if isinstance(error, ModuleNotFoundError)), None)
            sent.missing = lacking is not None or isinstance(exc, MissingExtra)
            if isinstance(exc, MissingExtra):
                sent.error = str(exc).removeprefix(f"{provider} ")
            else:
                sent.error = what(exc) if lacking is None else _missing(provider, lacking)
        called = next((probe for probe in probes if probe.seen is not None), None)
        if called is None or called.seen is None:
            return sent
        sent.seen = called.seen
        if repeat and under_way and sent.answer and sent.answer.status < 500:
            with _silence():
                sent.overhead, sent.calls = _overhead(under_way.invoke, called, called.seen, repeat)
    return sent


class Probe:
    """A function that keeps the request of its first call."""

    def __init__(self, binding: Binding) -> None:
        self.binding = binding
        self.seen: Request[Any] | None = None
        self.from_loop = False
        watched = copy.copy(binding)
        watched.call = self._call

        def function() -> None: ...

        function.__name__ = binding.name
        function.__portable__ = watched  # type: ignore[attr-defined]  # how an entry knows a portable function
        watched.function = function
        self.function = function

    def _call(self, event: Any, context: Context) -> Any:
        if self.seen is None:
            self.seen = event.copy()
            self.from_loop = _is_from_loop()
        return self.binding.call(event, context)


def _is_from_loop() -> bool:
    """Whether an event loop makes this call, or has one of its threads make it."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return threading.current_thread() is not threading.main_thread()
    return True


def _overhead(invoke: Callable[[], object], probe: Probe, seen: Request[Any], repeat: int) -> tuple[float, int]:
    """The median, in µs, of what a call by the provider takes longer than a direct one; and of how many pairs of calls.

    Where an event loop has the function called, one turn of a loop is in both: a server's loop runs anyhow.
    """
    differences: list[int] = []
    end = perf_counter_ns() + SECONDS * 1e9
    while len(differences) < repeat and (not differences or perf_counter_ns() < end):
        request, context = seen.copy(), Context()
        start = perf_counter_ns()
        invoke()
        between = perf_counter_ns()
        if probe.from_loop:
            run(_directly_in_loop(probe.binding, request, context))
        else:
            _directly(probe.binding, request, context)
        differences.append(2 * between - start - perf_counter_ns())
    return median(differences) / 1000, len(differences)


# What a function raises is an answer, too: the calls below go on after it.


def _directly(binding: Binding, request: Request[Any], context: Context) -> None:
    with suppress(Exception):
        result = binding.call(request, context)
        if is_awaitable(result):
            run(result)


async def _directly_in_loop(binding: Binding, request: Request[Any], context: Context) -> None:
    with suppress(Exception):
        result = binding.call(request, context)
        if is_awaitable(result):
            await result


def _missing(provider: str, error: ModuleNotFoundError) -> str:
    name = error.name or ""
    if name.partition(".")[0] == ADAPTERS.get(provider, provider):
        return f"{name} is not installed"
    return f"needs {name}: pip install 'portable-fn[{provider}]'"


@contextmanager
def _silence() -> Generator[None]:
    """A block in which nothing is printed or logged: what the first call said, a hundred more would say again."""
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


@contextmanager
def log_kept(lines: list[str]) -> Generator[None]:
    """A block whose log of warnings and errors goes into the lines, an error with its place, and not to stderr."""
    handler = _Lines(lines)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


class _Lines(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        if (text := line(record)) not in self.lines:
            self.lines.append(text)


def line(record: logging.LogRecord) -> str:
    """What was logged; of an error its place, type and message."""
    error = record.exc_info[1] if record.exc_info else None
    return record.getMessage() if error is None else f"{place(error)}: {what(error)}"
