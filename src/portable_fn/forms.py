"""The fields of an HTML form: urlencoded, or multipart by the library `multipart`."""

from __future__ import annotations

from portable_fn.data import decode_text
from portable_fn.errors import ConfigurationError, HTTPError
from portable_fn.http import parse_query
from portable_fn.pairs import Headers, Pairs
from portable_fn.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from portable_fn.http import Request


# More than any form that people fill in has, and few enough to parse.
MAX_PARTS = 1000


class Upload(Record):
    """A file of a multipart form: its bytes as `body`, with the client's `filename`, `content_type` and part `headers`."""

    _fields = ("filename", "content_type", "headers", "body")
    __slots__ = _fields

    def __init__(self, filename: str, content_type: str, headers: Headers, body: bytes) -> None:
        self.filename = filename
        self.content_type = content_type
        self.headers = headers
        self.body = body


def read_form(request: Request[Any]) -> Pairs[str | Upload]:
    """The form in the request's body; HTTPError 415 for another content type, 400 for a malformed one."""
    if request.content_type == "application/x-www-form-urlencoded":
        return parse_query(request.text)  # type: ignore[return-value]  # Pairs is read-only, so str will do
    if request.content_type == "multipart/form-data":
        return _multipart(request)
    seen = request.content_type or "no content type"
    raise HTTPError(415, f"A form is application/x-www-form-urlencoded or multipart/form-data, not {seen}.")


def _multipart(request: Request[Any]) -> Pairs[str | Upload]:
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
            part_limit=MAX_PARTS,
            memory_limit=size + 1,
            spool_limit=size + 1,
        )
        for part in parser:
            if part.filename is None:
                fields.append((part.name or "", decode_text(part.raw, (part.charset or "utf-8").lower())))
            else:
                upload = Upload(part.filename, part.content_type, Headers(part.headerlist), part.raw)
                fields.append((part.name or "", upload))
    except ParserLimitReached as exc:
        raise HTTPError(413, f"The multipart form has too many or too large parts ({MAX_PARTS} are possible).") from exc
    except (MultipartError, ValueError, LookupError) as exc:
        raise HTTPError(400, "The multipart form is malformed.") from exc
    return Pairs(fields)
