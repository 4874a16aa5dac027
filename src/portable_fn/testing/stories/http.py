"""Tell what holds for an HTTP request and its response on every provider."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from gzip import compress
from typing import Any

from portable_fn.data import to_json
from portable_fn.http import Request
from portable_fn.record import Record
from portable_fn.testing import fake
from portable_fn.testing.results import Answer
from portable_fn.testing.stories.app import CHUNKS, EVERY_BYTE

Send = Callable[[Request[Any]], Answer]


class Story(Record):
    """A named fact about HTTP.

    Attributes:
        name: The fact.
        tell: Raises AssertionError if the fact doesn't hold.
        features: The features of portable_fn.adapter.capabilities that it shows.
    """

    _fields = ("name",)
    kind = "Request"

    def __init__(self, name: str, tell: Callable[[Send], None], features: tuple[str, ...] = ()) -> None:
        self.name = name
        self.tell = tell
        self.features = features


HTTP_STORIES: list[Story] = []


def story(name: str, *features: str) -> Callable[[Callable[[Send], None]], Callable[[Send], None]]:
    """Register a story: a function that gets `send` and asserts."""

    def register(tell: Callable[[Send], None]) -> Callable[[Send], None]:
        HTTP_STORIES.append(Story(name, tell, features))
        return tell

    return register


def sees(send: Send, method: str = "GET", target: str = "/echo/x", **fields: Any) -> dict[str, Any]:
    """Return the request as the handler saw it."""
    answer = send(fake.request(method, target, **fields))
    assert answer.status == 200, answer
    seen: dict[str, Any] = answer.json()
    return seen


def is_problem(answer: Answer, status: int) -> dict[str, Any]:
    """Return the answer's problem document; raise AssertionError for any other answer."""
    assert answer.status == status, answer
    assert answer.headers.get("content-type") == "application/problem+json", answer
    document: dict[str, Any] = answer.json()
    assert document["status"] == status, document
    assert "Traceback" not in answer.text, document
    return document


# The request


@story("repeated query names keep every value, in order")
def _(send: Send) -> None:
    assert sees(send, target="/echo/x?a=1&b=2&a=3&a=1")["query"] in (
        [["a", "1"], ["b", "2"], ["a", "3"], ["a", "1"]],
        [["a", "1"], ["a", "3"], ["a", "1"], ["b", "2"]],  # payloads that group by name
    )


@story("an empty query value is kept")
def _(send: Send) -> None:
    assert sees(send, target="/echo/x?empty=&b=1")["query"] == [["empty", ""], ["b", "1"]]


@story("a query name without a value is an empty value")
def _(send: Send) -> None:
    assert sees(send, target="/echo/x?flag&b=1")["query"] == [["flag", ""], ["b", "1"]]


@story("a request without a query has no parameters")
def _(send: Send) -> None:
    assert sees(send, target="/echo/x")["query"] == []


@story("a plus, a space, a percent, an ampersand and a non-ASCII character in the query arrive unchanged")
def _(send: Send) -> None:
    query = "plus=%2B&space=a%20b&form=a+b&percent=%25&amp=%26&name=Zo%C3%AB"
    assert sees(send, target=f"/echo/x?{query}")["query"] == [
        ["plus", "+"], ["space", "a b"], ["form", "a b"], ["percent", "%"], ["amp", "&"], ["name", "Zoë"],
    ]  # fmt: skip


@story("a percent-encoded path is decoded, once")
def _(send: Send) -> None:
    seen = sees(send, target="/echo/a%20b/Zo%C3%AB/100%25")
    assert seen["path"] == "/echo/a b/Zoë/100%"
    assert seen["params"]["rest"] == "a b/Zoë/100%"


@story("the raw path is the path as sent")
def _(send: Send) -> None:
    assert sees(send, target="/echo/a%20b/Zo%C3%AB")["raw_path"] == "/echo/a%20b/Zo%C3%AB"


@story("an encoded slash doesn't split a path parameter")
def _(send: Send) -> None:
    answer = send(fake.request("GET", "/items/a%2Fb"))
    assert answer.status == 200, answer
    assert answer.json() == {"id": "a/b"}


@story("a path parameter is decoded")
def _(send: Send) -> None:
    answer = send(fake.request("GET", "/items/a%20b"))
    assert answer.status == 200, answer
    assert answer.json() == {"id": "a b"}


