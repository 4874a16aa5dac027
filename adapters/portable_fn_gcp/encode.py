"""Neutral responses as what functions-framework takes."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from werkzeug.wrappers import Response as WerkzeugResponse

    from portable_fn.http import Response


def http(response: Response, chunks: Iterable[bytes] | None) -> WerkzeugResponse:
    """What Flask takes; `chunks` are those of a stream."""
    # Flask is there, since it calls.
    from werkzeug.wrappers import Response as WerkzeugResponse

    body = response.body
    whole = body if isinstance(body, bytes) else b""
    answer = WerkzeugResponse(whole if chunks is None else chunks, response.status)
    # werkzeug invents a content type and tells a length that the response may have itself.
    answer.headers.clear()
    for name, value in response.wire_headers():
        # How the body is framed is the server's business.
        if name != "transfer-encoding":
            # WSGI has bytes as Latin-1 text (PEP 3333).
            answer.headers.add(name, value if value.isascii() else value.encode().decode("latin-1"))
    return answer
