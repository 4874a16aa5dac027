"""The fields of an HTML form: urlencoded, or multipart by the library `multipart`."""

from __future__ import annotations

from portable_fn.data import decode_text
from portable_fn.errors import ConfigurationError, HTTPError
from portable_fn.pairs import MAX_FIELDS, Headers, MultiDict, unquoted_bytes
from portable_fn.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from portable_fn.http import Request


class Upload(Record):
    """A file of a multipart form: its bytes as `body`, with the client's `filename`, `content_type` and part `headers`."""

    _fields = ("filename", "content_type", "headers", "body")
    __slots__ = _fields

    def __init__(self, filename: str, content_type: str, headers: Headers, body: bytes) -> None:
        self.filename = filename
        self.content_type = content_type
        self.headers = headers
        self.body = body


def read_form(request: Request[Any]) -> MultiDict[str | Upload]:
    """Read the form in the request's body.

    Raises:
        HTTPError: 415 for another content type, 400 for a malformed form, 413 for over MAX_FIELDS fields.
    """
    if request.content_type == "application/x-www-form-urlencoded":
        return _urlencoded(request)  # type: ignore[return-value]  # MultiDict is read-only, so str will do
    if request.content_type == "multipart/form-data":
        return _multipart(request)
    seen = request.content_type or "no content type"
    raise HTTPError(415, f"A form is application/x-www-form-urlencoded or multipart/form-data, not {seen}.")


def _urlencoded(request: Request[Any]) -> MultiDict:
    body = request.body
    is_utf_8 = request.charset in ("utf-8", "utf8")
    if not (is_utf_8 and body.isascii()):
        # Bytes that aren't percent-encoded are in the charset; those that are, in UTF-8 as browsers have it.
        try:
            text = decode_text(body, request.charset)
        except LookupError as exc:
            raise HTTPError(415, f"The body's {exc.args[0]}.") from exc
        except ValueError as exc:
            raise HTTPError(400, f"The body is {exc}.") from exc
        if not is_utf_8:
            body = text.encode("utf-8", "surrogatepass")
        # It may take four times the body.
        del text
    if body.count(b"&") >= MAX_FIELDS:
        raise HTTPError(413, f"The form has over {MAX_FIELDS} fields.")
    fields: list[tuple[str, str]] = []
    at = 0
    while at < len(body):
        end = body.find(b"&", at)
        end = len(body) if end < 0 else end
        if end > at:
            equals = body.find(b"=", at, end)
            equals = end if equals < 0 else equals
            fields.append((_decoded(body[at:equals]), _decoded(body[equals + 1 : end])))
        at = end + 1
    return MultiDict(fields, "form")


def _decoded(value: bytes) -> str:
    if b"+" in value:
        value = value.replace(b"+", b" ")
    if b"%" in value:
        value = unquoted_bytes(value)
    return value.decode("utf-8", "replace")


def _multipart(request: Request[Any]) -> MultiDict[str | Upload]:
    try:
        from multipart import (  # type: ignore[import-untyped]  # the library has no annotations
            MultipartError,
            MultipartParser,
            ParserLimitReached,
            parse_options_header,
        )
    except ImportError as exc:
        raise ConfigurationError("multipart forms need a parser: pip install 'portable-fn[forms]'") from exc
    from io import BytesIO

    boundary = parse_options_header(request.headers["content-type"])[1].get("boundary")
    if not boundary:
        raise HTTPError(400, "The multipart form's content type has no boundary.")
    size = len(request.body)
    fields: list[tuple[str, str | Upload]] = []
    try:
        # Everything is in memory already, so that the parser need not spool to disk: the limit is the body itself.
        parser = MultipartParser(
            BytesIO(request.body),
            boundary,
            content_length=size,
            part_limit=MAX_FIELDS,
            memory_limit=size + 1,
            spool_limit=size + 1,
        )
        for part in parser:
            raw = part.raw
            # The parser keeps its parts.
            part.close()
            if part.filename is None:
                fields.append((part.name or "", decode_text(raw, (part.charset or "utf-8").lower())))
            else:
                fields.append(
                    (part.name or "", Upload(part.filename, part.content_type, Headers(part.headerlist), raw))
                )
    except ParserLimitReached as exc:
        raise HTTPError(
            413, f"The multipart form has too many or too large parts ({MAX_FIELDS} are possible)."
        ) from exc
    except (MultipartError, ValueError, LookupError) as exc:
        raise HTTPError(400, "The multipart form is malformed.") from exc
    return MultiDict(fields, "form")