@story("a slash at the end of the path makes no difference")
def _(send: Send) -> None:
    answer = send(fake.request("GET", "/items/7/"))
    assert (answer.status, answer.json()) == (200, {"id": "7"}), answer
    assert sees(send, target="/async-echo/")["path"] == "/async-echo/"
    assert send(fake.request("DELETE", "/items/7/")).headers.get("allow") == "GET, HEAD, OPTIONS"


@story("a missing path parameter is a 404")
def _(send: Send) -> None:
    is_problem(send(fake.request("GET", "/items/")), 404)


@story("an unknown path is a 404")
def _(send: Send) -> None:
    is_problem(send(fake.request("GET", "/no-such-path")), 404)


@story("a method that the path's functions don't take is a 405 with the methods they take")
def _(send: Send) -> None:
    answer = send(fake.request("DELETE", "/items/1"))
    is_problem(answer, 405)
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


@story("OPTIONS is answered with the methods of the path")
def _(send: Send) -> None:
    answer = send(fake.request("OPTIONS", "/items/1"))
    assert (answer.status, answer.headers.get("allow"), answer.body) == (204, "GET, HEAD, OPTIONS", b"")


@story("repeated request headers read as one, joined")
def _(send: Send) -> None:
    seen = sees(send, headers=[("x-tag", "one"), ("x-other", "1"), ("X-Tag", "two")])
    assert re.fullmatch("one, ?two", seen["headers"]["x-tag"])


@story("header names have no case")
def _(send: Send) -> None:
    assert sees(send, headers=[("X-MiXeD", "1")])["headers"]["x-mixed"] == "1"


@story("a non-ASCII header value arrives unchanged")
def _(send: Send) -> None:
    assert sees(send, headers=[("x-name", "Zoë")])["headers"]["x-name"] == "Zoë"


@story("header bytes that aren't UTF-8 are read or refused, and the worker lives")
def _(send: Send) -> None:
    # A lone surrogate stands for a byte, as in PEP 383: harnesses send 0xff and 0xfe.
    assert send(fake.request("GET", "/echo/x", headers=[("x-odd", "\udcff\udcfe")])).status in (200, 400)
    assert sees(send)["path"] == "/echo/x"


@story("several request cookies arrive, in order")
def _(send: Send) -> None:
    seen = sees(send, cookies={"a": "1", "b": "x=y", "c": ""})
    assert seen["cookies"] == [["a", "1"], ["b", "x=y"], ["c", ""]]


@story("a binary request body arrives byte for byte", "binary body")
def _(send: Send) -> None:
    headers = [("content-type", "application/octet-stream")]
    assert sees(send, "POST", body=EVERY_BYTE, headers=headers)["body"] == EVERY_BYTE.hex()


@story("an empty request body is empty")
def _(send: Send) -> None:
    assert sees(send, "POST")["body"] == ""


@story("a text body that is not UTF-8 arrives byte for byte")
def _(send: Send) -> None:
    body = "Zoë".encode("latin-1")
    assert (
        sees(send, "POST", body=body, headers=[("content-type", "text/plain; charset=latin-1")])["body"] == body.hex()
    )


@story("a body reads as text in its own charset")
def _(send: Send) -> None:
    headers = [("content-type", "text/plain; charset=iso-8859-1")]
    answer = send(fake.request("POST", "/text", body="Zoë".encode("latin-1"), headers=headers))
    assert answer.json() == {"text": "Zoë"}


@story("a missing content type is missing")
def _(send: Send) -> None:
    seen = sees(send, "POST", body=b"x")
    assert seen["content_type"] == ""
    assert seen["body"] == b"x".hex()


@story("a urlencoded form is read")
def _(send: Send) -> None:
    headers = [("content-type", "application/x-www-form-urlencoded")]
    answer = send(fake.request("POST", "/form", body="a=1&a=2&b=x+y%2B", headers=headers))
    assert answer.json() == {"form": [["a", "1"], ["a", "2"], ["b", "x y+"]]}


@story("unusual methods arrive: PROPFIND, PURGE")
def _(send: Send) -> None:
    assert [sees(send, method)["method"] for method in ("PROPFIND", "PURGE")] == ["PROPFIND", "PURGE"]


@story("PUT, PATCH and DELETE arrive with their bodies")
def _(send: Send) -> None:
    for method in ("PUT", "PATCH", "DELETE"):
        seen = sees(send, method, body=b"x")
        assert (seen["method"], seen["body"]) == (method, b"x".hex())


