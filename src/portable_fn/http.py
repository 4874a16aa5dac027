"""The neutral HTTP types: `Request`, `Response` and their parts."""

from __future__ import annotations

import os
import time as clock
from collections.abc import AsyncIterable, Iterable, Mapping

from portable_fn.data import charset_of, decode_text, media_type_of, read_json, to_json
from portable_fn.errors import ConfigurationError, EncodeError, HTTPError, is_error
from portable_fn.events import Event
from portable_fn.pairs import MAX_FIELDS, Headers, MultiDict, MutableHeaders, Params, checked, parse_query, unquoted
from portable_fn.record import Generic, Record, lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from typing import Any, BinaryIO, Self

    from typing_extensions import TypeVar

    from portable_fn.cookies import Cookie
    from portable_fn.forms import Upload

    T = TypeVar("T", default=Any)
    HeadersInput = Headers | Mapping[str, str] | Iterable[tuple[str, str]]
    Stream = Iterable[bytes | str] | AsyncIterable[bytes | str]
    Body = bytes | Stream
else:
    T = None

__all__ = [
    "MAX_BODY",
    "MOST_TIMES",
    "Principal",
    "Request",
    "Response",
    "encode_json",
    "finish",
    "forwarded_for",
    "forwarded_scheme",
    "given_id",
    "new_id",
    "to_response",
]


# API Gateway's limit. Lambda takes 6 MB, Azure 100 MB, Cloudflare 100 MB.
MAX_BODY = 10 * 1024 * 1024
# The most memory that reading a body may take, as a multiple of the largest body.
MOST_TIMES = 6
# A shorter body never takes more than that, whatever it contains.
_SURE = 1_000_000


class Principal(Record):
    """The caller, as the platform verified it.

    `id` is the subject. `scheme` is how it was verified: "jwt", "iam", "custom", "mtls" or "easyauth". `claims` are the
    platform's facts about it, unchanged.
    """

    _fields = ("id", "scheme", "claims")
    __slots__ = _fields

    def __init__(self, id: str, scheme: str, claims: Mapping[str, Any]) -> None:
        self.id = id
        self.scheme = scheme
        self.claims = claims


