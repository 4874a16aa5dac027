"""Route HTTP requests to functions, and answer with their responses, as the host does."""

from __future__ import annotations

import http.client
import json
import re
import secrets
import socketserver
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from google.protobuf import json_format

from tests.runtimes.wire import Chunks, read_body, read_headers

from .http_messages import Answer, HostFailure, decoded_path, encoded_path, require_ascii, response, rpc_request
from .protos import protos
from .rules import Route
from .worker import Function, Worker, WorkerLost, failure, log

# Source: microsoft/reverse-proxy, RequestUtilities; its default transformer also replaces Host by the destination's.
NOT_PROXIED = {
    *("alpn", "alt-svc", "close", "connection", "host", "keep-alive", "proxy-authenticate"),
    *("proxy-authentication-info", "proxy-authorization", "proxy-connection", "proxy-features", "proxy-instruction"),
    *("security-scheme", "te", "transfer-encoding", "upgrade"),
}


@dataclass(frozen=True)
class App:
    """What the host loaded, or the reason why it couldn't."""

    worker: Worker
    functions: Sequence[Function]
    routes: Sequence[tuple[Function, str, Route]]
    errors: Sequence[str]
    timeout: float


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: str
    headers: list[tuple[str, str]]
    chunks: Chunks

    @property
    def body(self) -> bytes:
        return b"".join(chunk for _, chunk in self.chunks)

    @property
    def scheme(self) -> str:
        return "https" if self.header("x-forwarded-proto") == "https" else "http"

    def header(self, name: str) -> str:
        return next((value for each, value in self.headers if each == name), "")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, app: App) -> None:
        self.app = app
        super().__init__(("127.0.0.1", port), Connection)


class Connection(socketserver.StreamRequestHandler):
    """One request and its response."""

    server: Server
    disable_nagle_algorithm = True

    def handle(self) -> None:
        try:
            request = self._read()
        except (ValueError, EOFError):
            return self._send("GET", Answer(400))
        if request is not None:
            self._serve(request, self.server.app)

    def _read(self) -> Request | None:
        line = self.rfile.readline()
        if not line:
            return None
        method, target, _ = line.decode("ascii").split()
        raw = read_headers(self.rfile)
        # Kestrel reads header values as UTF-8, and refuses others.
        headers = [(name, value.encode("latin-1").decode("utf-8")) for name, value in raw]
        # Azure's front end adds the outer scheme and host. Source: AppServiceHeaderFixupMiddleware.
        if outer := dict(headers).get("disguised-host"):
            headers = [(name, outer if name == "host" else value) for name, value in headers]
        chunks: Chunks = []
        names = {name for name, _ in headers}
        if ("expect", "100-continue") in headers:
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if names & {"content-length", "transfer-encoding"}:
            read_body(self.rfile, headers, time.monotonic(), chunks)
        path, _, query = target.partition("?")
        if not path.startswith("/") or "%00" in path:
            raise ValueError(f"the target {target!r}")
        return Request(method, decoded_path(path), query, headers, chunks)

    def _serve(self, request: Request, app: App) -> None:
        if request.path.startswith("/admin/"):
            return self._administer(request, app)
        if not app.functions and app.errors:
            return self._send(request.method, Answer(503, [], b"Function host is not running."))
        for function, parameter, route in app.routes:
            params = route.params(request.method, request.path)
            if params is not None:
                return self._invoke(request, app, function, parameter, params)
        self._send(request.method, Answer(404))

    def _invoke(self, request: Request, app: App, function: Function, parameter: str, params: dict[str, str]) -> None:
        uri = app.worker.capabilities.get("HttpUri")
        if uri is not None:
            # In streaming mode the real host sends only the route values; its proxy sends the request itself.
            rpc = protos.RpcHttp(params=params)
        else:
            rpc = rpc_request(
                request.method, request.scheme, request.path, request.query, request.headers, request.body, params
            )
        data = [protos.ParameterBinding(name=parameter, data=protos.TypedData(http=rpc))]
        invocation = invocation_request(function, input_data=data, trace_context=trace_context(request))
        if uri is not None:
            answer = app.worker.invoke(invocation)
            self._proxy(request, uri, invocation.invocation_id)
            return report(function, answer, app.timeout)
        try:
            answered = app.worker.invoke(invocation).result(app.timeout)
            if why := failure(answered.result):
                raise HostFailure(why)
            self._send(request.method, response(answered.return_value))
        except (HostFailure, WorkerLost) as exc:
            log(f"[host] {function.name} failed: {exc}")
            self._send(request.method, Answer(500))
        except TimeoutError:
            log(f"[host] {function.name} gave no response within {app.timeout} s")
            self._send(request.method, Answer(500))

    def _proxy(self, request: Request, uri: str, invocation_id: str) -> None:
        """Pass a request to the worker's own HTTP server, and pass on each chunk of its response."""
        try:
            answer = forwarded(request, uri, invocation_id)
            headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in NOT_PROXIED]
            require_ascii(headers)
        except (http.client.HTTPException, OSError, UnicodeEncodeError, HostFailure) as exc:
            log(f"[host] the request could not be proxied: {exc!r}")
            return self._send(request.method, Answer(502))
        self._head(answer.status, [*headers, ("Transfer-Encoding", "chunked")] if answer.chunked else headers)
        try:
            while piece := answer.read1(65536):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if answer.chunked else piece)
            if answer.chunked:
                self.wfile.write(b"0\r\n\r\n")
        except (http.client.HTTPException, OSError) as exc:
            log(f"[host] the response broke off: {exc!r}")
        finally:
            answer.close()

    def _administer(self, request: Request, app: App) -> None:
        """Answer the tests: /admin/functions lists the functions, /admin/invocations/{name} takes an InvocationRequest."""
        name = request.path.removeprefix("/admin/invocations/")
        answer: Mapping[str, Any]
        if request.path == "/admin/functions":
            functions = [{"name": each.name, "bindings": each.bindings, "retry": retry(each)} for each in app.functions]
            answer = {"functions": functions, "errors": list(app.errors)}
        elif function := next((each for each in app.functions if each.name == name), None):
            invocation = json_format.ParseDict(json.loads(request.body), invocation_request(function))
            try:
                answered = app.worker.invoke(invocation).result(app.timeout)
                answer = json_format.MessageToDict(answered, preserving_proto_field_name=True)
            except (WorkerLost, TimeoutError) as exc:
                answer = {"no_response": str(exc) or f"no response within {app.timeout} s"}
        else:
            return self._send(request.method, Answer(404))
        self._send(request.method, Answer(200, [("Content-Type", "application/json")], json.dumps(answer).encode()))

    def _send(self, method: str, answer: Answer) -> None:
        """Frame a body as Kestrel does: without Content-Length it is chunked, an empty one has length 0."""
        headers = list(answer.headers)
        declared = next((value for name, value in headers if name.lower() == "content-length"), None)
        if declared is None and method != "HEAD" and answer.status not in (204, 205, 304):
            headers.append(("Transfer-Encoding", "chunked") if answer.body else ("Content-Length", "0"))
        elif declared is not None and method != "HEAD" and declared != str(len(answer.body)):
            log(f"[host] Response Content-Length mismatch: {len(answer.body)} bytes of {declared}")
            return
        self._head(answer.status, headers)
        if method == "HEAD" or not answer.body:
            return
        if declared is not None:
            self.wfile.write(answer.body)
        else:
            self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(answer.body), answer.body))

    def _head(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        reason = HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
        lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers), "Connection: close"]
        if not any(name.lower() == "date" for name, _ in headers):
            lines.append(f"Date: {formatdate(usegmt=True)}")
        self.wfile.write("\r\n".join([*lines, "", ""]).encode("latin-1"))