@story("the client's address is what the provider's proxy saw")
def _(send: Send) -> None:
    assert sees(send, client_ip="203.0.113.7")["client_ip"] == "203.0.113.7"


@story("an X-Forwarded-For that the client sends doesn't change its address")
def _(send: Send) -> None:
    assert sees(send, client_ip="203.0.113.7", headers=[("x-forwarded-for", "6.6.6.6")])["client_ip"] == "203.0.113.7"


@story("the host is what the client called")
def _(send: Send) -> None:
    assert sees(send, host="api.example.com")["host"] == "api.example.com"


@story("the scheme is what the client called")
def _(send: Send) -> None:
    seen = sees(send, scheme="https")
    assert (seen["scheme"], seen["source"]) == ("https", f"https://{seen['host']}")


@story("the URL is the whole URL that the client called")
def _(send: Send) -> None:
    seen = sees(send, target="/echo/a%20b?q=1&r=%2B")
    assert re.fullmatch(rf"https?://{seen['host']}(/\w+)?/echo/a%20b[?]q=1&r=%2B", seen["url"]), seen["url"]


@story("headers alone never set the principal")
def _(send: Send) -> None:
    forged = [
        ("x-ms-client-principal", "eyJhdXRoX3R5cCI6ImFhZCIsImNsYWltcyI6W119"),
        ("x-ms-client-principal-id", "root"),
        ("x-goog-authenticated-user-email", "accounts.google.com:root@example.com"),
        ("x-amzn-oidc-identity", "root"),
        ("cf-access-authenticated-user-email", "root@example.com"),
        ("authorization", "Bearer forged"),
    ]
    assert sees(send, headers=forged)["principal"] is None


@story("a request has an id and an aware time")
def _(send: Send) -> None:
    seen = sees(send)
    assert seen["id"]
    assert re.search(r"[+]00:00$", seen["time"]), seen["time"]


@story("a 1 MiB request body arrives whole")
def _(send: Send) -> None:
    answer = send(fake.request("POST", "/size", body=EVERY_BYTE * 4096, headers=[("content-type", "image/png")]))
    assert answer.json() == {"size": 1024 * 1024}


# The response


@story("several cookies set are several cookies received")
def _(send: Send) -> None:
    cookies = send(fake.request("GET", "/cookies")).cookies
    assert sorted(cookie.partition(";")[0] for cookie in cookies) == ["a=1", "b=2", "c=x=y"]


@story("every attribute of a cookie is received")
def _(send: Send) -> None:
    full, plain = sorted(send(fake.request("GET", "/cookie-attributes")).cookies)
    attributes = sorted(part.strip().lower() for part in full.split(";"))
    assert attributes == [
        "domain=example.com", "expires=wed, 02 jan 2030 03:04:05 gmt", "full=v", "httponly", "max-age=60",
        "partitioned", "path=/p", "samesite=none", "secure",
    ]  # fmt: skip
    assert plain == "plain=w"


@story("repeated response headers are received, apart or joined")
def _(send: Send) -> None:
    answer = send(fake.request("GET", "/headers"))
    assert re.sub(r",\s*", ",", answer.headers["x-many"]) == "a,b"
    assert answer.headers["x-one"] == "1"


@story("a non-ASCII response header value is received unchanged")
def _(send: Send) -> None:
    assert send(fake.request("GET", "/headers")).headers["x-name"] == "Zoë"


@story("a binary response body is received byte for byte", "binary body")
def _(send: Send) -> None:
    answer = send(fake.request("GET", "/bytes"))
    assert answer.body == EVERY_BYTE
    assert answer.headers["content-type"] == "application/octet-stream"


@story("a body goes there and back byte for byte, whatever its type")
def _(send: Send) -> None:
    for content_type in ("application/octet-stream", "text/plain", "application/json", "image/png"):
        headers = [("content-type", content_type)]
        assert send(fake.request("POST", "/mirror", body=EVERY_BYTE, headers=headers)).body == EVERY_BYTE, content_type


@story("a 1 MiB response body is received whole")
def _(send: Send) -> None:
    assert send(fake.request("GET", "/large")).body == EVERY_BYTE * 4096


@story("a response without a content type has none")
def _(send: Send) -> None:
    answer = send(fake.request("GET", "/no-content-type"))
    assert (answer.status, answer.body, answer.headers.get("content-type")) == (200, b"bare", None)


