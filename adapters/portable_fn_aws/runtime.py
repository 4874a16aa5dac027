"""Run portable functions as a Lambda runtime: `python -m portable_fn_aws.runtime app:hello`.

It is for `provided.al2023` and container images. The target is a portable function, a module of them, or an `entry()`:
`main:handler`, or `main.handler` as Lambda writes it.

Unlike awslambdaric it streams. Set PORTABLE_FN_AWS_INVOKE_MODE as the function URL's InvokeMode or API Gateway's response transfer
mode is set:

- RESPONSE_STREAM: every HTTP answer uses the streaming format.
- BUFFERED: no answer does, and streams are collected.
- If it isn't set, a response that is a stream is streamed.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html and
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html#runtimes-custom-response-streaming
"""

from __future__ import annotations

import json
import os
import sys
from types import FunctionType, ModuleType

from portable_fn.errors import ConfigurationError, PortableError
from portable_fn.recording import make_recorder
from portable_fn_aws.entry import EntryFunctions, finish, run
from portable_fn_aws.runtime_api import RuntimeAPI, log_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from typing import Any, NoReturn

    from portable_fn_aws.entry import HTTPAnswer
    from portable_fn_aws.runtime_api import Invocation

# An answer of up to so many bytes always fits.
_ALWAYS_FITS = 1_000_000


def load(target: str) -> object:
    """Load a target: `module:name`, Lambda's form `module.name`, or a whole module."""
    module_name, _, name = target.partition(":")
    if not name and "." in module_name and not _is_module(module_name):
        module_name, _, name = module_name.rpartition(".")
    module_name = module_name.replace("/", ".")
    __import__(module_name)
    module: ModuleType = sys.modules[module_name]
    if name and not hasattr(module, name):
        from portable_fn.providers import nearest

        raise ConfigurationError(f"{module_name} has no {name!r}{nearest(name, vars(module))}")
    return getattr(module, name) if name else module


def _is_module(name: str) -> bool:
    from importlib.util import find_spec

    try:
        return find_spec(name) is not None
    except ImportError:
        return False


def load_functions(target: str, recording: Any) -> tuple[EntryFunctions | WrappedEntry, bool]:
    """Return the functions of a target, and whether the runtime must record their answers."""
    loaded = load(target)
    if type(loaded) is ModuleType:
        entries = [value for value in vars(loaded).values() if _is_entry(value)]
        if len(entries) == 1:
            (loaded,) = entries
    if type(loaded) is FunctionType and not hasattr(loaded, "__portable__"):
        if _is_entry(loaded):
            functions: EntryFunctions = loaded.__portable_functions__  # type: ignore[attr-defined]  # an entry has it
            return functions, recording is not None
        if hasattr(loaded, "__portable_entry__"):
            return WrappedEntry(loaded), False
        raise ConfigurationError(
            f"{target} is a function, but has neither @portable nor entry(): name a portable function, a module of them, or "
            "the result of entry() (a function that wraps it needs functools.wraps)"
        )
    return EntryFunctions(loaded if recording is None else recording.functions((loaded,))), recording is not None


class WrappedEntry:
    """A function around an entry, which returns finished answers: it records by itself, and can't stream."""

    def __init__(self, handler: Callable[..., Any]) -> None:
        self.answer_events = handler

    def http_service(self, payload: Any) -> None:
        """Treat no payload as a request: the entry answers requests too."""


def _is_entry(value: object) -> bool:
    # Ask for the type first: mocks and lazy objects have every attribute.
    return type(value) is FunctionType and getattr(value, "__portable_entry__", None) is value


def serve(api: RuntimeAPI, target: str, mode: str | None) -> NoReturn:
    """Load the target and answer invocations until Lambda ends the process."""
    answer = _answer
    try:
        recording = make_recorder()
        functions, records = load_functions(target, recording)
        if records:
            from portable_fn_aws import recorded

            answer = recorded.record_answers(answer, recording)
    except BaseException as exc:
        log_error(exc)
        api.fail_init(exc)
        sys.exit(1)
    while True:
        invocation = api.next()
        if invocation.trace is not None:
            os.environ["_X_AMZN_TRACE_ID"] = invocation.trace
        else:
            os.environ.pop("_X_AMZN_TRACE_ID", None)
        try:
            answer(api, invocation, functions, mode)
        except BaseException as exc:
            log_error(exc)
            api.fail(invocation, exc)


