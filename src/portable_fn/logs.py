"""What portable_fn and its functions log: shown from INFO on, once a line, unless the program or the platform sets it up.

A level that the program sets, on `portable_fn` or on the root, and handlers that there are anywhere win. Otherwise
PORTABLE_FN_LOG_LEVEL (debug, info, warning, error, critical) says what is shown, and a handler here writes it as the platform
reads it.
"""

from __future__ import annotations

import logging
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping
    from typing import Any

__all__ = ["log", "shown", "threshold"]

LEVELS = {
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARNING": logging.WARNING,
    "ERROR": logging.ERROR,
    "CRITICAL": logging.CRITICAL,
}
# Lambda's own words for its AWS_LAMBDA_LOG_LEVEL.
_OF_LAMBDA = {**LEVELS, "TRACE": logging.DEBUG, "WARN": logging.WARNING, "FATAL": logging.CRITICAL}
_NAME = "portable_fn"

# What PORTABLE_FN_LOG_LEVEL says: False before anybody has asked.
_level: int | bool | None = False
_is_begun = False


def log(
    name: str = _NAME, extra: Mapping[str, object] | None = None, env: Mapping[str, Any] | None = None
) -> FunctionLog:
    """Return the log of `portable_fn`, or of a logger below it, whose records carry the `extra`.

    `env` has PORTABLE_FN_LOG_LEVEL where the environment of the process doesn't, as on Cloudflare.
    """
    global _is_begun, _level
    found = FunctionLog(logging.getLogger(name), extra or {})
    if not _is_begun:
        _is_begun = True
        logger = logging.getLogger(_NAME)
        if logger.propagate and not logger.handlers:
            logger.addHandler(shown)
            _tell_google_severities()
    # A Worker's environment comes with its calls alone.
    if _level is False and (env is not None or sys.platform != "emscripten"):
        _level = None
        word = str((os.environ if env is None else env).get("PORTABLE_FN_LOG_LEVEL") or "").strip()
        if word:
            _level = LEVELS.get(word.upper())
            if _level is None:
                names = ", ".join(LEVELS).lower()
                found.warning("PORTABLE_FN_LOG_LEVEL is one of %s, not %.40r: info is shown", names, word)
    return found


def threshold() -> int:
    """Return the level from which on records of `portable_fn` are shown if no level is set on it."""
    if _level:
        return _level
    level = logging.root.level
    # Without a level of its own it has this one, which isn't known from one that the program set.
    if level != logging.WARNING:
        return level
    return _OF_LAMBDA.get(os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper(), logging.INFO)


def is_alone(record: logging.LogRecord) -> bool:
    """Whether no handler of the program's or the platform's gets the record."""
    logger: logging.Logger | None = logging.getLogger(record.name)
    while logger is not None:
        for handler in logger.handlers:
            if handler is not shown and not getattr(handler, "only_watches", False):
                return False
        logger = logger.parent if logger.propagate else None
    return True


class FunctionLog(logging.LoggerAdapter[logging.Logger]):
    """The log of a function; `extra` of a single call comes beside what all its records carry."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  # logging's name
        """Whether a record of the level is shown."""
        logger: logging.Logger = self.logger
        while logger.parent is not None:
            if logger.level:
                return self.logger.isEnabledFor(level)
            logger = logger.parent
        return level >= threshold() and not self.logger.disabled and logger.manager.disable < level

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a message, though the root's level, WARNING by default, would drop it."""
        if self.isEnabledFor(level):
            msg, given = self.process(msg, kwargs)
            # This frame isn't the caller's.
            given["stacklevel"] = given.get("stacklevel", 1) + 1
            self.logger._log(level, msg, args, **given)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add what all records carry."""
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs


class Shown(logging.Handler):
    """Writes what no other handler gets to stderr, or to JavaScript's console, as the platform reads it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, if nobody else does."""
        if is_alone(record):
            self.write(record)

    def write(self, record: logging.LogRecord) -> None:
        """Write the record."""
        try:
            if sys.platform == "emscripten":
                _to_console(record)
            elif sys.stderr is not None:
                sys.stderr.write(f"{_line(record)}\n")
                sys.stderr.flush()
        except Exception:
            self.handleError(record)