@story("a dict is JSON, a str is text in UTF-8, None is a 204", "reply")
def _(send: Send) -> None:
    assert send(fake.request("GET", "/items/1")).headers["content-type"] == "application/json"
    answer = send(fake.request("GET", "/string"))
    assert (answer.body, answer.headers["content-type"]) == ("grüße".encode(), "text/plain; charset=utf-8")
    answer = send(fake.request("GET", "/nothing"))
    assert (answer.status, answer.body) == (204, b"")


@story("204 and 304 have no body, and keep their headers")
def _(send: Send) -> None:
    for status in (204, 304):
        answer = send(fake.request("GET", f"/status/{status}"))
        assert (answer.status, answer.body, answer.headers.get("x-status")) == (status, b"", str(status))


@story("HEAD is GET without the body")
def _(send: Send) -> None:
    answer = send(fake.request("HEAD", "/items/1"))
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-type"] == "application/json"


@story("the handler's own 4xx and 5xx are received unchanged")
def _(send: Send) -> None:
    for status in (400, 404, 409, 418, 500, 503):
        answer = send(fake.request("GET", f"/status/{status}"))
        assert (answer.status, answer.body) == (status, f"status {status}".encode())


@story("an HTTPError is its problem document")
def _(send: Send) -> None:
    answer = send(fake.request("GET", "/error/402"))
    document = is_problem(answer, 402)
    assert (document["detail"], document["balance"], answer.headers["x-why"]) == ("on purpose", 30, "told")


@story("a redirect is received with its location encoded")
def _(send: Send) -> None:
    answer = send(fake.request("GET", "/redirect"))
    assert (answer.status, answer.headers["location"]) == (303, "/elsewhere?a=%C3%BC")


@story("a stream of three chunks is received whole")
def _(send: Send) -> None:
    assert send(fake.request("GET", "/stream")).body == b"".join(CHUNKS)


@story("an async stream is received whole, with its status, headers and cookies")
def _(send: Send) -> None:
    answer = send(fake.request("GET", "/async-stream"))
    assert (answer.status, answer.body, answer.headers["x-stream"]) == (200, b"".join(CHUNKS), "yes")
    assert [cookie.partition(";")[0] for cookie in answer.cookies] == ["s=1"]


@story("a stream's chunks arrive one by one", "streaming")
def _(send: Send) -> None:
    assert send(fake.request("GET", "/async-stream")).chunks == list(CHUNKS)


@story("an async handler is answered as a sync one is")
def _(send: Send) -> None:
    assert sees(send, "POST", "/async-echo?a=1", body=b"x")["body"] == b"x".hex()


# Errors


@story("an exception is a 500 problem document with the invocation id and without its message")
def _(send: Send) -> None:
    for path in ("/crash", "/async-crash"):
        answer = send(fake.request("GET", path))
        assert is_problem(answer, 500)["invocation_id"]
        assert "a-secret-detail" not in answer.text


@story("a BaseException is answered, and the worker lives")
def _(send: Send) -> None:
    for path in ("/exit", "/async-exit"):
        is_problem(send(fake.request("GET", path)), 500)
        assert sees(send)["path"] == "/echo/x"


@story("a result that JSON can't hold is a 500")
def _(send: Send) -> None:
    is_problem(send(fake.request("GET", "/unwritable")), 500)


@story("malformed JSON is a 400 that says where")
def _(send: Send) -> None:
    headers = [("content-type", "application/json")]
    document = is_problem(send(fake.request("POST", "/json", body=b'{"a": 1,', headers=headers)), 400)
    assert "char 8" in document["detail"] or "column 9" in document["detail"], document


@story("JSON nested 10,000 deep is a 400")
def _(send: Send) -> None:
    headers = [("content-type", "application/json")]
    is_problem(send(fake.request("POST", "/json", body=b"[" * 10_000 + b"]" * 10_000, headers=headers)), 400)
    assert sees(send)["path"] == "/echo/x"


@story("a body that isn't in its charset is a 400 for the handler that reads it as text")
def _(send: Send) -> None:
    headers = [("content-type", "text/plain; charset=utf-8")]
    is_problem(send(fake.request("POST", "/text", body=b"\xff\xfe", headers=headers)), 400)


@story("a body larger than the function's limit is a 413")
def _(send: Send) -> None:
    headers = [("content-type", "text/plain")]
    assert send(fake.request("POST", "/limited", body=b"x" * 1000, headers=headers)).json() == {"size": 1000}
    is_problem(send(fake.request("POST", "/limited", body=b"x" * 1001, headers=headers)), 413)


