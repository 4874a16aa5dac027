"""Send a request by one provider, show what each side sees, and measure the overhead."""

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

# The longest time that is spent on timing one provider, in seconds.
SECONDS = 1.0


@dataclass
class Sent:
    """The exchange on one provider; `error` says why there is no answer."""

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
    """Return the providers, and their services, that `--as` names, or else those of the project.

    Args:
        asked: The option's text.
        possible: Returns a provider's services; the first is the default.
        own: The project's settings.

    Raises:
        Failure: There is no such provider or service.
    """
    if asked is None:
        return [pair for provider in own.providers for pair in _own_services(provider, possible, own)]
    chosen: list[tuple[str, str | None]] = []
    for name in filter(None, (part.strip() for part in asked.split(","))):
        if name == "all":
            chosen += [(provider, None) for provider in ADAPTERS]
            continue
        provider, _, service = name.partition("/")
        # An event inside another is named from the inside out: "s3/sns/sqs".
        service = service.replace("/", "_")
        if provider not in ADAPTERS:
            try:
                adapter(provider, "simulate")
            except ConfigurationError as exc:
                raise Failure(f"{exc}; name a service as in aws/rest_api") from exc
        if service:
            with suppress(ModuleNotFoundError):  # the provider's row shows it later
                if service not in (known := possible(provider)):
                    near = nearest(service, known)
                    raise Failure(f"{provider} has no {service!r}{near}; possible are {', '.join(known) or 'none'}")
        chosen.append((provider, service or None))
    if not chosen:
        raise Failure(f"--as names no provider; possible are {', '.join(ADAPTERS)}, all")
    return list(dict.fromkeys(chosen))


def _own_services(
    provider: str, possible: Callable[[str], tuple[str, ...]], own: Project
) -> list[tuple[str, str | None]]:
    """Return the provider with each service that the project names for such events, or with its default."""
    mine: list[tuple[str, str | None]] = []
    with suppress(ModuleNotFoundError):  # the provider's row shows it later
        mine += [(provider, name) for name in own.services.get(provider, ()) if name in possible(provider)]
    return mine or [(provider, None)]


def http_services(provider: str) -> tuple[str, ...]:
    """Return the provider's services that send requests."""
    names: tuple[str, ...] = import_module(f"{ADAPTERS.get(provider, provider)}.simulate").SERVICES
    return names


def send(functions: list[Binding], request: Request[Any], provider: str, service: str | None, repeat: int) -> Sent:
    """Send the request, and time it `repeat` times."""
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
    """Whether an event loop, or one of its threads, makes this call."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return threading.current_thread() is not threading.main_thread()
    return True


def _overhead(invoke: Callable[[], object], probe: Probe, seen: Request[Any], repeat: int) -> tuple[float, int]:
    """Return how much longer a call by the provider takes than a direct one: the median in µs, and the number of pairs of calls.

    If an event loop calls the function, both calls include one turn of a loop, because a server's loop runs anyway.
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


# An error of the function is an answer, too, so timing goes on after it.


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
    """Print and log nothing in the block: a hundred calls would repeat what the first one said."""
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


@contextmanager
def log_kept(lines: list[str]) -> Generator[None]:
    """Collect the warnings and errors of the block in `lines`, with the place of each error, instead of stderr."""
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
    """Return the message of a record; for an error, its place, type and message."""
    error = record.exc_info[1] if record.exc_info else None
    return record.getMessage() if error is None else f"{place(error)}: {what(error)}"
