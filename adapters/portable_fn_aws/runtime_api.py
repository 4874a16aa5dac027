"""Call the Lambda Runtime API."""

from __future__ import annotations

import json
import os
import socket
import sys
import time

from portable_fn.record import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping
    from typing import Any

_STREAMED = "application/vnd.awslambda.http-integration-response"


_VERSION = "/2018-06-01/runtime"


class Invocation:
    """One invocation, with the attributes of awslambdaric's context."""

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

    # The caller writes these two; they may be malformed.

    @lazy
    def client_context(self) -> Any:
        """The client context that the caller sent."""
        return json.loads(self._headers.get("lambda-runtime-client-context") or "null")

    @lazy
    def identity(self) -> Any:
        """The Cognito identity of the caller."""
        return json.loads(self._headers.get("lambda-runtime-cognito-identity") or "null")

    def get_remaining_time_in_millis(self) -> int | None:
        """Return the milliseconds until Lambda ends the invocation; None if the Runtime API (an emulator's) doesn't say."""
        deadline = self._headers.get("lambda-runtime-deadline-ms", "")
        return max(int(deadline) - int(time.time() * 1000), 0) if deadline.isdecimal() else None


class RuntimeAPI:
    """A client of the Runtime API over one connection; http.client would cost 15 ms of cold start."""

    def __init__(self, address: str) -> None:
        host, _, port = address.partition(":")
        self._address = host, int(port or 80)
        self._host = address
        self._reader: Any = None
        self._waits = self._ended = False

    def end(self) -> None:
        """End the process after the current invocation is answered."""
        self._ended = True
        if self._waits:
            sys.exit()

    def next(self) -> Invocation:
        """Wait for the next invocation.

        Raises:
            ConnectionError: The Runtime API has gone.
        """
        self._waits = True
        if self._ended:
            sys.exit()
        try:
            status, headers, payload = self._exchange("GET", "/invocation/next")
        except OSError:
            # The server may close an idle connection at any time.
            status, headers, payload = self._exchange("GET", "/invocation/next")
        self._waits = False
        if status != 200:
            raise ConnectionError(
                f"the Runtime API answered the request for the next invocation with {status}: {payload[:300]!r}"
            )
        return Invocation(headers, payload)

    def respond(self, invocation: Invocation, body: bytes) -> None:
        """Send a buffered answer."""
        headers = {"Content-Type": "application/json"}
        self._finish(invocation, "response", headers, [body])

    def stream(self, invocation: Invocation, prelude: bytes, body: Iterable[bytes]) -> None:
        """Stream an answer: send the prelude at once, then the body, and an error on the way as trailers."""
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
        """Report that the invocation failed."""
        self._finish(invocation, "error", *_error(error))

    def fail_init(self, error: BaseException) -> None:
        """Report that the function can't be loaded."""
        headers, body = _error(error)
        self._exchange("POST", "/init/error", headers, body)

    def _finish(self, invocation: Invocation, what: str, headers: dict[str, str], body: Iterable[bytes]) -> None:
        # Since July 2026 Lambda names each attempt, and refuses the answer to an earlier attempt with 410.
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
        """Send a request and return status, headers and body; if the connection breaks, raise OSError and connect again next time."""
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
    """Yield the transfer chunks of a streamed answer; skip empty parts, since an empty chunk ends the answer."""
    parts = iter(body)
    try:
        yield _chunk(prelude + bytes(8))
        while True:
            # Catch only the stream's errors: around a `yield` this would catch the generator's own end too.
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
            log_error(exc)


def _broken_off(error: BaseException) -> bytes:
    """Return the end of a streamed answer: the trailers that report an error."""
    from binascii import b2a_base64

    log_error(error)
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


def log_error(error: BaseException) -> None:
    """Print the error with its traceback."""
    import traceback

    traceback.print_exception(error)