@story("a gzip body is read inflated, within the function's limit")
def _(send: Send) -> None:
    headers = [("content-type", "application/json"), ("content-encoding", "gzip")]
    value = {"a": [1] * 300}
    assert send(fake.request("POST", "/json", body=compress(to_json(value).encode()), headers=headers)).json() == {
        "data": value
    }
    assert send(fake.request("POST", "/limited", body=compress(b"x" * 1000), headers=headers)).json() == {"size": 1000}
    is_problem(send(fake.request("POST", "/limited", body=compress(b"x" * 1001), headers=headers)), 413)
    is_problem(send(fake.request("POST", "/json", body=compress(b"{}")[:-1], headers=headers)), 400)


@story("a body of another coding than gzip is a 415 that names gzip")
def _(send: Send) -> None:
    headers = [("content-type", "application/json"), ("content-encoding", "br")]
    answer = send(fake.request("POST", "/json", body=b"\x0b\x01\x80{}\x03", headers=headers))
    is_problem(answer, 415)
    assert "gzip" in answer.headers["accept-encoding"]


@story("a missing or mistyped query parameter is a 422 that names it and hides the value")
def _(send: Send) -> None:
    assert send(fake.request("GET", "/search?q=a")).json() == {"q": "a", "limit": 20}
    for query, name in (("", "q"), ("q=a&limit=4711", "limit"), ("q=a&limit=xyzzy", "limit")):
        answer = send(fake.request("GET", f"/search?{query}"))
        document = is_problem(answer, 422)
        assert [f"#/{name}"] == [error["pointer"] for error in document["errors"]], document
        assert "4711" not in answer.text and "xyzzy" not in answer.text, document


@story("two requests at once don't mix")
def _(send: Send) -> None:
    def ask(name: str) -> Any:
        return send(fake.request("GET", f"/slow/{name}", headers=[("x-correlation-id", f"id-{name}")])).json()

    names = [f"n{number}" for number in range(6)]
    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(ask, names)) == [{"name": name, "correlation_id": f"id-{name}"} for name in names]


@story("background work is done, before the answer or after it")
def _(send: Send) -> None:
    before = send(fake.request("GET", "/background")).json()["done"]
    for _ in range(20):
        if send(fake.request("GET", "/background-done")).json()["done"] == before + 1:
            return
    raise AssertionError("the background work isn't done")


# The context


@story("the W3C trace context arrives")
def _(send: Send) -> None:
    trace_id, span_id = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    headers = [("traceparent", f"00-{trace_id}-{span_id}-01"), ("tracestate", "vendor=1")]
    seen = send(fake.request("GET", "/context", headers=headers)).json()
    assert seen["trace"] == [trace_id, span_id, True, "vendor=1"]


@story("the correlation id is the caller's, else the request id, else the invocation's")
def _(send: Send) -> None:
    both = [("x-correlation-id", "c-1"), ("x-request-id", "r-1")]
    assert send(fake.request("GET", "/context", headers=both)).json()["correlation_id"] == "c-1"
    assert send(fake.request("GET", "/context", headers=both[1:])).json()["correlation_id"] == "r-1"
    seen = send(fake.request("GET", "/context")).json()
    assert seen["correlation_id"] == seen["invocation_id"]
    assert seen["invocation_id"]


# Middleware


@story("a CORS preflight is answered")
def _(send: Send) -> None:
    headers = [
        ("origin", "https://app.example"),
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "x-token"),
    ]
    answer = send(fake.request("OPTIONS", "/cors", headers=headers))
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "PUT" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == "x-token"
    assert "origin" in answer.headers["vary"].lower()


@story("CORS marks answers for allowed origins, errors too, and no others")
def _(send: Send) -> None:
    allowed, foreign = [("origin", "https://app.example")], [("origin", "https://evil.example")]
    answer = send(fake.request("GET", "/cors", headers=allowed))
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert answer.headers["access-control-expose-headers"] == "x-total"
    answer = send(fake.request("GET", "/cors?crash=1", headers=allowed))
    assert (answer.status, answer.headers.get("access-control-allow-origin")) == (500, "https://app.example")
    answer = send(fake.request("GET", "/cors", headers=foreign))
    assert "access-control-allow-origin" not in answer.headers
    assert "origin" in answer.headers["vary"].lower()