class Request(Event[T], Generic[T]):
    """An HTTP request.

    `raw_path` and `raw_query`, without "?", are still percent-encoded; `path` is decoded. `root_path` is what the platform put
    before the path: an API Gateway stage, Azure's route prefix. `raw_body` is unchanged; `body` is decompressed if the client sent
    gzip. `headers` may be a function, called on first use. `principal` is only what the platform verified, `client_ip` the
    address that it saw.
    """

    kind_name = "Request"
    # Headers and body hold secrets, and a repr reaches logs.
    _shown = ("method", "raw_path", "id")
    _fields = (
        "method", "raw_path", "raw_query", "headers", "raw_body", "params", "host", "scheme", "root_path", "client_ip",
        "principal", "id", "time",
    )  # fmt: skip

    # The most bytes that a decompressed body may have. The route sets it.
    _max_body = MAX_BODY

    # The template that the provider's routing matched, such as `/items/{id}`, if the provider extracted `params`.
    _template = ""

    def __init__(
        self,
        method: str = "GET",
        raw_path: str = "/",
        raw_query: str = "",
        headers: HeadersInput | Callable[[], HeadersInput] = (),
        body: bytes = b"",
        *,
        params: dict[str, str] | None = None,
        host: str | None = None,
        scheme: str = "https",
        root_path: str = "",
        client_ip: str | None = None,
        principal: Principal | None = None,
        id: str | None = None,
        time: float | datetime | None = None,
        native: object = None,
    ) -> None:
        self.method = method
        self.raw_path = raw_path
        self.path = unquoted(raw_path)
        self.raw_query = raw_query
        self._headers = headers
        self.raw_body = body
        self._params: dict[str, str] = {} if params is None else params
        self._host = host
        self.scheme = scheme
        self.root_path = root_path
        self._client_ip = client_ip
        self._principal = principal
        self._id = id
        self._time = clock.time() if time is None else time
        self.native = native

    @property
    def params(self) -> Params:
        """The decoded path parameters. `params.get_int("id")` reads one as a number."""
        params = self._params
        if type(params) is not Params:
            self._params = params = Params(params)
        return params

    @params.setter
    def params(self, params: dict[str, str]) -> None:
        self._params = params

    @lazy
    def headers(self) -> Headers:
        """The headers. Names are case-insensitive, and repeated ones are kept."""
        try:
            headers = self._headers() if callable(self._headers) else self._headers
            return headers if isinstance(headers, Headers) else Headers(headers)
        except (TypeError, AttributeError, ValueError) as exc:
            raise HTTPError(400, f"The headers can't be read: {exc}.") from exc

    @lazy
    def id(self) -> str:
        """The provider's request id, else `x-request-id`, else a new one."""
        if self._id:
            return self._id
        try:
            headers = self.headers
        except HTTPError:
            return new_id()
        return given_id(headers, "x-request-id") or new_id()

    @lazy
    def client_ip(self) -> str | None:
        """The client's address, as the platform saw it."""
        return self._client_ip

    @lazy
    def principal(self) -> Principal | None:
        """The caller, only if the platform verified it."""
        return self._principal

    def copy(self, headers: HeadersInput | None = None) -> Request[T]:
        """Return an equal, unread request with its own parameters and headers, or with these headers."""
        return Request(
            self.method,
            self.raw_path,
            self.raw_query,
            list(self.headers.multi_items()) if headers is None else headers,
            self.raw_body,
            params=dict(self.params),
            host=self.host,
            scheme=self.scheme,
            root_path=self.root_path,
            client_ip=self.client_ip,
            principal=self.principal,
            id=self.id,
            time=self.time,
            native=self.native,
        )

    def __copy__(self) -> Self:
        return self._copied(self.native)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        from copy import deepcopy

        try:
            native = deepcopy(self.native, memo)
        except Exception:
            # The provider's own object, such as a JavaScript one.
            native = self.native
        copied = self._copied(native)
        for name, value in copied.__dict__.items():
            if name != "native":
                copied.__dict__[name] = deepcopy(value, memo)
        return copied

    def __getstate__(self) -> dict[str, Any]:
        """Return the state to pickle. A `native` that can't be pickled becomes None."""
        from pickle import dumps, loads

        native = self.native
        try:
            # An object that can be written may still fail to be read.
            loads(dumps(native))
        except Exception:
            native = None
        return self._copied(native).__dict__

    def _copied(self, native: object) -> Self:
        """Return a copy with that `native`. Attributes that are read from `native` are read first."""
        for name in self._fields:
            try:
                getattr(self, name)
            except HTTPError:
                pass  # the copy raises it, too
        copied = object.__new__(type(self))
        copied.__dict__.update(self.__dict__, native=native)
        if callable(copied.__dict__.get("_headers")) and "headers" in copied.__dict__:
            copied._headers = copied.headers
        return copied

    @property
    def carrier(self) -> Headers:
        """The headers, which have the ids of the trace and the correlation."""
        return self.headers

    @lazy
    def source(self) -> str:
        """The server's origin: scheme and host."""
        return f"{self.scheme}://{self.host}"

    @lazy
    def time(self) -> datetime:
        """When the provider received the request, aware UTC."""
        from datetime import UTC, datetime

        try:
            return self._time if isinstance(self._time, datetime) else datetime.fromtimestamp(self._time, UTC)
        except (TypeError, ValueError, OverflowError, OSError) as exc:
            raise HTTPError(400, f"The request's time can't be read: {exc}.") from exc

    @lazy
    def query(self) -> MultiDict:
        """The decoded query parameters, in order, with repeated and empty values.

        Raises:
            HTTPError: 414, there are over MAX_FIELDS parameters.
        """
        if self.raw_query.count("&") >= MAX_FIELDS:
            raise HTTPError(414, f"The query has over {MAX_FIELDS} parameters.")
        return parse_query(self.raw_query)

    @lazy
    def cookies(self) -> MultiDict:
        """The cookies, in order. If a name repeats, the more specific cookie is first.

        Raises:
            HTTPError: 431, there are over MAX_FIELDS cookies.
        """
        headers = self.headers.get_all("cookie")
        if sum(header.count(";") for header in headers) >= MAX_FIELDS:
            raise HTTPError(431, f"The request has over {MAX_FIELDS} cookies.")
        return _parse_cookies(headers)

    @lazy
    def host(self) -> str:
        """The host that the client called, with the port unless it is the scheme's default."""
        return self._host if self._host is not None else self.headers.get("host", "")

    @lazy
    def url(self) -> str:
        """The whole URL that the client called."""
        query = f"?{self.raw_query}" if self.raw_query else ""
        return f"{self.scheme}://{self.host}{self.root_path}{self.raw_path}{query}"

    @lazy
    def content_type(self) -> str:
        """The media type in lower case, without parameters; "" if the request names none."""
        return media_type_of(self.headers.get("content-type", ""))

    @lazy
    def charset(self) -> str:
        """The charset of the content type, else utf-8."""
        return charset_of(self.headers.get("content-type", ""))

    @lazy
    def body(self) -> bytes:
        """The body, decompressed if the client sent it with Content-Encoding: gzip. `raw_body` is unchanged.

        Raises:
            HTTPError: 415 for another coding, 400 for broken gzip, 413 for a body over the function's `max_body`.
        """
        body = self.raw_body
        if not body or (coding := self.headers.get("content-encoding")) is None:
            return body
        from portable_fn.compression import without_coding

        self._decoded_body = without_coding(body, coding, self._max_body)
        return self._decoded_body

    @property
    def sent_body(self) -> tuple[bytes, bool]:
        """The body for an application that decodes Content-Encoding itself, and whether it has that coding.

        It is the raw body, or the body that middleware set instead.
        """
        body = self.__dict__.get("body", self.raw_body)
        if body is self.raw_body or body is self.__dict__.get("_decoded_body"):
            return self.raw_body, True
        return body, False

    @lazy
    def text(self) -> str:
        """The body as text in its charset.

        Raises:
            HTTPError: 400, the body isn't text in its charset; 415, the charset is unknown.
        """
        try:
            return decode_text(self.body, self.charset)
        except LookupError as exc:
            raise HTTPError(415, f"The body's {exc.args[0]}.") from exc
        except ValueError as exc:
            raise HTTPError(400, f"The body is {exc}.") from exc

    def json(self) -> Any:
        """Read the body as JSON.

        Raises:
            HTTPError: 400, the body is empty or malformed; the message says where. 415, the charset is unknown.
        """
        body = self.body
        if not body:
            raise HTTPError(400, "The body is empty; JSON was expected.")
        try:
            if len(body) < _SURE:
                return read_json(body, self.charset)
            return read_json(body, self.charset, MOST_TIMES * max(self._max_body, MAX_BODY))
        except LookupError as exc:
            raise HTTPError(415, f"The body's {exc.args[0]}.") from exc
        except ValueError as exc:
            if len(body) >= _SURE:
                from portable_fn.json_limits import TooManyValues

                if isinstance(exc, TooManyValues):
                    raise HTTPError(413, "The body's JSON has too many values.") from exc
            raise HTTPError(400, f"The body is not JSON: {exc}.") from exc

    @lazy
    def data(self) -> T:
        """The body's data: a form as a dict, anything else as JSON, None if it is empty; for `Request[Model]` the model."""
        data: Any = self.read_data()
        return data  # type: ignore[no-any-return]  # checked where the handler is bound

    def read_data(self) -> Any:
        """Read the body's data before validation."""
        if not self.has_form:
            return self.json() if self.body else None
        try:
            form = self.form
        except ConfigurationError as exc:
            # The client chose a content type that the function can't read.
            from portable_fn.logs import log

            log().error("a %s body is refused: %s", self.content_type, exc)
            headers = {"accept": "application/json, application/x-www-form-urlencoded"}
            raise HTTPError(415, f"The function takes no {self.content_type}.", headers=headers) from exc
        grouped: dict[str, list[Any]] = {}
        for name, value in form.multi_items():
            grouped.setdefault(name, []).append(value)
        return {name: values[0] if len(values) == 1 else values for name, values in grouped.items()}

    @property
    def has_form(self) -> bool:
        """Whether the content type says that the body is a form."""
        return self.content_type in ("application/x-www-form-urlencoded", "multipart/form-data")

    @lazy
    def form(self) -> MultiDict[str | Upload]:
        """The fields of a urlencoded or multipart form. Files are `Upload`s.

        Raises:
            HTTPError: 415, the body isn't a form; 400, it is malformed.
        """
        from portable_fn.forms import read_form

        return read_form(self.headers.get("content-type", ""), self.body)


