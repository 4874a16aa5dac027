"""A Lambda runtime for `provided.al2023` and container images: `python -m portable_fn_aws.runtime app:hello`.

The target is a portable function, a module of them, or an `entry()`: `main:handler`, or `main.handler` as Lambda writes it.

Unlike awslambdaric it streams. PORTABLE_FN_AWS_INVOKE_MODE says how the function is called: RESPONSE_STREAM (every HTTP
answer goes out in the streaming format) or BUFFERED (none does, streams are collected), as the function URL's InvokeMode or
API Gateway's response transfer mode is set. Where it isn't set, a response that is a stream is streamed.

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
from portable_fn_aws.entry import collected, finish, invoker, run
from portable_fn_aws.runtime_api import RuntimeAPI, _log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from typing import Any, NoReturn

    from portable_fn_aws.entry import Invoke
    from portable_fn_aws.runtime_api import Invocation

# An answer of as many bytes is in no case too large.
_SURE = 1_000_000


def load(target: str) -> object:
    """Return what `module:name` or Lambda's own form `module.name` names, or the module if there is no name."""
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


def _invoker(target: str, recording: Any) -> tuple[Invoke, bool]:
    """Return what invokes the target, and whether its answers are still to be recorded."""
    loaded = load(target)
    if type(loaded) is ModuleType and len(found := [value for value in vars(loaded).values() if _is_entry(value)]) == 1:
        (loaded,) = found
    if type(loaded) is FunctionType and not hasattr(loaded, "__portable__"):
        if _is_entry(loaded):
            invoke: Invoke = loaded.__portable_invoke__  # type: ignore[attr-defined]  # an entry has it
            return invoke, recording is not None
        if hasattr(loaded, "__portable_entry__"):
            # A function around an entry answers by itself: it records, and can't stream.
            handler: Any = loaded
            return lambda payload, native: (handler(payload, native), None, None, None), False  # type: ignore[return-value]  # nobody reads the rest
        raise ConfigurationError(
            f"{target} is a function, but without @portable and no entry(): name a portable function, a module of them, or "
            "what entry() returned (a function around that takes functools.wraps)"
        )
    return invoker(loaded if recording is None else recording.functions((loaded,))), recording is not None


def _is_entry(value: object) -> bool:
    # The type is asked first: mocks and lazy objects have whatever attribute is looked for.
    return type(value) is FunctionType and getattr(value, "__portable_entry__", None) is value


def serve(api: RuntimeAPI, target: str, mode: str | None) -> NoReturn:
    """Loads the target and answers invocations until Lambda ends the process."""
    answer = _answer
    try:
        recording = make_recorder()
        invoke, records = _invoker(target, recording)
        if records:
            from portable_fn_aws import recorded

            answer = recorded.answering(answer, recording)
    except BaseException as exc:
        _log(exc)
        api.fail_init(exc)
        sys.exit(1)
    while True:
        invocation = api.next()
        if invocation.trace is not None:
            os.environ["_X_AMZN_TRACE_ID"] = invocation.trace
        else:
            os.environ.pop("_X_AMZN_TRACE_ID", None)
        try:
            answer(api, invocation, invoke, mode)
        except BaseException as exc:
            _log(exc)
            api.fail(invocation, exc)


def _answer(api: RuntimeAPI, invocation: Invocation, invoke: Invoke, mode: str | None) -> None:
    """Answers an invocation, then does the work that its handler left."""
    response, write, context, variables = invoke(json.loads(invocation.payload), invocation)
    if write is None:
        result = json.dumps(response).encode()
        if len(result) > _SURE:
            from portable_fn_aws.limits import check_bytes

            check_bytes(result)
        api.respond(invocation, result)
        return
    try:
        if mode == "RESPONSE_STREAM" or (mode is None and response.is_stream):
            if isinstance(response.body, bytes) and len(response.body) > _SURE:
                from portable_fn_aws.limits import fitting_stream

                response = fitting_stream(response, context)
            answer = write(response)
            prelude = {name: value for name, value in answer.items() if name not in ("body", "isBase64Encoded")}
            body = response.body
            if isinstance(body, bytes):
                parts: Iterable[bytes] = [body]
            else:
                from portable_fn.adapter.streams import chunks

                parts = _limited(chunks(body, variables, run))
            api.stream(invocation, json.dumps(prelude).encode(), parts)
        else:
            if response.is_stream:
                response = collected(response, context, variables)
            written = json.dumps(write(response)).encode()
            if len(written) > _SURE:
                from portable_fn_aws.limits import fitting_bytes

                written = fitting_bytes(written, write, response, context)
            api.respond(invocation, written)
    finally:
        if context.has_background:
            finish(context, variables)


def _limited(parts: Generator[bytes]) -> Generator[bytes]:
    """The parts of a stream, as many bytes as Lambda takes; then PortableError."""
    from portable_fn_aws.limits import STREAMED

    size = 0
    try:
        for part in parts:
            size += len(part)
            if size > STREAMED:
                raise PortableError(f"the stream has over {STREAMED} bytes, which is what Lambda takes")
            yield part
    finally:
        parts.close()


def _open_output() -> None:
    """Has each printed line go out at once, and takes the place of an output that is closed."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            # Else the next socket would get the number of the closed file, and a library that prints would write to it.
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  # it stays open
    try:
        # Lambda reads the output through a pipe, which Python would fill block by block.
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a TextIOWrapper, mostly
    except (AttributeError, ValueError):
        pass  # somebody replaced or closed it


def main(arguments: list[str]) -> NoReturn:
    """`python -m portable_fn_aws.runtime [TARGET]`; without one, Lambda's own setting of the handler says it."""
    address = os.environ.get("AWS_LAMBDA_RUNTIME_API")
    target = arguments[0] if arguments else os.environ.get("_HANDLER")
    mode = os.environ.get("PORTABLE_FN_AWS_INVOKE_MODE") or None
    if address is None or not target or len(arguments) > 1:
        sys.exit("usage: python -m portable_fn_aws.runtime app:hello (on Lambda, which sets AWS_LAMBDA_RUNTIME_API)")
    if mode not in (None, "BUFFERED", "RESPONSE_STREAM"):
        sys.exit(f"PORTABLE_FN_AWS_INVOKE_MODE is BUFFERED or RESPONSE_STREAM, not {mode!r}")
    _open_output()
    for folder in (os.environ.get("LAMBDA_TASK_ROOT"), os.getcwd()):
        if folder and folder not in sys.path:
            sys.path.insert(0, folder)
    api = RuntimeAPI(address)
    # signal itself would cost 0.5 ms of cold start, for its enums.
    from _signal import SIGTERM, signal  # type: ignore[import-not-found]

    signal(SIGTERM, lambda *_: api.end())
    serve(api, target, mode)


if __name__ == "__main__":
    main(sys.argv[1:])