shown = Shown()


def _line(record: logging.LogRecord) -> str:
    if "AWS_LAMBDA_RUNTIME_API" in os.environ:
        if os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON":
            return _json(record, _LAMBDA)
        # A line's end would begin another event of CloudWatch.
        return _text(record).replace("\n", "\r")
    # Cloud Run and Knative.
    return _json(record, _GOOGLE) if "K_SERVICE" in os.environ else _text(record)


def _text(record: logging.LogRecord) -> str:
    """The record as Lambda's own runtime for Python writes it."""
    return _formatter().format(record)


def _formatter() -> logging.Formatter:
    global _formats
    if _formats is None:
        import time

        _formats = logging.Formatter(
            "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(invocation_id)s\t%(message)s",
            "%Y-%m-%dT%H:%M:%S",
            defaults={"invocation_id": ""},
        )
        _formats.converter = time.gmtime
    return _formats


_formats: logging.Formatter | None = None

# https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html#python-logging-advanced
_LAMBDA = {"level": "level", "time": "timestamp", "invocation_id": "requestId"}
# https://cloud.google.com/logging/docs/structured-logging
_GOOGLE = {"level": "severity", "time": "time"}
_OF_EVERY_RECORD = {*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName"}


def _json(record: logging.LogRecord, names: Mapping[str, str]) -> str:
    """The record as an object, with the platform's names of its members."""
    from json import dumps

    formatter = _formatter()
    level = min(record.levelno // 10 * 10, logging.CRITICAL)
    message = record.getMessage()
    found: dict[str, object] = {
        names["level"]: logging.getLevelName(level) if level else "DEFAULT",
        names["time"]: f"{formatter.formatTime(record, formatter.datefmt)}.{int(record.msecs):03d}Z",
        "message": message,
        "logger": record.name,
    }
    if record.exc_info and record.exc_info[0] is not None:
        # Google's Error Reporting finds a traceback in the message alone.
        found["message"] = f"{message}\n{formatter.formatException(record.exc_info)}"
        found["errorType"] = record.exc_info[0].__name__
    for name, value in record.__dict__.items():
        if name not in _OF_EVERY_RECORD:
            found.setdefault(names.get(name, name), value)
    return dumps(found, ensure_ascii=False, default=str)


class _WithSeverity(logging.Formatter):
    """Writes our own records as objects, whose severity Google reads, and leaves others as they are."""

    def format(self, record: logging.LogRecord) -> str:
        if record.name == _NAME or record.name.startswith(f"{_NAME}."):
            return _json(record, _GOOGLE)
        return super().format(record)


def _tell_google_severities() -> None:
    """Have the handler of functions-framework write severities, which it doesn't.

    With LOG_EXECUTION_ID it has a handler on the root, without a formatter, which adds the execution id to what is JSON: seen
    with functions-framework 3.10.
    """
    if "K_SERVICE" in os.environ and "functions_framework" in sys.modules:
        for handler in logging.root.handlers:
            if type(handler) is logging.StreamHandler and handler.formatter is None:
                handler.setFormatter(_WithSeverity())


def _to_console(record: logging.LogRecord) -> None:
    """Show the record by the method of JavaScript's console for its level, which also says when it was and of which call."""
    import js  # type: ignore[import-not-found]  # pyright: ignore[reportMissingImports]  # there in Workers alone

    level = record.levelno
    method = "error" if level >= logging.ERROR else "warn" if level >= logging.WARNING else "info"
    getattr(js.console, "debug" if level < logging.INFO else method)(_plain.format(record))


_plain = logging.Formatter()