class Response(Record):
    """An HTTP response.

    Args:
        status: From 200 to 599.
        headers: A mapping or pairs.
        cookies: `Cookie`s, or a mapping of names and values.
        body: Bytes, a str (sent as UTF-8), or a sync or async iterable of either, which is streamed.

    Raises:
        ValueError: The status is out of range.
        TypeError: The body or the cookies have another type.
    """

    _fields = ("status", "headers", "cookies", "body")

    def __init__(
        self,
        status: int = 200,
        headers: HeadersInput = (),
        cookies: Sequence[Cookie] | Mapping[str, str] = (),
        body: Body | str | None = b"",
    ) -> None:
        if not isinstance(status, int) or not 200 <= status <= 599:
            raise ValueError(f"a response's status must be from 200 to 599, not {status!r}")
        self.status = int(status)
        self.headers = MutableHeaders(headers)
        self.cookies: list[Cookie] = _cookies(cookies)
        self.body: Body = self._bytes_or_stream(body)

    def _bytes_or_stream(self, body: Body | str | None) -> Body:
        if isinstance(body, bytes):
            return body
        if body is None:
            return b""
        if isinstance(body, str):
            self.headers.setdefault("content-type", "text/plain; charset=utf-8")
            return body.encode("utf-8", "replace")
        if isinstance(body, (bytearray, memoryview)):
            return bytes(body)
        if isinstance(body, AsyncIterable) or (isinstance(body, Iterable) and not isinstance(body, Mapping)):
            return body
        raise TypeError(
            f"a body must be bytes, str, or an iterable of them, not {type(body).__name__}; Response.json() takes other values"
        )

    def copy(self) -> Response:
        """Return a response with its own headers and cookies, and the same body."""
        response = Response.__new__(Response)
        response.status = self.status
        response.headers = MutableHeaders(self.headers)
        response.cookies = list(self.cookies)
        response.body = self.body
        return response

    @property
    def stream(self) -> Stream | None:
        """The body if it is a stream, else None."""
        return None if isinstance(self.body, bytes) else self.body

    @property
    def is_stream(self) -> bool:
        """Whether the body is a stream."""
        return not isinstance(self.body, bytes)

    def set_cookie(self, name: str, value: str, **attributes: Any) -> None:
        """Add a cookie. The attributes are those of `Cookie`."""
        from portable_fn.cookies import Cookie

        self.cookies.append(Cookie(name, value, **attributes))

    def delete_cookie(
        self, name: str, *, domain: str | None = None, path: str | None = "/", secure: bool = False
    ) -> None:
        """Add the cookie that deletes one of the same name, domain and path."""
        from portable_fn.cookies import Cookie

        self.cookies.append(Cookie.expired(name, domain=domain, path=path, secure=secure))

    @property
    def set_cookies(self) -> list[str]:
        """The value of every Set-Cookie header: those among the headers, then the cookies."""
        return [*self.headers.get_all("set-cookie"), *(checked("set-cookie", str(cookie)) for cookie in self.cookies)]

    def wire_headers(self) -> list[tuple[str, str]]:
        """Return every header line, with a Set-Cookie for each cookie."""
        lines = list(self.headers.multi_items())
        lines.extend(("set-cookie", checked("set-cookie", str(cookie))) for cookie in self.cookies)
        return lines

    @classmethod
    def json(cls, value: object, status: int = 200, headers: HeadersInput = ()) -> Response:
        """Return a JSON response. Models, dataclasses, times, decimals, UUIDs, enums and sets are written in their usual JSON form."""
        return _typed(status, headers, "application/json", encode_json(value))

    @classmethod
    def text(cls, text: str, status: int = 200, headers: HeadersInput = ()) -> Response:
        """Return a plain-text response in UTF-8."""
        return _typed(status, headers, "text/plain; charset=utf-8", text.encode("utf-8", "replace"))

    @classmethod
    def html(cls, html: str, status: int = 200, headers: HeadersInput = ()) -> Response:
        """Return an HTML response in UTF-8."""
        return _typed(status, headers, "text/html; charset=utf-8", html.encode("utf-8", "replace"))

    @classmethod
    def redirect(cls, location: str, status: int = 307, headers: HeadersInput = ()) -> Response:
        """Return a redirect: 307 keeps the method, 303 makes it a GET, 301 and 308 are permanent."""
        if status not in (301, 302, 303, 307, 308):
            raise ValueError(f"a redirect's status must be 301, 302, 303, 307 or 308, not {status!r}")
        response = cls(status, headers)
        if not location.isascii() or not location.isprintable() or " " in location:
            from urllib.parse import quote

            location = quote(location, safe="/:?#[]@!$&'()*+,;=%~", errors="replace")
        response.headers["location"] = location
        return response

    @classmethod
    def file(
        cls,
        data: bytes | BinaryIO,
        filename: str | None = None,
        *,
        content_type: str | None = None,
        inline: bool = False,
        status: int = 200,
        headers: HeadersInput = (),
    ) -> Response:
        """Return the bytes of a file, or of a binary file object. If there is no `content_type`, the filename decides.

        With a filename, browsers offer a download, or show the file if `inline`.
        """
        if content_type is None:
            from mimetypes import guess_type

            content_type = (filename and guess_type(filename)[0]) or "application/octet-stream"
        response = _typed(status, headers, content_type, data if isinstance(data, bytes) else data.read())
        if filename is not None:
            response.headers.setdefault("content-disposition", _disposition(filename, inline))
        return response


