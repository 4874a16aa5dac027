"""WSGI applications of Flask and Django, mounted as portable functions, on every provider."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any
from wsgiref.validate import validator

import django
import flask
import pytest
from a2wsgi.wsgi import Body, build_environ
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.urls import path

from portable_fn import ConfigurationError, Context, Message, PortableError, Request, asgi_app, on, portable, wsgi_app
from portable_fn.mount import http_scope
from portable_fn.mount_wsgi import environ
from portable_fn.providers import ADAPTERS
from portable_fn.testing import deliver, fake

STREAMS = ("asgi", "gcp", "cloudflare")
LARGE = bytes(range(256)) * 4096  # 1 MiB
LOG: list[str] = []


@pytest.fixture(autouse=True)
def _fresh() -> None:
    LOG.clear()


# The same application in both frameworks.

FLASK = flask.Flask("shop")


@FLASK.get("/hello/<name>")
def hello(name: str) -> Any:
    request = flask.request
    answer = flask.jsonify(
        hello=name,
        query=request.args.getlist("q"),
        scheme=request.scheme,
        client=request.remote_addr,
        url=request.url,
        script_name=request.environ["SCRIPT_NAME"],
        x_name=request.headers.get("X-Name"),
        agent=request.user_agent.string,
        provider=request.environ["portable_fn.context"].provider,
        params=request.environ["portable_fn.request"].params,
    )
    answer.set_cookie("a", "1")
    answer.set_cookie("b", "2")
    answer.headers["X-Name"] = "Zoë"
    return answer


@FLASK.post("/mirror")
def mirror() -> Any:
    return flask.Response(flask.request.get_data(), content_type=flask.request.content_type)


@FLASK.post("/upload")
def upload() -> Any:
    file = flask.request.files["file"]
    return {"name": file.filename, "size": len(file.read()), "title": flask.request.form["title"]}


@FLASK.get("/stream")
def stream() -> Any:
    def chunks() -> Iterator[bytes]:
        for chunk in (b"one,", b"two,", b"three"):
            yield chunk
            time.sleep(0.01)

    answer = flask.Response(chunks(), content_type="text/plain")
    answer.call_on_close(lambda: LOG.append("closed"))
    return answer


@FLASK.get("/crash")
def crash() -> Any:
    raise ZeroDivisionError("a-secret-detail")


def django_hello(request: HttpRequest, name: str) -> HttpResponseBase:
    answer = JsonResponse({
        "hello": name,
        "query": request.GET.getlist("q"),
        "scheme": request.scheme,
        "client": request.META["REMOTE_ADDR"],
        "url": request.build_absolute_uri(),
        "script_name": request.META["SCRIPT_NAME"],
        "x_name": request.META.get("HTTP_X_NAME"),
        "agent": request.headers.get("User-Agent", ""),
        "provider": request.META["portable_fn.context"].provider,
        "params": request.META["portable_fn.request"].params,
    })  # fmt: skip
    answer.set_cookie("a", "1")
    answer.set_cookie("b", "2")
    answer["X-Name"] = "Zoë"
    return answer


def django_mirror(request: HttpRequest) -> HttpResponseBase:
    return HttpResponse(request.body, content_type=request.content_type)


def django_upload(request: HttpRequest) -> HttpResponseBase:
    file: Any = request.FILES["file"]
    return JsonResponse({"name": file.name, "size": len(file.read()), "title": request.POST["title"]})


def django_stream(request: HttpRequest) -> HttpResponseBase:
    class Closing(StreamingHttpResponse):
        def close(self) -> None:
            LOG.append("closed")
            super().close()

    return Closing(iter([b"one,", b"two,", b"three"]), content_type="text/plain")


def django_file(request: HttpRequest) -> HttpResponseBase:
    return FileResponse(io.BytesIO(LARGE[:100_000]), content_type="application/octet-stream")


def django_crash(request: HttpRequest) -> HttpResponseBase:
    raise ZeroDivisionError("a-secret-detail")


URLS = (
    path("hello/<name>", django_hello),
    path("mirror", django_mirror),
    path("upload", django_upload),
    path("stream", django_stream),
    path("file", django_file),
    path("crash", django_crash),
)
settings.configure(ROOT_URLCONF=URLS, ALLOWED_HOSTS=["*"], SECRET_KEY="tests", DATA_UPLOAD_MAX_MEMORY_SIZE=None)
django.setup(set_prefix=False)
DJANGO = get_wsgi_application()


@pytest.fixture(params=[FLASK, DJANGO], ids=["flask", "django"])
def app(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_a_request_and_its_answer_arrive_with_all_cookies(app: Any, way: dict[str, str]) -> None:
    request = fake.request("GET", "/hello/Zo%C3%AB?q=1&q=%2B", host="api.example.com", headers={"user-agent": "curl"})
    answer = deliver(wsgi_app(app), request, **way)
    seen = answer.json()
    expected = {
        "hello": "Zoë", "query": ["1", "+"], "scheme": "https", "client": "203.0.113.7", "provider": way["to"], "params": {},
        "agent": "curl",
    }  # fmt: skip
    if way["via"] == "alb":
        expected["query"] = ["+"]
    assert (200, expected) == (answer.status, {name: seen[name] for name in expected})
    assert seen["url"].startswith(f"https://{'api.example.com' if way['to'] != 'azure' else ''}")
    assert f"{seen['script_name']}/hello/Zo" in seen["url"]
    assert ["a=1", "b=2"] == sorted(cookie.partition(";")[0] for cookie in answer.cookies)


def test_headers_beyond_ascii_arrive(app: Any) -> None:
    answer = deliver(wsgi_app(app), fake.request("GET", "/hello/x", headers={"x-name": "Zoë"}), to="asgi")
    assert ("Zoë".encode().decode("latin-1"), "Zoë") == (answer.json()["x_name"], answer.headers["x-name"])


def test_a_binary_body_goes_there_and_back(app: Any, way: dict[str, str]) -> None:
    request = fake.request("POST", "/mirror", body=LARGE[:1024], headers={"content-type": "image/png"})
    answer = deliver(wsgi_app(app), request, **way)
    assert (200, LARGE[:1024], "image/png") == (answer.status, answer.body, answer.headers["content-type"])


def test_a_large_upload_arrives(app: Any, way: dict[str, str]) -> None:
    size = len(LARGE) // 2 if way["via"] == "alb" else len(LARGE)
    body = (
        b'--x\r\ncontent-disposition: form-data; name="title"\r\n\r\nSofa\r\n'
        b'--x\r\ncontent-disposition: form-data; name="file"; filename="sofa.png"\r\n\r\n'
    )
    request = fake.request(
        "POST",
        "/upload",
        body=body + LARGE[:size] + b"\r\n--x--\r\n",
        headers={"content-type": "multipart/form-data; boundary=x"},
    )
    assert {"name": "sofa.png", "size": size, "title": "Sofa"} == deliver(wsgi_app(app), request, **way).json()


def test_a_stream_arrives_whole_and_is_closed(app: Any, way: dict[str, str]) -> None:
    answer = deliver(wsgi_app(app), fake.request("GET", "/stream"), **way)
    assert b"one,two,three" == answer.body
    if way["to"] in STREAMS:
        assert [b"one,", b"two,", b"three"] == answer.chunks
    assert ["closed"] == LOG


def test_a_file_is_sent_in_parts_with_its_length(way: dict[str, str]) -> None:
    answer = deliver(wsgi_app(DJANGO), fake.request("GET", "/file"), **way)
    assert (200, LARGE[:100_000]) == (answer.status, answer.body)
    if way["to"] == "asgi":
        assert (25, "100000") == (len(answer.chunks), answer.headers["content-length"])


def test_a_path_that_the_application_does_not_have_is_its_own_404(app: Any, way: dict[str, str]) -> None:
    answer = deliver(wsgi_app(app), fake.request("GET", "/nowhere"), **way)
    assert (404, True) == (answer.status, b"Not Found" in answer.body)


def test_a_crash_is_the_applications_own_500_and_is_logged(
    app: Any, way: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    answer = deliver(wsgi_app(app), fake.request("GET", "/crash"), **way)
    assert (500, True, False) == (answer.status, b"rror" in answer.body, b"a-secret-detail" in answer.body)
    assert "ZeroDivisionError" in caplog.text


def test_head_has_no_body_and_closes_the_stream(app: Any, way: dict[str, str]) -> None:
    for resource in ("/hello/Ada", "/stream"):
        answer = deliver(wsgi_app(app), fake.request("HEAD", resource), **way)
        assert (200, b"") == (answer.status, answer.body)
    assert ["closed"] == LOG


def test_a_body_over_the_limit_is_a_413(way: dict[str, str]) -> None:
    headers = {"content-type": "text/plain"}
    function = wsgi_app(FLASK, max_body=10)
    assert 200 == deliver(function, fake.request("POST", "/mirror", body=b"x" * 10, headers=headers), **way).status
    assert 413 == deliver(function, fake.request("POST", "/mirror", body=b"x" * 11, headers=headers), **way).status


@pytest.mark.parametrize("provider", ADAPTERS)
def test_the_root_path_of_an_entry_is_the_script_name(app: Any, provider: str) -> None:
    answer = deliver(wsgi_app(app), fake.request("GET", "/v1/hello/Ada"), to=provider, root_path="/v1").json()
    assert ("Ada", True) == (answer["hello"], answer["script_name"].endswith("/v1"))
    assert answer["url"].endswith(f"{answer['script_name']}/hello/Ada")


# Applications written by hand, which the standard library's validator checks together with the environ.


def call(app: Any, request: Request | None = None, **options: Any) -> Any:
    return deliver(wsgi_app(app), request or fake.request(), to="asgi", **options)


def test_the_environ_and_the_calls_are_as_the_standard_says(way: dict[str, str]) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        write = start_response("201 Created", [("Content-Type", "text/plain"), ("X-A", "1"), ("X-A", "2")])
        write(b"written,")
        return [environ["wsgi.input"].read(4), b"!"]

    request = fake.request("POST", "/a?b=c", body=b"body", headers={"content-type": "text/plain"})
    answer = deliver(wsgi_app(validator(app)), request, **way)
    assert (201, b"written,body!") == (answer.status, answer.body)


def test_the_environ_is_the_one_that_a2wsgi_builds() -> None:
    request = Request(
        "POST", "/a%20b/%E2%82%AC%2F", "q=%20&r", {"content-type": "text/plain", "content-length": "3", "x-name": "Zoë", "host": "a.example"},
        b"abc", host="a.example", root_path="/v1", client_ip="203.0.113.7", scheme="https",
    )  # fmt: skip
    context = fake.context()
    expected = build_environ(http_scope(request, context, {}), Body(None, None))  # type: ignore[arg-type]  # unread
    result = environ(request, context)
    ours = {name for name in result if name.startswith("portable_fn.")} | {"wsgi.input_terminated"}
    differ = {"wsgi.input", "wsgi.errors", "asgi.scope", "REMOTE_PORT"}
    assert {n: v for n, v in expected.items() if n not in differ} == {
        n: v for n, v in result.items() if n not in ours | differ
    }


def test_repeated_headers_are_joined_and_names_with_underscores_left_out() -> None:
    headers = [("x-a", "1"), ("x-a", "2"), ("cookie", "a=1"), ("cookie", "b=2"), ("x_a", "forged"), ("x-b", "\u20ac")]
    result = environ(Request(headers=headers), Context())
    assert ("1,2", "a=1; b=2", "â\x82¬") == (result["HTTP_X_A"], result["HTTP_COOKIE"], result["HTTP_X_B"])


def test_an_empty_host_has_a_server_name_and_no_length() -> None:
    result = environ(Request(headers={}), Context())
    assert ("localhost", "443") == (result["SERVER_NAME"], result["SERVER_PORT"])
    assert not {"CONTENT_LENGTH", "HTTP_HOST", "REMOTE_ADDR"} & result.keys()


class Parts:
    """A body that logs how it is read and closed."""

    def __init__(self, *parts: bytes, error: BaseException | None = None) -> None:
        self._parts = parts
        self._error = error

    def __iter__(self) -> Iterator[bytes]:
        yield from self._parts
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        LOG.append("closed")


def answering(parts: Iterable[bytes], *headers: tuple[str, str], status: str = "200 OK") -> Any:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response(status, list(headers))
        return parts

    return app


def test_a_body_with_the_length_of_its_first_part_isnt_a_stream() -> None:
    answer = call(answering(Parts(b"", b"ok"), ("Content-Length", "2")))
    assert (b"ok", [b"ok"], ["closed"]) == (answer.body, answer.chunks, LOG)


def test_a_response_may_start_with_the_first_part() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        yield b""
        start_response("200 OK", [])
        yield b"one"
        yield b"two"

    assert [b"one", b"two"] == call(app).chunks


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_an_answer_without_a_body_is_closed(status: str) -> None:
    answer = call(answering(Parts(b"x", b"y"), status=status))
    assert (int(status[:3]), b"", ["closed"]) == (answer.status, answer.body, LOG)


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit])
def test_an_exception_before_the_start_is_a_problem(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    for app in (answering(Parts(error=error("on purpose"))), lambda environ, start: (_ for _ in ()).throw(error("x"))):
        answer = call(app)
        assert (500, "application/problem+json") == (answer.status, answer.headers["content-type"])
    assert error.__name__ in caplog.text
    assert ["closed"] == LOG


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit])
@pytest.mark.parametrize(("to", "via"), [("asgi", "http"), ("gcp", "http"), ("gcp", "http_async")])
def test_an_exception_after_the_start_cuts_the_stream(error: type[BaseException], to: str, via: str) -> None:
    with pytest.raises(PortableError, match="broke off"):
        deliver(wsgi_app(answering(Parts(b"one", b"two", error=error("x")))), fake.request(), to=to, via=via)
    assert ["closed"] == LOG


def test_an_error_may_replace_an_answer_that_is_not_sent() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("X-A", "1")])
        error = ZeroDivisionError()
        start_response("503 Busy", [], (ZeroDivisionError, error, None))
        return [b"busy"]

    answer = call(app)
    assert (503, b"busy", None) == (answer.status, answer.body, answer.headers.get("x-a"))


def test_an_error_after_the_start_is_raised_again() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"one"
        with suppress(LookupError):
            start_response("500 Error", [], (LookupError, LookupError(), None))
            LOG.append("not reached")
        yield b"two"

    assert (b"onetwo", []) == (call(app).body, LOG)


@pytest.mark.parametrize(
    ("app", "words"),
    [
        (lambda environ, start: [b"x"], "the application ended without start_response"),
        (lambda environ, start: (start("200 OK", []), start("200 OK", [])), "called start_response twice"),
        (answering(["text"]), "expected a bytes-like object, str found"),  # type: ignore[list-item]  # the mistake
        (answering([], status="99 Odd"), "a response's status must be from 200 to 599"),
    ],
)
def test_mistakes_of_an_application_are_named_in_the_log(
    app: Any, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert 500 == call(app).status
    assert words in caplog.text


def test_an_error_of_close_is_logged_and_the_answer_stays(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(list[bytes]):
        def close(self) -> None:
            raise LookupError("the pool is closed")

    assert b"ok" == call(answering(Broken([b"ok"]))).body
    assert "the application failed after its answer" in caplog.text


def test_only_an_application_can_be_mounted() -> None:
    with pytest.raises(ConfigurationError, match="wsgi_app takes a WSGI application, not str"):
        wsgi_app("main:app")  # type: ignore[arg-type]  # the mistake


def test_an_asgi_application_beside_it_answers_as_well() -> None:
    """asgi_app and wsgi_app take one request to equal answers."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"1")]})
            await send({"type": "http.response.body", "body": json.dumps(scope["path"]).encode()})

    def wsgi(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("x-a", "1")])
        return [json.dumps(environ["PATH_INFO"]).encode()]

    answers = [deliver(function, fake.request("GET", "/a"), to="asgi") for function in (asgi_app(app), wsgi_app(wsgi))]
    assert answers[0].body == answers[1].body
    assert answers[0].headers["x-a"] == answers[1].headers["x-a"]


@pytest.mark.parametrize("provider", ADAPTERS)
def test_events_reach_the_functions_beside_a_mounted_application(provider: str) -> None:
    handled: list[Any] = []

    @portable(on.queue("orders"))
    def ship(order: Message) -> None:
        handled.append(order.data)

    entry = [wsgi_app(flask.Flask(__name__)), ship]

    assert ["acknowledged"] == deliver(entry, fake.message({"sku": "lamp"}, channel="orders"), to=provider).outcomes
    assert [{"sku": "lamp"}] == handled
    assert 404 == deliver(entry, fake.request("POST", "/nowhere"), to=provider).status