def _answer(
    api: RuntimeAPI, invocation: Invocation, functions: EntryFunctions | WrappedEntry, mode: str | None
) -> None:
    """Answer an invocation, then do the background work that its handler left."""
    payload = json.loads(invocation.payload)
    service = functions.http_service(payload)
    if service is None:
        _answer_events(api, invocation, functions.answer_events(payload, invocation))
        return
    answer: HTTPAnswer = functions.respond(payload, invocation, service)  # type: ignore[union-attr]  # not a wrapped entry
    try:
        if mode == "RESPONSE_STREAM" or (mode is None and answer.response.is_stream):
            _stream(api, invocation, answer)
        else:
            _buffer(api, invocation, answer)
    finally:
        if answer.context.has_background:
            finish(answer.context, answer.variables)


def _answer_events(api: RuntimeAPI, invocation: Invocation, result: object) -> None:
    written = json.dumps(result).encode()
    if len(written) > _ALWAYS_FITS:
        from portable_fn_aws.limits import check_written

        check_written(written)
    api.respond(invocation, written)


def _buffer(api: RuntimeAPI, invocation: Invocation, answer: HTTPAnswer) -> None:
    if answer.response.is_stream:
        answer.collect()
    written = json.dumps(answer.encode(answer.response)).encode()
    if len(written) > _ALWAYS_FITS:
        from portable_fn_aws.limits import fit_written

        written = fit_written(written, answer.encode, answer.response, answer.context)
    api.respond(invocation, written)


def _stream(api: RuntimeAPI, invocation: Invocation, answer: HTTPAnswer) -> None:
    response = answer.response
    if isinstance(response.body, bytes) and len(response.body) > _ALWAYS_FITS:
        from portable_fn_aws.limits import fit_stream

        response = fit_stream(response, answer.context)
    native = answer.encode(response)
    prelude = {name: value for name, value in native.items() if name not in ("body", "isBase64Encoded")}
    body = response.body
    if isinstance(body, bytes):
        parts: Iterable[bytes] = [body]
    else:
        from portable_fn.adapter.streams import chunks

        parts = _limited(chunks(body, answer.variables, run))
    api.stream(invocation, json.dumps(prelude).encode(), parts)


def _limited(parts: Generator[bytes]) -> Generator[bytes]:
    """Yield the parts of a stream; raise PortableError after as many bytes as Lambda takes."""
    from portable_fn_aws.limits import STREAMED

    size = 0
    try:
        for part in parts:
            size += len(part)
            if size > STREAMED:
                raise PortableError(f"the stream has over {STREAMED} bytes, Lambda's limit")
            yield part
    finally:
        parts.close()


def _open_output() -> None:
    """Flush the output after each line, and replace a closed output."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            # Otherwise the next socket gets the number of the closed file, and a library that prints writes to the socket.
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  # it stays open
    try:
        # Lambda reads the output through a pipe, which Python fills block by block.
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a TextIOWrapper, mostly
    except (AttributeError, ValueError):
        pass  # it was replaced or closed


def main(arguments: list[str]) -> NoReturn:
    """Run `python -m portable_fn_aws.runtime [TARGET]`; without a target, use Lambda's setting, _HANDLER."""
    address = os.environ.get("AWS_LAMBDA_RUNTIME_API")
    target = arguments[0] if arguments else os.environ.get("_HANDLER")
    mode = os.environ.get("PORTABLE_FN_AWS_INVOKE_MODE") or None
    if address is None or not target or len(arguments) > 1:
        sys.exit("usage: python -m portable_fn_aws.runtime app:hello (on Lambda, which sets AWS_LAMBDA_RUNTIME_API)")
    if mode not in (None, "BUFFERED", "RESPONSE_STREAM"):
        sys.exit(f"PORTABLE_FN_AWS_INVOKE_MODE is {mode!r}; set BUFFERED or RESPONSE_STREAM")
    _open_output()
    for folder in (os.environ.get("LAMBDA_TASK_ROOT"), os.getcwd()):
        if folder and folder not in sys.path:
            sys.path.insert(0, folder)
    api = RuntimeAPI(address)
    # Importing signal costs 0.5 ms of cold start, for its enums.
    from _signal import SIGTERM, signal  # type: ignore[import-not-found]

    signal(SIGTERM, lambda *_: api.end())
    serve(api, target, mode)


if __name__ == "__main__":
    main(sys.argv[1:])
