"""What a function logs and does in the background while it is called."""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Generator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any

from portable_fn import logs
from portable_fn.context import observer
from portable_fn.errors import DecodeError
from portable_fn.events import Event
from portable_fn.outcomes import Outcome
from portable_fn.testing.results import Background

# An event as it was decoded, or why it couldn't be, with what became of it.
Handled = tuple[Event[Any] | DecodeError, Outcome]


class Observed:
    """What a block logged and did: `logs` are its log records, `works` its background work, `events` the events and their outcomes."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.logs: list[logging.LogRecord] = []
        self.works: list[Background] = []
        self.events: list[Handled] = []

    def background(self, coroutine: Coroutine[Any, Any, object]) -> Coroutine[Any, Any, object]:
        """Note background work, and watch how it ends."""
        work = Background(getattr(coroutine, "__qualname__", type(coroutine).__name__))
        self.works.append(work)
        return _watched(coroutine, work)

    def handled(self, items: Sequence[Any], outcomes: Sequence[Outcome]) -> None:
        """Note the outcome of each event."""
        self.events.extend(zip(items, outcomes, strict=True))


@contextmanager
def observing(*, quiet: bool = False) -> Generator[Observed]:
    """A block whose log records and background work are kept, those of its threads and tasks too.

    Records of `portable_fn`, which ctx.log writes, are kept whatever their level, and shown elsewhere only as they would be
    anyhow, or nowhere with `quiet` where nobody has set up logging; others are kept where their logger lets them through.
    """
    observed = Observed(quiet)
    token = observer.set(observed)
    _begin()
    try:
        yield observed
    finally:
        _end()
        observer.reset(token)


class _Keeping(logging.Handler):
    only_watches = True  # so that the record is shown as if nobody kept it

    def emit(self, record: logging.LogRecord) -> None:
        observed = _current()
        if observed is not None:
            observed.logs.append(record)
        last = logging.lastResort
        if last is not None and record.levelno >= last.level and not _is_quiet() and _is_alone(record):
            last.handle(record)


def _is_quiet() -> bool:
    observed = _current()
    return observed is not None and observed.quiet


def _current() -> Observed | None:
    observed = observer.get()
    return observed if isinstance(observed, Observed) else None


def _is_alone(record: logging.LogRecord) -> bool:
    """Whether nobody else handles the record, so that without us it were for the last resort, which writes to stderr."""
    logger: logging.Logger | None = logging.getLogger(record.name)
    while logger is not None:
        if any(handler is not _keeping for handler in logger.handlers):
            return False
        logger = logger.parent if logger.propagate else None
    return True


class _AsBefore(logging.Filter):
    """Lets other handlers have what they would have without us."""

    def filter(self, record: logging.LogRecord) -> bool:
        is_ours = False
        logger: logging.Logger | None = logging.getLogger(record.name)
        while logger is not None and logger.parent is not None:
            is_ours = logger.name == "portable_fn"
            if level := _level if is_ours else logger.level:
                return record.levelno >= level
            logger = logger.parent
        return record.levelno >= (logs.threshold() if is_ours else logging.root.level)


class _Aloud(_AsBefore):
    """Lets what nobody has set up logging for be shown, but not where all is to be quiet."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not _is_quiet() and super().filter(record)


# Blocks in several threads share these, the first begins and the last ends.
_keeping = _Keeping()
_as_before = _AsBefore()
_aloud = _Aloud()
_others: list[logging.Handler] = []
_lock = Lock()
_blocks = 0
_level = logging.NOTSET


def _begin() -> None:
    global _blocks, _level
    with _lock:
        _blocks += 1
        if _blocks == 1:
            logger = logging.getLogger("portable_fn")
            _level = logger.level
            root = logging.getLogger()
            if _level == logging.NOTSET:
                logger.setLevel(logging.DEBUG)
                _others[:] = [handler for handler in (*root.handlers, *logger.handlers) if handler is not logs.shown]
                for handler in _others:
                    handler.addFilter(_as_before)
            root.addHandler(_keeping)
            logs.shown.addFilter(_aloud)


def _end() -> None:
    global _blocks
    with _lock:
        _blocks -= 1
        if _blocks == 0:
            logging.getLogger().removeHandler(_keeping)
            logs.shown.removeFilter(_aloud)
            while _others:
                _others.pop().removeFilter(_as_before)
            logging.getLogger("portable_fn").setLevel(_level)


async def _watched(coroutine: Coroutine[Any, Any, object], work: Background) -> object:
    try:
        result = await coroutine
    except BaseException as exc:
        work.error = exc
        raise
    work.done = True
    return result
