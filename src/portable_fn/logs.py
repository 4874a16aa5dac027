"""Log what portable_fn and its functions do.

Records from INFO on are shown, once each, unless the program or the platform sets up logging. A level that the program sets on
`portable_fn` or on the root wins, and so do handlers anywhere. Otherwise PORTABLE_FN_LOG_LEVEL (debug, info, warning, error,
critical) is the level, and a handler here writes the records in the platform's format.
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
# Lambda's values of its AWS_LAMBDA_LOG_LEVEL.
_OF_LAMBDA = {**LEVELS, "TRACE": logging.DEBUG, "WARN": logging.WARNING, "FATAL": logging.CRITICAL}
_NAME = "portable_fn"

# The value of PORTABLE_FN_LOG_LEVEL; False until it is read.
_level: int | bool | None = False
_is_set_up = False


def log(
    name: str = _NAME, extra: Mapping[str, object] | None = None, env: Mapping[str, Any] | None = None
) -> FunctionLog:
    """Return the logger `portable_fn`, or one below it, whose records have the `extra`.

    `env` has PORTABLE_FN_LOG_LEVEL if the process's environment doesn't, as on Cloudflare.
    """
    global _is_set_up, _level
    function_log = FunctionLog(logging.getLogger(name), extra or {})
    if not _is_set_up:
        _is_set_up = True
        logger = logging.getLogger(_NAME)
        if logger.propagate and not logger.handlers:
            logger.addHandler(shown)
            _tell_google_severities()
    # A Worker's environment comes only with its calls.
    if _level is False and (env is not None or sys.platform != "emscripten"):
        _level = None
        word = str((os.environ if env is None else env).get("PORTABLE_FN_LOG_LEVEL") or "").strip()
        if word:
            _level = LEVELS.get(word.upper())
            if _level is None:
                names = ", ".join(LEVELS).lower()
                function_log.warning("PORTABLE_FN_LOG_LEVEL must be one of %s, not %.40r: info is shown", names, word)
    return function_log


def threshold() -> int:
    """Return the least level of the records that `portable_fn` shows if no level is set on it."""
    if _level:
        return _level
    level = logging.root.level
    # A logger without its own level has this level, which is indistinguishable from one that the program set.
    if level != logging.WARNING:
        return level
    return _OF_LAMBDA.get(os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper(), logging.INFO)


def is_alone(record: logging.LogRecord) -> bool:
    """Return whether no handler of the program or the platform gets the record."""
    logger: logging.Logger | None = logging.getLogger(record.name)
    while logger is not None:
        for handler in logger.handlers:
            if handler is not shown and not getattr(handler, "only_watches", False):
                return False
        logger = logger.parent if logger.propagate else None
    return True


class FunctionLog(logging.LoggerAdapter[logging.Logger]):
    """The log of a function. The `extra` of a single call is added to the `extra` of all its records."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  # logging's name
        """Return whether a record of the level is shown."""
        logger: logging.Logger = self.logger
        while logger.parent is not None:
            if logger.level:
                return self.logger.isEnabledFor(level)
            logger = logger.parent
        return level >= threshold() and not self.logger.disabled and logger.manager.disable < level

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a message, even if the root's level, WARNING by default, would drop it."""
        if self.isEnabledFor(level):
            msg, options = self.process(msg, kwargs)
            # Skip this frame, which isn't the caller's.
            options["stacklevel"] = options.get("stacklevel", 1) + 1
            self.logger._log(level, msg, args, **options)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the `extra` of all records."""
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs


class Shown(logging.Handler):
    """Writes records that no other handler gets to stderr, or to JavaScript's console, in the platform's format."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record if no other handler does."""
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
        # In CloudWatch, a line break would start another event.
        return _text(record).replace("\n", "\r")
    # Cloud Run and Knative set it.
    return _json(record, _GOOGLE) if "K_SERVICE" in os.environ else _text(record)


def _text(record: logging.LogRecord) -> str:
    """Format the record as Lambda's Python runtime does."""
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
    """Format the record as a JSON object with the platform's member names."""
    from json import dumps

    formatter = _formatter()
    level = min(record.levelno // 10 * 10, logging.CRITICAL)
    message = record.getMessage()
    members: dict[str, object] = {
        names["level"]: logging.getLevelName(level) if level else "DEFAULT",
        names["time"]: f"{formatter.formatTime(record, formatter.datefmt)}.{int(record.msecs):03d}Z",
        "message": message,
        "logger": record.name,
    }
    if record.exc_info and record.exc_info[0] is not None:
        # Google's Error Reporting finds a traceback only in the message.
        members["message"] = f"{message}\n{formatter.formatException(record.exc_info)}"
        members["errorType"] = record.exc_info[0].__name__
    for name, value in record.__dict__.items():
        if name not in _OF_EVERY_RECORD:
            members.setdefault(names.get(name, name), value)
    return dumps(members, ensure_ascii=False, default=str)


class _WithSeverity(logging.Formatter):
    """Writes the project's records as objects, whose severity Google reads, and others unchanged."""

    def format(self, record: logging.LogRecord) -> str:
        if record.name == _NAME or record.name.startswith(f"{_NAME}."):
            return _json(record, _GOOGLE)
        return super().format(record)


def _tell_google_severities() -> None:
    """Write severities in the handler of functions-framework, which writes none.

    With LOG_EXECUTION_ID it has a handler on the root, without a formatter, which adds the execution id to JSON: seen with
    functions-framework 3.10.
    """
    if "K_SERVICE" in os.environ and "functions_framework" in sys.modules:
        for handler in logging.root.handlers:
            if type(handler) is logging.StreamHandler and handler.formatter is None:
                handler.setFormatter(_WithSeverity())


def _to_console(record: logging.LogRecord) -> None:
    """Log the record with the method of JavaScript's console for its level. The console adds the time and the call."""
    import js  # type: ignore[import-not-found]  # pyright: ignore[reportMissingImports]  # there in Workers alone

    level = record.levelno
    method = "error" if level >= logging.ERROR else "warn" if level >= logging.WARNING else "info"
    getattr(js.console, "debug" if level < logging.INFO else method)(_plain.format(record))


_plain = logging.Formatter()
