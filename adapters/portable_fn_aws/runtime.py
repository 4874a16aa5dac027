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
import socket
import sys
import time
from types import FunctionType, ModuleType

from portable_fn.adapter import recorder
from portable_fn.errors import ConfigurationError, PortableError
from portable_fn.record import lazy
from portable_fn_aws.entry import collected, finish, invoker, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping
    from typing import Any, NoReturn

    from portable_fn_aws.entry import Invoke

_VERSION = "/2018-06-01/runtime"
# An answer of as many bytes is in no case too large.
_SURE = 1_000_000
_STREAMED = "application/vnd.awslambda.http-integration-response"


class Invocation:
    """One invocation, with what the handlers of awslambdaric know of theirs."""

    def __init__(self, headers: Mapping[str, str], payload: bytes) -> None:
        self.payload = payload
        self._headers = headers
        self.attempt = headers.get("lambda-runtime-invocation-id")
        self.trace = headers.get("lambda-runtime-trace-id")
        self.aws_request_id = headers["lambda-runtime-aws-request-id"]
        self.invoked_function_arn = headers.get("lambda-runtime-invoked-function-arn", "")
        self.tenant_id = headers.get("lambda-runtime-aws-tenant-id")
        self.function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "")
        self.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", "")
        self.memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
        self.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME", "")
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", "")

    # The caller's own words, which may be malformed.

    @lazy
    def client_context(self) -> Any:
        """What the caller says of itself."""
        return json.loads(self._headers.get("lambda-runtime-client-context") or "null")

    @lazy
    def identity(self) -> Any:
        """The Cognito identity of the caller."""
        return json.loads(self._headers.get("lambda-runtime-cognito-identity") or "null")

    def get_remaining_time_in_millis(self) -> int | None:
        """The milliseconds until Lambda ends the invocation; None if the Runtime API doesn't say, as an emulator's may not."""
        deadline = self._headers.get("lambda-runtime-deadline-ms", "")
        return max(int(deadline) - int(time.time() * 1000), 0) if deadline.isdecimal() else None


