"""Check who sends events to an open URL: senders with a secret token, and no web page.

A provider that fetches events itself, as AWS, Azure and Cloudflare do, needs no token.
"""

from __future__ import annotations

import os
import sys
from _thread import allocate_lock

from portable_fn.errors import HTTPError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from portable_fn.adapter.binding import Binding
    from portable_fn.http import Request

__all__ = ["CALLERS", "HEADER", "TOKEN", "check", "refuse_page", "require_json", "unwarned", "warn_if_open"]

TOKEN = "PORTABLE_FN_TOKEN"
# The header with the token, and the URL's parameter for senders that can't set a header.
HEADER = "portable-fn-token"
PARAMETER = "token"
# A page may send a header of such a name only if the server allows it.
_TOKENS = frozenset((HEADER, "dapr-api-token"))
# "trusted": the platform lets only trusted callers through.
CALLERS = "PORTABLE_FN_CALLERS"

# How many blocks of `unwarned` the threads are in.
_quiet = 0
_lock = allocate_lock()


def check(request: Request[Any], headers: Mapping[str, str], *, parameter: bool = False) -> None:
    """Check a request's token, if the environment has one.

    Args:
        request: The request with an event.
        headers: For each environment variable with a token, the header that has it. One of them is enough.
        parameter: Whether the URL's parameter `token` is accepted, too.

    Raises:
        HTTPError: 401, the request has no such token.
    """
    if _unsaid:
        _warn()
    tokens = {variable: token for variable in headers if (token := os.environ.get(variable))}
    if not tokens:
        return
    from hmac import compare_digest

    # A repeated header or parameter isn't the token.
    for variable, token in tokens.items():
        places = [request.headers.get_all(headers[variable])]
        if parameter:
            places.append(request.query.get_all(PARAMETER))
        for values in places:
            if len(values) == 1 and compare_digest(_octets(values[0]), _octets(token)):
                return
    needed = " or ".join(f"the header {headers[variable]} that {variable} says" for variable in tokens)
    raise HTTPError(401, f"An event needs {needed}.")


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def refuse_page(request: Request[Any]) -> None:
    """Refuse a request that a browser sends for a page of another site.

    Browsers name the site of what they send: https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header, and to a host without
    TLS the origin of every POST: https://fetch.spec.whatwg.org/#append-a-request-origin-header. No sender of events does.

    Raises:
        HTTPError: 403, a browser sends it.
    """
    headers = request.headers
    site = headers.get("sec-fetch-site")
    if site is None:
        origin = headers.get("origin")
        if origin is None or origin.partition("://")[2].lower() == request.host.lower():
            return
    elif site in ("same-origin", "none"):
        return
    raise HTTPError(403, "No page of another site sends events.")


def require_json(request: Request[Any]) -> None:
    """Refuse a content type other than JSON. A token in a header is enough without it.

    A page may send a text, a form, or a body without a type to any server, but JSON and such headers only if the server allows
    it: https://fetch.spec.whatwg.org/#cors-safelisted-request-header

    Raises:
        HTTPError: 415, the content type isn't JSON.
    """
    if request.content_type.endswith(("/json", "+json")):
        return
    headers = request.headers
    # A browser adds the credentials of Basic authentication by itself.
    has_token = headers.get("authorization", "")[:7].lower() == "bearer " or not _TOKENS.isdisjoint(headers)
    if request.content_type or not has_token:
        shown = repr(request.content_type[:80]) if request.content_type else "none"
        raise HTTPError(
            415, f"The content type is {shown}; possible is application/json.", headers={"accept": "application/json"}
        )


def warn_if_open(functions: Iterable[Binding], variables: Iterable[str], how: str) -> None:
    """Log once, when an entry is built, that anybody who reaches it can send events, unless something is known to prevent it.

    Args:
        functions: Those that take events.
        variables: The environment variables that would hold a token.
        how: How the platform keeps others out.
    """
    if _quiet or os.environ.get(CALLERS) == "trusted" or any(map(os.environ.get, variables)):
        return
    names = ", ".join(function.name for function in functions)
    _unsaid.append((names, how, CALLERS, " or ".join(variables), HEADER))
    # A server that logs has imported logging. Without one, the first event is early enough for the cost of the import.
    if "logging" in sys.modules:
        _warn()


# The warnings that are still to come.
_unsaid: list[tuple[str, ...]] = []


def _warn() -> None:
    from portable_fn.logs import log

    while _unsaid:
        log().warning(
            "anybody who reaches this URL may send events to %s: %s, and set %s=trusted; or "
            "set %s, and let the senders send it in the header %s",
            *_unsaid.pop(),
        )


class unwarned:
    """Build entries without a warning: nobody can reach a simulated provider."""

    # Several threads may be in such blocks.

    def __enter__(self) -> None:
        global _quiet
        with _lock:
            _quiet += 1

    def __exit__(self, *_: object) -> None:
        global _quiet
        with _lock:
            _quiet -= 1
