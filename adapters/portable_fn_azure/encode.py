"""Encode HTTP responses for Azure's Python worker."""

from __future__ import annotations

from portable_fn.errors import EncodeError
from portable_fn.pairs import is_token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from azure.functions import HttpResponse

    from portable_fn.http import Response

# The characters that .NET's Uri.EscapeDataString doesn't encode in a cookie's value.
_UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"


def http(response: Response) -> HttpResponse:
    """Encode a response for an HTTP trigger.

    Repeated headers are joined. Kestrel answers 500 for a header value that isn't ASCII, so it is percent-encoded as UTF-8, with
    one warning per header. Of several cookies the host sends one unchanged; the others need values of letters, digits and -._~.

    Raises:
        EncodeError: The host would change a cookie.
    """
    answer: HttpResponse = _answer_class()(response)
    return answer


def streaming(response: Response) -> Response:
    """Percent-encode header values that the host can't send; all else is sent unchanged."""
    for name, value in response.headers.joined().items():
        if not value.isascii():
            for each in response.headers.pop_all(name):
                response.headers.add(name, _ascii(name, each))
    return response


def cookies(lines: list[str]) -> tuple[list[str], list[dict[str, Any]]]:
    """Return all Set-Cookie lines, the one to send unchanged first, and the others as http.cookies' morsels too.

    Raises:
        EncodeError: More than one must be sent unchanged.
    """
    if len(lines) == 1:
        return lines, []
    parsed = [_parsed(line) for line in lines]
    as_is = [cookie for cookie in parsed if not _survives(cookie[0], cookie[1])]
    if len(as_is) > 1:
        names = ", ".join(name for name, *_ in as_is)
        raise EncodeError(
            f"one response can't set the cookies {names}: Azure's host percent-encodes the values of all cookies but one. Use "
            "values of letters, digits and -._~ (urllib.parse.quote returns such), or entry(…, streaming=True), which sends all "
            "cookies unchanged"
        )
    # The host always writes a path. An empty one means the same as none.
    without_path = [cookie for cookie in parsed if cookie[2] is None]
    first = parsed.index((as_is or without_path or parsed)[0])
    # It is sent before the others. An earlier cookie that it replaces must not follow it.
    rest = [
        number
        for number, cookie in enumerate(parsed)
        if number > first or (number < first and _key(cookie) != _key(parsed[first]))
    ]
    return [lines[number] for number in (first, *rest)], [_morsel(*parsed[number]) for number in rest]


def _parsed(line: str) -> tuple[str, str, str | None, list[str]]:
    """Return a Set-Cookie line's name, value, path and other attributes."""
    pair, *attributes = (part.strip() for part in line.split(";"))
    name, _, value = pair.partition("=")
    path = None
    others: list[str] = []
    for attribute in attributes:
        if attribute.partition("=")[0].strip().lower() == "path":
            path = attribute.partition("=")[2].strip()
        elif attribute:
            others.append(attribute)
    return name.strip(), value.strip(), path, others


def _key(cookie: tuple[str, str, str | None, list[str]]) -> tuple[str, str | None, str]:
    """Return the identity of a cookie to a browser: its name, path and domain."""
    name, _, path, attributes = cookie
    return name, path, "".join(value for value in map(str.lower, attributes) if value.startswith("domain"))


def _survives(name: str, value: str) -> bool:
    """Return whether the worker and the host send a cookie unchanged."""
    from http.cookies import Morsel

    return not value.strip(_UNRESERVED) and is_token(name) and not Morsel().isReservedKey(name)


def _morsel(name: str, value: str, path: str | None, attributes: list[str]) -> dict[str, Any]:
    """Return a cookie without parsing it by http.cookies, which drops unknown attributes such as Partitioned."""
    from http.cookies import Morsel

    morsel: Morsel[Any] = Morsel()
    morsel.set(name, value, value)
    # With "" the host would write "domain=", and browsers refuse a __Host- cookie with a domain.
    # Source: azure-functions-python-worker#1902.
    morsel["domain"] = None
    # The host writes the path unchanged, but has fields for only some of the other attributes.
    # Source: dotnet/aspnetcore, SetCookieHeaderValue.ToString.
    morsel["path"] = "; ".join([path or "", *attributes])
    return {name: morsel}


_class: Any = None


def _answer_class() -> Any:
    """Return an HttpResponse class whose headers reach the host unchanged. Its import costs 0.1 s, so it waits for first use."""
    global _class
    if _class is not None:
        return _class

    from azure.functions import HttpResponse
    from werkzeug.datastructures import Headers

    class AnswerHeaders(Headers):
        """Headers for HttpResponseConverter.

        It adds a Content-Type if there is none, and takes out all Set-Cookie to parse them, by `in`, `get_all` and `pop`. If it
        leaves one, the host sends it unchanged, as any other header. Source: azure-functions, HttpResponseConverter.encode;
        azure-functions-host, RawScriptResult.
        """

        def __init__(self, lines: list[tuple[str, str]], parsed: list[dict[str, Any]]) -> None:
            super().__init__(lines)
            self.parsed = parsed

        def __contains__(self, key: Any) -> bool:
            if key == "Set-Cookie":
                return bool(self.parsed)
            return key == "content-type" or super().__contains__(key)

        def get_all(self, name: str) -> list[Any]:
            return self.parsed if name == "Set-Cookie" else super().get_all(name)

        def pop(self, key: Any = None, default: Any = None) -> Any:
            if key != "Set-Cookie":
                return super().pop(key, default)
            self.setlist(key, self.getlist(key)[:1])
            return default

    class Answer(HttpResponse):
        def __init__(self, response: Response) -> None:
            headers = response.headers.joined()
            headers.pop("set-cookie", None)
            content_type = headers.get("content-type", "")
            body: Any = response.body
            super().__init__(body, status_code=response.status, mimetype=content_type.partition(";")[0])
            lines = [(name, _ascii(name, value)) for name, value in headers.items()]
            parsed: list[dict[str, Any]] = []
            if set_cookies := response.set_cookies:
                set_cookies, parsed = cookies([_ascii("set-cookie", line) for line in set_cookies])
                lines += [("Set-Cookie", line) for line in set_cookies]
            self._lines = AnswerHeaders(lines, parsed)

        @property
        def headers(self) -> Any:
            return self._lines

    _class = Answer
    return Answer


_warned: set[str] = set()


def _ascii(name: str, value: str) -> str:
    if value.isascii():
        return value
    from urllib.parse import quote

    if name not in _warned:
        _warned.add(name)
        from portable_fn.logs import log

        log().warning(
            "the value of the header %s isn't ASCII; Azure's host can't send it, so it is sent percent-encoded",
            name,
        )
    return quote(value, safe="".join(map(chr, range(0x80))))
