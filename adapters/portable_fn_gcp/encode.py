"""Neutral responses as what functions-framework takes, and outcomes of events as what Google's services take."""

from __future__ import annotations

from portable_fn.adapter.pipeline import answer_too_large
from portable_fn.http import Response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from werkzeug.wrappers import Response as WerkzeugResponse

    from portable_fn.context import Context
    from portable_fn.http import Request


def http(response: Response, chunks: Iterable[bytes] | None) -> WerkzeugResponse:
    """What Flask takes; `chunks` are those of a stream."""
    # Flask is there, since it calls.
    from werkzeug.wrappers import Response as WerkzeugResponse

    body = response.body
    answer = WerkzeugResponse(body if isinstance(body, bytes) else chunks, response.status)
    # werkzeug invents a content type and tells a length that the response may have itself.
    answer.headers.clear()
    for name, value in response.wire_headers():
        # How the body is framed is the server's business.
        if name != "transfer-encoding":
            # WSGI has bytes as Latin-1 text (PEP 3333).
            answer.headers.add(name, value if value.isascii() else value.encode().decode("latin-1"))
    return answer


# Of a response that isn't chunked, over HTTP/1. https://cloud.google.com/run/quotas#request_limits
MAX_ANSWER = 32 * 1024 * 1024


def fitting(response: Response, request: Request[Any], context: Context) -> Response:
    """The response, or a problem document if it is no stream and has more bytes than Cloud Run takes."""
    body = response.body
    if not isinstance(body, bytes) or len(body) <= MAX_ANSWER:
        return response
    return answer_too_large(len(body), MAX_ANSWER, "Cloud Run, of what is no stream,", request, context, response)
