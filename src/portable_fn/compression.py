"""Decode a body's content coding: gzip. Imported only for such a body."""

from __future__ import annotations

from portable_fn.errors import HTTPError

__all__ = ["MAX_MEMBERS", "without_coding"]

# A compressor writes a member at a time, and a file that was joined has several. Each costs as much as 20 KB of data.
MAX_MEMBERS = 10_000
_MAGIC = b"\x1f\x8b"


def without_coding(body: bytes, coding: str, limit: int) -> bytes:
    """Decode the codings that a Content-Encoding header names, up to `limit` bytes.

    A body that isn't gzip, whatever the header says, is returned unchanged: API Gateway's REST APIs decompress it and keep the
    header.

    Raises:
        HTTPError: 415, with Accept-Encoding, the coding isn't gzip; 400, the gzip is broken; 413, the body is over the limit.
    """
    names = [name for part in coding.split(",") if (name := part.strip().lower()) not in ("", "identity")]
    if names and names not in (["gzip"], ["x-gzip"]):
        raise HTTPError(
            415, "The body has a content coding other than gzip.", headers={"accept-encoding": "gzip, identity"}
        )
    if not names or not body.startswith(_MAGIC):
        return body
    return _inflated(body, limit)


def _inflated(body: bytes, limit: int) -> bytes:
    # RFC 1952: members in a row, and then zeros, as on tapes.
    from zlib import decompressobj, error

    view = memoryview(body)
    chunks: list[bytes] = []
    at = size = members = 0
    try:
        while at < len(body):
            members += 1
            if members > MAX_MEMBERS:
                raise HTTPError(413, f"The gzip body has over {MAX_MEMBERS} members.")
            inflater = decompressobj(31)
            # zlib copies the input after a member's end, so a small member gets little input.
            step = 1024
            while not inflater.eof:
                if at >= len(body):
                    raise HTTPError(400, "The gzip body is incomplete.")
                chunk = inflater.decompress(view[at : at + step], limit - size + 1)
                at += step
                step = min(step * 2, 65_536)
                size += len(chunk)
                if size > limit:
                    raise HTTPError(413, f"The body is over {limit} bytes when it is decompressed.")
                chunks.append(chunk)
            at = min(at, len(body)) - len(inflater.unused_data)
            if at < len(body) and body[at] == 0 and not body[at:].strip(b"\0"):
                break
    except error as exc:
        raise HTTPError(400, "The gzip body is malformed.") from exc
    return b"".join(chunks)