def invocation_request(function: Function, **fields: Any) -> Any:
    return protos.InvocationRequest(invocation_id=str(uuid.uuid4()), function_id=function.id, **fields)


def retry(function: Function) -> dict[str, Any] | None:
    """Return the retry policy that the worker sent for a function; None without one."""
    if not function.metadata.HasField("retry_options"):
        return None
    policy: dict[str, Any] = json_format.MessageToDict(
        function.metadata.retry_options, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return policy


def trace_context(request: Request) -> dict[str, str]:
    """Continue the caller's trace, or start a new one, as ASP.NET Core's activities do."""
    match = re.fullmatch(r"00-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})", request.header("traceparent"))
    trace, flags = match.groups() if match else (secrets.token_hex(16), "00")
    state = request.header("tracestate") if match else ""
    return {"trace_parent": f"00-{trace}-{secrets.token_hex(8)}-{flags}", "trace_state": state}


def forwarded(request: Request, uri: str, invocation_id: str) -> http.client.HTTPResponse:
    """Send a request to the worker's HTTP server; return the response without reading its body.

    Source: azure-functions-host, DefaultHttpProxyService, whose forwarder has the default transforms: X-Forwarded-…
    set, Host replaced. .NET's client sends ASCII header values only.
    """
    upstream = connected(uri)
    query = f"?{request.query}" if request.query else ""
    upstream.putrequest(request.method, encoded_path(request.path) + query, skip_accept_encoding=True)
    added = {
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-host": request.header("host"),
        "x-forwarded-proto": request.scheme,
        "x-ms-invocation-id": request.header("x-ms-invocation-id") or invocation_id,
    }
    chunked = "transfer-encoding" in dict(request.headers)
    kept = [(name, value) for name, value in request.headers if name not in NOT_PROXIED and name not in added]
    for name, value in [*kept, *added.items(), *([("transfer-encoding", "chunked")] if chunked else [])]:
        upstream.putheader(name, value.encode("ascii"))
    upstream.endheaders()
    for _, chunk in request.chunks:
        upstream.send(b"%x\r\n%s\r\n" % (len(chunk), chunk) if chunked else chunk)
    if chunked:
        upstream.send(b"0\r\n\r\n")
    return upstream.getresponse()


def connected(uri: str) -> http.client.HTTPConnection:
    """Return a connection to the worker's HTTP server, which may be slow to listen.

    Source: RetryProxyHandler.
    """
    for delay in (0.05, 0.1, 0.2, *[0.25] * 7):
        upstream = http.client.HTTPConnection(urlsplit(uri).netloc)
        try:
            upstream.connect()
            return upstream
        except ConnectionRefusedError:
            time.sleep(delay)
    raise ConnectionRefusedError(uri)


def report(function: Function, answer: Future[Any], timeout: float) -> None:
    """Log how an invocation ended after its response went through the proxy."""
    try:
        if why := failure(answer.result(timeout).result):
            log(f"[host] {function.name} failed: {why}")
    except (WorkerLost, TimeoutError) as exc:
        log(f"[host] {function.name} gave no response: {exc or f'within {timeout} s'}")