def _parse_cookies(headers: list[str]) -> MultiDict:
    """Parse cookies, and put `parse_cookies` in the place of this function.

    A function without cookies doesn't pay for the module, and one with cookies doesn't pay 0.6 µs a request for an import.
    """
    from portable_fn.cookies import parse_cookies

    globals()["_parse_cookies"] = parse_cookies
    return parse_cookies(headers)


def _cookies(cookies: Any) -> list[Cookie]:
    if cookies == ():
        return []
    from portable_fn.cookies import Cookie

    if isinstance(cookies, Mapping):
        return [Cookie(name, value) for name, value in cookies.items()]
    if isinstance(cookies, (list, tuple)) and all(isinstance(cookie, Cookie) for cookie in cookies):
        return list(cookies)
    shown = type(cookies).__name__
    raise TypeError(
        f"cookies must be a list of Cookie, or a mapping of names and values, not {shown}; a body is Response(body=…)"
    )


def _typed(status: int, headers: HeadersInput, content_type: str, body: bytes) -> Response:
    response = Response(status, headers, (), body)
    response.headers.setdefault("content-type", content_type)
    return response


def _disposition(filename: str, inline: bool) -> str:
    """Return a Content-Disposition of RFC 6266: an ASCII name as a quoted string, another name as UTF-8 in filename*."""
    kind = "inline" if inline else "attachment"
    if filename.isascii() and filename.isprintable() and not any(char in '"\\%' for char in filename):
        return f'{kind}; filename="{filename}"'
    from urllib.parse import quote

    return f"{kind}; filename*=UTF-8''{quote(filename, safe='')}"


