"""Read HTML forms: urlencoded, or multipart with the library `multipart`."""

from __future__ import annotations

from portable_fn.data import charset_of, decode_text, media_type_of
from portable_fn.errors import ConfigurationError, HTTPError
from portable_fn.pairs import MAX_FIELDS, Headers, MultiDict, unquoted_bytes
from portable_fn.record import Record

__all__ = ["Upload", "read_form"]


class Upload(Record):
    """A file of a multipart form.

    `body` is its bytes. `filename`, `content_type` and `headers`, those of the part, come from the client.
    """

    _fields = ("filename", "content_type", "headers", "body")
    __slots__ = _fields

    def __init__(self, filename: str, content_type: str, headers: Headers, body: bytes) -> None:
        self.filename = filename
        self.content_type = content_type
        self.headers = headers
        self.body = body


def read_form(content_type: str, body: bytes) -> MultiDict[str | Upload]:
    """Read a form.

    Args:
        content_type: The Content-Type header, with its parameters.
        body: The form, without a content coding.

    Raises:
        HTTPError: 415 for another content type, 400 for a malformed form, 413 for over MAX_FIELDS fields.
    """
    media_type = media_type_of(content_type)
    if media_type == "application/x-www-form-urlencoded":
        return _urlencoded(body, charset_of(content_type))  # type: ignore[return-value]  # MultiDict is read-only, so str will do
    if media_type == "multipart/form-data":
        return _multipart(content_type, body)
    seen = media_type or "no content type"
    raise HTTPError(415, f"A form is application/x-www-form-urlencoded or multipart/form-data, not {seen}.")


def _urlencoded(body: bytes, charset: str) -> MultiDict:
    is_utf_8 = charset in ("utf-8", "utf8")
    if not (is_utf_8 and body.isascii()):
        # Browsers percent-encode UTF-8. Bytes that aren't percent-encoded are in the charset.
        try:
            text = decode_text(body, charset)
        except LookupError as exc:
            raise HTTPError(415, f"The body's {exc.args[0]}.") from exc
        except ValueError as exc:
            raise HTTPError(400, f"The body is {exc}.") from exc
        if not is_utf_8:
            body = text.encode("utf-8", "surrogatepass")
        # It may be four times as large as the body.
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


def _multipart(content_type: str, body: bytes) -> MultiDict[str | Upload]:
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

    boundary = parse_options_header(content_type)[1].get("boundary")
    if not boundary:
        raise HTTPError(400, "The multipart form's content type has no boundary.")
    size = len(body)
    fields: list[tuple[str, str | Upload]] = []
    try:
        # The body is in memory already, so the parser needn't spool to disk.
        parser = MultipartParser(
            BytesIO(body),
            boundary,
            content_length=size,
            part_limit=MAX_FIELDS,
            memory_limit=size + 1,
            spool_limit=size + 1,
        )
        for part in parser:
            raw = part.raw
            # The parser holds its parts, so drop their buffers.
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
