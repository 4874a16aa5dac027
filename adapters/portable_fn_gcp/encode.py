"""Encode responses for functions-framework."""

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
    """Return Flask's response; `chunks` are those of a stream."""
    # Flask calls this, so werkzeug is installed.
    from werkzeug.wrappers import Response as WerkzeugResponse

    body = response.body
    answer = WerkzeugResponse(body if isinstance(body, bytes) else chunks, response.status)
    # werkzeug adds a content type and a length, which the response may already have.
    answer.headers.clear()
    for name, value in response.wire_headers():
        # The server frames the body.
        if name != "transfer-encoding":
            # WSGI decodes bytes as Latin-1 (PEP 3333).
            answer.headers.add(name, value if value.isascii() else value.encode().decode("latin-1"))
    return answer


# The limit of a response that isn't chunked, over HTTP/1. https://cloud.google.com/run/quotas#request_limits
MAX_ANSWER = 32 * 1024 * 1024


def fitting(response: Response, request: Request[Any], context: Context) -> Response:
    """Return the response, or a problem document if a whole body exceeds Cloud Run's limit; streams have none."""
    body = response.body
    if not isinstance(body, bytes) or len(body) <= MAX_ANSWER:
        return response
    return answer_too_large(len(body), MAX_ANSWER, "Cloud Run, unless streamed,", request, context, response)