def encode_json(value: object) -> bytes:
    """Write the value as JSON in UTF-8.

    Raises:
        EncodeError: The value has no JSON form.
    """
    try:
        text = to_json(value)
        # JSON can contain a lone surrogate, UTF-8 can't. It arrives as \ud800 and is sent as \ud800.
        return text.encode() if text.isascii() else text.encode("utf-8", "backslashreplace")
    except (TypeError, ValueError, RecursionError) as exc:
        raise EncodeError(
            f"the handler's {type(value).__name__} can't be written as JSON ({exc}); possible are a Response, dict, list, "
            "dataclass, pydantic model, str, bytes, number, generator or None"
        ) from exc


def json_response(value: object) -> Response:
    """Return the JSON response of a result, without the checks of Response.__init__, which always succeed here."""
    response = Response.__new__(Response)
    response.status = 200
    response.headers = MutableHeaders.lowered({"content-type": "application/json"})
    response.cookies = []
    response.body = encode_json(value)
    return response


def to_response(result: object) -> Response:
    """Return the response for a handler's result.

    Raises:
        EncodeError: The result's type means no response.
    """
    if isinstance(result, dict):
        if "statusCode" in result:
            from portable_fn.hints import refuse_lambda_answer

            refuse_lambda_answer(result)
        return json_response(result)
    if isinstance(result, Response):
        return result
    if result is None:
        return Response(204)
    if isinstance(result, str):
        return Response.text(result)
    if isinstance(result, (bytes, bytearray, memoryview)):
        return _typed(200, (), "application/octet-stream", bytes(result))
    if isinstance(result, tuple) and not hasattr(result, "_fields"):
        raise EncodeError("the handler returned a tuple; for a status and a body return Response.json(body, 201)")
    if is_error(result):
        name = (result if isinstance(result, type) else type(result)).__name__
        raise EncodeError(f"the handler returned {name}: raise it")
    if hasattr(result, "__aiter__") or hasattr(result, "__next__"):
        return Response(200, {"content-type": "application/octet-stream"}, (), result)  # type: ignore[arg-type]
    return json_response(result)


