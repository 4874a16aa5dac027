"""The one function for all paths takes no requests of the app's other functions."""

from __future__ import annotations

from typing import Any

import pytest

from portable_fn import ConfigurationError, Context, Message, Request, asgi_app, on, portable
from portable_fn.testing import deliver, fake
from portable_fn.testing.results import Answer
from portable_fn_azure import entry
from tests.runtimes.azure_stories import function_app, over_front_end


@portable(on.http("GET", "/hello"))
def hello(request: Request, ctx: Context) -> str:
    return ctx.function


@portable(on.http("GET", "/files/{path+}"))
def file(request: Request) -> None: ...


@portable(on.queue("zebras"))
def zebra(message: Message) -> None: ...


@portable
def anything(request: Request) -> None: ...


def in_the_hosts_order(app: Any) -> list[str]:
    """Return the names of the app's HTTP functions in the order in which the host tries them."""
    names = [
        function.get_function_name() for function in app.get_functions() if function.get_trigger().type == "httpTrigger"
    ]
    return sorted(names, key=str.lower)


def with_own(app: Any, *names: str) -> Any:
    """Return an app with functions of your own."""
    for name in names:
        app.function_name(name)(app.route(name)(lambda req: "own"))
    return app


def test_the_function_for_all_paths_comes_after_your_own_functions() -> None:
    app = with_own(entry(hello, zebra), "legacy", "Upload", "zip_code", "zzz", "http")
    assert ["http", "legacy", "Upload", "zip_code", "zzz", "zzz_http"] == in_the_hosts_order(app)


def test_it_is_named_http_if_that_comes_last_anyway() -> None:
    assert ["http"] == in_the_hosts_order(entry(hello, zebra))
    assert ["another", "Helper", "http"] == in_the_hosts_order(with_own(entry(hello), "another", "Helper"))


def test_it_can_have_another_name() -> None:
    app = with_own(entry(hello, http_name="zzzz"), "zzz_legacy")
    assert ["zzz_legacy", "zzzz"] == in_the_hosts_order(app)


@pytest.mark.parametrize("name", ["", "1st", "host", "a b", "größe", "_http", "http_" * 30])
def test_a_name_that_azure_cannot_have_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"http_name must be letters|can't be the name of an Azure function"):
        entry(hello, http_name=name)


def test_http_name_is_refused_with_one_function_each() -> None:
    with pytest.raises(ConfigurationError, match="omit one_function_each"):
        entry(hello, http_name="zzzz", one_function_each=True)


@pytest.mark.parametrize("targets", [[anything], [asgi_app(print)], [portable(on.http())(lambda request: None)]])
def test_with_one_function_each_a_handler_for_every_path_comes_last(targets: list[Any]) -> None:
    app = with_own(entry(hello, file, zebra, *targets, one_function_each=True), "legacy", "zip_code")
    *others, last = in_the_hosts_order(app)
    assert ["file", "hello", "legacy", "zip_code"] == others
    assert last in ("zzz_anything", "zzz_mounted", "zzz_lambda")


def test_deliver_uses_the_functions_name() -> None:
    assert "http" == deliver(hello, fake.request("GET", "/hello"), to="azure").text


OWN = """
import azure.functions as func
from portable_fn import on, portable, cors
from portable_fn_azure import entry

@portable(on.http("GET", "/hello/{name}"))
def hello(request):
    return {"path": request.path, "name": request.params["name"]}

@portable(on.http("GET", "/"))
def index(request):
    return {"path": request.path, "root_path": request.root_path}

app = entry(hello, index, auth_level="anonymous", OPTIONS)
own = func.Blueprint()

@own.route("legacy", methods=["GET"])
def legacy(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("legacy")

@own.route("zones/{id}", methods=["POST"])
def zones(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("zones")

app.register_functions(own)
"""


def fetch(host: Any, target: str, method: str = "GET") -> Answer:
    return over_front_end(host, fake.request(method, target))


@pytest.mark.runtime
@pytest.mark.parametrize("options", ["", 'http_name="zzzz"'])
def test_the_real_worker_calls_your_own_functions(options: str) -> None:
    with function_app(OWN.replace("OPTIONS", f'root_path="/v1", use=[cors()], {options}')) as host:
        assert [200, "legacy"] == [(answer := fetch(host, "/legacy")).status, answer.text]
        assert "zones" == fetch(host, "/zones/7", "POST").text
        # The catch-all gets the requests that they don't take.
        for path, method in (("/legacy", "POST"), ("/zones/7", "GET"), ("/nothing", "GET")):
            refused = fetch(host, path, method)
            assert (404, "*") == (refused.status, refused.headers["access-control-allow-origin"])
            assert "application/problem+json" == refused.headers["content-type"]
        for path in ("/hello/Ada", "/hello/Ada/", "/v1/hello/Ada", "/v1/hello/Ada/"):
            assert {"path": path.removeprefix("/v1"), "name": "Ada"} == fetch(host, path).json()
        assert {"path": "/", "root_path": "/api/v1"} == fetch(host, "/v1").json()


@pytest.mark.runtime
def test_the_real_worker_runs_one_function_each_behind_a_root_path() -> None:
    with function_app(OWN.replace("OPTIONS", 'root_path="/v1", one_function_each=True')) as host:
        for path in ("/v1/hello/Ada", "/v1/hello/Ada/"):
            assert {"path": path.removeprefix("/v1"), "name": "Ada"} == fetch(host, path).json()
        for path in ("/v1", "/v1/"):
            assert {"path": "/", "root_path": "/api/v1"} == fetch(host, path).json()
        assert 405 == fetch(host, "/v1/hello/Ada/", "POST").status
        assert (404, b"") == ((answer := fetch(host, "/hello/Ada")).status, answer.body)
        assert "legacy" == fetch(host, "/legacy").text