class RuntimeAPI:
    """The Runtime API over one kept connection; http.client would cost 15 ms of cold start."""

    def __init__(self, address: str) -> None:
        host, _, port = address.partition(":")
        self._address = host, int(port or 80)
        self._host = address
        self._reader: Any = None
        self._waits = self._ended = False

    def end(self) -> None:
        """Ends the process, once the invocation that runs is answered."""
        self._ended = True
        if self._waits:
            sys.exit()

    def next(self) -> Invocation:
        """Waits for the next invocation; ConnectionError where there is no Runtime API any more."""
        self._waits = True
        if self._ended:
            sys.exit()
        try:
            status, headers, payload = self._exchange("GET", "/invocation/next")
        except OSError:
            # A kept connection may be closed at any time while nothing is under way.
            status, headers, payload = self._exchange("GET", "/invocation/next")
        self._waits = False
        if status != 200:
            raise ConnectionError(f"the Runtime API has no next invocation but {status}: {payload[:300]!r}")
        return Invocation(headers, payload)

    def respond(self, invocation: Invocation, body: bytes) -> None:
        """Sends a buffered answer."""
        headers = {"Content-Type": "application/json"}
        self._finish(invocation, "response", headers, [body])

    def stream(self, invocation: Invocation, prelude: bytes, body: Iterable[bytes]) -> None:
        """Sends an answer as it comes: the prelude at once, then the body; an error on the way as trailers."""
        headers = {
            "Lambda-Runtime-Function-Response-Mode": "streaming",
            "Content-Type": _STREAMED,
            "Transfer-Encoding": "chunked",
            "Trailer": "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body",
        }
        parts = _chunked(prelude, body)
        try:
            self._finish(invocation, "response", headers, parts)
        finally:
            parts.close()

    def fail(self, invocation: Invocation, error: BaseException) -> None:
        """Reports that the invocation failed."""
        self._finish(invocation, "error", *_error(error))

    def fail_init(self, error: BaseException) -> None:
        """Reports that the function can't be loaded."""
        headers, body = _error(error)
        self._exchange("POST", "/init/error", headers, body)

    def _finish(self, invocation: Invocation, what: str, headers: dict[str, str], body: Iterable[bytes]) -> None:
        # Lambda names each attempt since July 2026, and refuses an answer to an earlier one with 410.
        if invocation.attempt is not None:
            headers["Lambda-Runtime-Invocation-Id"] = invocation.attempt
        try:
            status, _, text = self._exchange("POST", f"/invocation/{invocation.aws_request_id}/{what}", headers, body)
        except OSError as exc:
            print(f"the {what} didn't reach the Runtime API: {exc}", file=sys.stderr)
            return
        if status >= 400:
            print(f"the Runtime API refused the {what} with {status}: {text[:300]!r}", file=sys.stderr)

    def _exchange(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: Iterable[bytes] = ()
    ) -> tuple[int, dict[str, str], bytes]:
        """The answer to a request; OSError where the connection breaks, which is a new one the next time."""
        lines = {"Host": self._host, **(headers or {})}
        if "Transfer-Encoding" not in lines and method == "POST":
            body = list(body)
            lines["Content-Length"] = str(sum(map(len, body)))
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        parts = iter(body)
        first = f"{method} {_VERSION}{path} HTTP/1.1\r\n{head}\r\n".encode() + next(parts, b"")
        try:
            if self._reader is None:
                self._connect()
            self._socket.sendall(first)
            for part in parts:
                self._socket.sendall(part)
            return self._read()
        except BaseException:
            self._disconnect()
            raise

    def _connect(self) -> None:
        self._socket = socket.create_connection(self._address)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = self._socket.makefile("rb")

    def _disconnect(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._socket.close()
            self._reader = None

    def _read(self) -> tuple[int, dict[str, str], bytes]:
        status = int(self._line().split()[1])
        headers = {}
        while line := self._line():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        if "chunked" in headers.get("transfer-encoding", ""):
            body = b""
            while size := int(self._line().partition(b";")[0], 16):
                body += self._octets(size)
                self._line()
            self._line()
        else:
            body = self._octets(int(headers.get("content-length") or 0))
        if headers.get("connection", "").lower() == "close":
            self._disconnect()
        return status, headers, body

    def _line(self) -> bytes:
        line: bytes = self._reader.readline()
        if not line.endswith(b"\n"):
            raise ConnectionError("the Runtime API closed the connection")
        return line.strip()

    def _octets(self, count: int) -> bytes:
        read: bytes = self._reader.read(count)
        if len(read) < count:
            raise ConnectionError("the Runtime API closed the connection")
        return read


def _chunked(prelude: bytes, body: Iterable[bytes]) -> Generator[bytes, None, None]:
    """The transfer chunks of a streamed answer; an empty chunk would end it."""
    parts = iter(body)
    try:
        yield _chunk(prelude + bytes(8))
        while True:
            # What a stream raises is caught here alone: around a `yield` it would be this generator's own end as well.
            try:
                part = next(parts, None)
            except BaseException as exc:
                yield _broken_off(exc)
                return
            if part is None:
                yield b"0\r\n\r\n"
                return
            if part:
                yield _chunk(part)
    finally:
        try:
            if close := getattr(parts, "close", None):
                close()
        except BaseException as exc:
            _log(exc)


def _broken_off(error: BaseException) -> bytes:
    """The end of a streamed answer that tells an error."""
    from binascii import b2a_base64

    _log(error)
    document = b2a_base64(json.dumps(_document(error)).encode(), newline=False).decode()
    return (
        f"0\r\nLambda-Runtime-Function-Error-Type: Runtime.{type(error).__name__}\r\n"
        f"Lambda-Runtime-Function-Error-Body: {document}\r\n\r\n"
    ).encode()


def _chunk(part: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(part), part)


def _document(error: BaseException) -> dict[str, Any]:
    try:
        message = str(error)
    except BaseException:
        message = ""
    return {"errorMessage": message, "errorType": type(error).__name__}


def _error(error: BaseException) -> tuple[dict[str, str], list[bytes]]:
    import traceback

    document = {**_document(error), "stackTrace": traceback.format_tb(error.__traceback__)}
    headers = {
        "Content-Type": "application/vnd.aws.lambda.error+json",
        "Lambda-Runtime-Function-Error-Type": type(error).__name__,
    }
    return headers, [json.dumps(document).encode()]


def _log(error: BaseException) -> None:
    import traceback

    traceback.print_exception(error)


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
        recording = recorder()
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
                from portable_fn.streams import chunks

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