def finish(response: Response, request: Request[Any]) -> Response:
    """Return the response that HTTP allows for the request: 204, 205, 304 and HEAD have no body, but HEAD has its length."""
    status = response.status
    if status not in (204, 205, 304) and request.method != "HEAD":
        return response
    # The handler may return the same response object for another request.
    body = response.body
    response = response.copy()
    if status in (204, 205, 304):
        response.body = b""
        response.headers.pop_all("content-length")
        if status != 304:
            response.headers.pop_all("content-type")
    elif isinstance(body, bytes):
        response.body = b""
        response.headers.setdefault("content-length", str(len(body)))
    else:
        # The length of a stream is unknown, so it stays a stream.
        response.body = ()
    if hasattr(body, "__next__") and (close := getattr(body, "close", None)):
        _closed(close)
    return response


def _closed(close: Callable[[], object]) -> None:
    """Close a stream that won't be read. It may hold a file."""
    try:
        close()
    except Exception:
        from portable_fn.logs import log

        log().exception("a stream that isn't sent can't be closed")


def given_id(headers: Mapping[str, Any], *names: str) -> str | None:
    """Return the first of the headers or attributes that can be an id: up to 128 visible ASCII characters, since ids reach logs."""
    for name in names:
        value = headers.get(name)
        if (
            isinstance(value, str)
            and 0 < len(value) <= 128
            and value.isascii()
            and value.isprintable()
            and " " not in value
        ):
            return value
    return None


def forwarded_for(headers: Headers) -> str | None:
    """Return the last address of X-Forwarded-For, which the provider's proxy added. A client can send the others."""
    forwarded = headers.get("x-forwarded-for")
    return forwarded.rpartition(",")[2].strip() if forwarded else None


def forwarded_scheme(headers: Headers, default: str) -> str:
    """Return the last scheme of X-Forwarded-Proto, which the provider's proxy added; the default if there is none."""
    forwarded = headers.get("x-forwarded-proto")
    if forwarded is None:
        return default
    return "http" if forwarded.rpartition(",")[2].strip().lower() == "http" else "https"


def new_id() -> str:
    """Return a new random id: 32 hexadecimal digits."""
    return os.urandom(16).hex()
