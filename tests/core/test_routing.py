"""Which function gets a path: a slash at its end, and paths that the provider has routed."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import quote

import pytest
from azure.functions import HttpRequest
from hypothesis import given, settings
from hypothesis import strategies as st

from portable_fn import ConfigurationError, HTTPError, Message, Request, Task, asgi_app, on, portable
from portable_fn.adapter.binding import bindings
from portable_fn.adapter.routing import Router
from portable_fn.testing import deliver, fake
from portable_fn.testing.results import Answer
from portable_fn_asgi import entry as asgi_entry
from portable_fn_asgi.simulate.server import messages, scope
from portable_fn_aws import entry as aws_entry
from portable_fn_aws.simulate import answer as aws_answer
from portable_fn_aws.simulate import payload
from portable_fn_azure import entry as azure_entry
from portable_fn_cloudflare.entry import worker
from portable_fn_cloudflare.simulate import FFI, JS, WorkerEntrypoint
from portable_fn_gcp import entry as gcp_entry


def cloudflare_entry(*targets: Any, **options: Any) -> Any:
    return worker(targets, WorkerEntrypoint, JS, FFI, **options)


PROVIDERS = ("aws", "gcp", "azure", "cloudflare", "asgi")


def named(name: str, *triggers: Any) -> Any:
    def handler(request: Request) -> dict[str, object]:
        return {"function": name, "params": request.params, "path": request.path}

    handler.__name__ = name
    return portable(*triggers)(handler)


def get(path: str, name: str = "") -> Any:
    return named(name or path, on.http("GET", path))


def found(path: str, *functions: Any, method: str = "GET") -> tuple[str, dict[str, str]] | int:
    """Return the function that answers the path and its parameters, or the status of the answer."""
    request = fake.request(method, path)
    try:
        call, *_ = Router(bindings(*functions)).find(request)
        told = call(request, fake.context())
    except HTTPError as exc:
        return exc.status
    return (told["function"], told["params"]) if isinstance(told, dict) else int(told.status)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("path", "name", "params"),
    [
        ("/items/", "items", {}),
        ("/items/7/", "item", {"id": "7"}),
        ("/items/a%20b/", "item", {"id": "a b"}),
        ("/with-slash", "slashed", {}),
        ("/with-slash/", "slashed", {}),
        ("/both", "bare", {}),
        ("/both/", "slash", {}),
        ("/files/a/", "files", {"path": "a/"}),
        ("/files/", "files", {"path": ""}),
    ],
)
def test_a_slash_at_the_end_makes_no_difference_on_any_provider(
    provider: str, path: str, name: str, params: dict[str, str]
) -> None:
    functions = [
        get("/items", "items"), get("/items/{id}", "item"), get("/with-slash/", "slashed"), get("/both", "bare"),
        get("/both/", "slash"), get("/files/{path+}", "files"),
    ]  # fmt: skip
    answer = deliver(functions, fake.request("GET", path), to=provider)
    assert answer.status == 200, answer
    # The path is the client's.
    sent = path.replace("%20", " ")
    assert {"function": name, "params": params, "path": sent} == answer.json()


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("path", ["/items//", "//items", "//", "/items/7//", "/items//7", "//items/"])
def test_no_slash_of_several_is_left_out(provider: str, path: str) -> None:
    functions = [get("/", "root"), get("/items"), get("/items/{id}")]
    assert deliver(functions, fake.request("GET", path), to=provider).status == 404


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_path_with_a_slash_at_the_end_has_the_methods_of_the_path_without(provider: str) -> None:
    functions = [get("/items"), named("add", on.http("POST", "/items/"))]

    def answered(method: str, path: str) -> Answer:
        return deliver(functions, fake.request(method, path), to=provider)

    for path in ("/items", "/items/"):
        assert [answered(method, path).status for method in ("GET", "HEAD", "POST")] == [200, 200, 200]
        refused, options = answered("DELETE", path), answered("OPTIONS", path)
        assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")
        assert (options.status, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        # The exact path wins, however specific another is.
        ("/a", ("/{x}", {"x": "a"})),
        ("/a/", ("/a/", {})),
        ("/b/", ("/{x}/", {"x": "b"})),
        ("/b", ("/{x}", {"x": "b"})),
    ],
)
def test_of_two_paths_that_differ_by_a_slash_each_has_its_own_function(path: str, expected: Any) -> None:
    assert expected == found(path, get("/{x}"), get("/a/"), get("/{x}/"))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/items/", ("/items", {})),
        ("/items/7/", ("/items/{id}", {"id": "7"})),
        ("/items/7/parts/", ("/{rest+}", {"rest": "items/7/parts/"})),
        ("/docs", ("/docs/{page+}", {"page": ""})),
        ("/docs/", ("/docs/{page+}", {"page": ""})),
        ("/", ("/{rest+}", {"rest": ""})),
        ("//", ("/{rest+}", {"rest": "/"})),
        ("/items//", ("/{rest+}", {"rest": "items//"})),
    ],
)
def test_a_rest_parameter_gives_way_to_a_more_specific_path_without_the_slash(path: str, expected: Any) -> None:
    functions = [get("/items"), get("/items/{id}"), get("/docs/{page+}"), get("/{x}/{y}/{z}/{more}"), get("/{rest+}")]
    assert expected == found(path, *functions)


def test_a_function_without_a_trigger_gets_no_path_that_another_has_except_for_a_slash() -> None:
    functions = [named("every"), get("/items")]
    assert ("/items", {}) == found("/items/", *functions)
    assert 405 == found("/items/", *functions, method="POST")
    assert ("every", {}) == found("/item/", *functions)


@pytest.mark.parametrize("path", ["", "items", "*", "?"])
def test_a_path_without_its_first_slash_is_found_nowhere(path: str) -> None:
    request = fake.request()
    request.raw_path = path
    for functions in ([get("/items")], [get("/items/"), get("/{id}")]):
        call, *_ = Router(bindings(*functions)).find(request)
        with pytest.raises(HTTPError, match="Nothing answers"):
            call(request, fake.context())


# Paths that API Gateway has routed


def rest(path: str, resource: str, params: Any, **fields: Any) -> dict[str, Any]:
    """Return a REST API's request to its own domain."""
    event = payload(fake.request("GET", path), "rest_api")
    return {**event, "path": path, "resource": resource, "pathParameters": params, **fields}


def http_api(path: str, route_key: str, params: Any) -> dict[str, Any]:
    event = payload(fake.request("GET", path), "http_api")
    return {**event, "routeKey": route_key, "pathParameters": params}


def told(event: dict[str, Any], *functions: Any, **options: Any) -> Any:
    service = "rest_api" if "resource" in event else "http_api"
    answer = aws_answer(aws_entry(*functions, **options)(event, None), service)
    return answer.json() if answer.status == 200 else answer.status


FILES = [named("file", on.http("GET", "/files/{proxy+}"))]


@pytest.mark.parametrize("more", [[], [named("other", on.http("GET", "/other/{id}"))]], ids=["alone", "beside another"])
@pytest.mark.parametrize("make", [rest, http_api])
def test_a_gateways_proxy_parameter_is_not_ours_of_the_same_name(make: Any, more: list[Any]) -> None:
    resource = "/{proxy+}" if make is rest else "ANY /{proxy+}"
    for path, params in (("/files/a/b", {"proxy": "a/b"}), ("/files/", {"proxy": ""}), ("/files", {"proxy": ""})):
        seen = told(make(path, resource, {"proxy": path[1:]}), *FILES, *more)
        assert {"function": "file", "params": params, "path": path} == seen
    for path in ("/a/b", "/file/a", "/", "/filesystem/a"):
        assert 404 == told(make(path, resource, {"proxy": path[1:]}), *FILES, *more)


def test_parameters_of_another_template_than_ours_are_not_the_functions() -> None:
    item = named("item", on.http("GET", "/items/{id}"))
    for resource, params in (
        ("/{proxy+}", {"proxy": "items/7"}),
        ("/{section}/{id}", {"section": "items", "id": "8"}),
        ("/items/{proxy+}", {"proxy": "7", "id": "8"}),
        ("", {"id": "8"}),
    ):
        assert {"id": "7"} == told(rest("/items/7", resource, params), item)["params"]
    assert {"id": "7"} == told(http_api("/items/7", "$default", {"id": "8"}), item)["params"]


def test_parameters_of_our_own_template_are_the_gateways() -> None:
    # An HTTP API decodes the path, so only it knows where the parameter ended.
    functions = [get("/items/{id}"), get("/items/{id}/parts"), get("/{rest+}")]
    seen = told(http_api("/items/a/parts", "GET /items/{id}", {"id": "a/parts"}), *functions[:1], functions[2])
    assert ("/items/{id}", {"id": "a/parts"}) == (seen["function"], seen["params"])
    seen = told(http_api("/items/7/", "GET /items/{id}", {"id": "7"}), *functions)
    assert ("/items/{id}", {"id": "7"}) == (seen["function"], seen["params"])
    assert 405 == told({**rest("/items/7", "/items/{id}", {"id": "7"}), "httpMethod": "POST"}, functions[0])


def test_a_gateways_template_without_its_parameters_is_read_by_the_path() -> None:
    item = get("/items/{id}")
    assert {"id": "7"} == told(rest("/items/7", "/items/{id}", {"other": "8"}), item)["params"]
    assert {"id": "7"} == told(rest("/items/7", "/items/{id}", None), item)["params"]


def test_a_more_specific_function_wins_over_the_gateways_route() -> None:
    functions = [get("/items/{id}"), get("/items/new")]
    for path in ("/items/new", "/items/new/"):
        assert "/items/new" == told(rest(path, "/items/{id}", {"id": "new"}), *functions)["function"]


def test_a_slash_that_a_rest_api_leaves_out_of_its_proxy_parameter_is_there() -> None:
    seen = told(rest("/files/a/", "/files/{proxy+}", {"proxy": "a"}), *FILES)
    assert {"proxy": "a/"} == seen["params"]


# A base path


def custom_domain(path: str, resource: str, params: Any, stage: str = "prod", **fields: Any) -> dict[str, Any]:
    """Return a REST API's request behind a custom domain: `path` and the context's path are the client's."""
    event = rest(path, resource, params, **fields)
    context = {"path": path, "stage": stage, "resourcePath": resource, "domainName": "api.example.com"}
    return {**event, "requestContext": {**event["requestContext"], **context}}


@portable(on.http("ANY", "/{rest+}"))
def everything(request: Request) -> dict[str, Any]:
    return {"root_path": request.root_path, "raw_path": request.raw_path, "url": request.url}


def split(event: dict[str, Any]) -> tuple[str, str]:
    seen = told(event, everything)
    assert f"https://api.example.com{seen['root_path']}{seen['raw_path']}" == seen["url"]
    return seen["root_path"], seen["raw_path"]


@pytest.mark.parametrize("version", [{}, {"version": "1.0"}], ids=["REST API", "payload 1.0"])
@pytest.mark.parametrize(
    ("path", "resource", "params", "root_path", "rest"),
    [
        ("/shop/items", "/items", None, "/shop", "/items"),
        ("/shop/items/", "/items", None, "/shop", "/items/"),
        ("/shop/items/7", "/items/{id}", {"id": "7"}, "/shop", "/items/7"),
        ("/shop/v1/items/7", "/items/{id}", {"id": "7"}, "/shop/v1", "/items/7"),
        ("/shop/items/7/parts/a/b", "/items/{id}/parts/{rest+}", {"id": "7", "rest": "a/b"}, "/shop", "/items/7/parts/a/b"),
        ("/shop/items", "/{proxy+}", {"proxy": "items"}, "/shop", "/items"),
        ("/shop/items/", "/{proxy+}", {"proxy": "items"}, "/shop", "/items/"),
        ("/shop/items/", "/{proxy+}", {"proxy": "items/"}, "/shop", "/items/"),
        ("/shop/shop", "/{proxy+}", {"proxy": "shop"}, "/shop", "/shop"),
        ("/items/items", "/items", None, "/items", "/items"),
        ("/items", "/items", None, "", "/items"),
        ("/", "/", None, "", "/"),
        ("/shop", "/", None, "/shop", "/"),
        ("/shop/", "/", None, "/shop", "/"),
        ("/shop/v1", "/", {}, "/shop/v1", "/"),
        # A mapping with the stage's name, or one without a stage's name.
        ("/prod/items/7", "/items/{id}", {"id": "7"}, "/prod", "/items/7"),
        ("/prod", "/", None, "/prod", "/"),
        ("/shop/prod/items", "/items", None, "/shop/prod", "/items"),
        ("/prod/prod", "/{proxy+}", {"proxy": "prod"}, "/prod", "/prod"),
    ],
)  # fmt: skip
def test_a_base_path_is_the_root_path(
    path: str, resource: str, params: Any, root_path: str, rest: str, version: dict[str, Any]
) -> None:
    assert (root_path, rest) == split(custom_domain(path, resource, params, **version))


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/shop/items/a%20b", {"id": "a%20b"}),
        ("/shop/items/a%20b", {"id": "a b"}),
        ("/shop/items/a%2Fb", {"id": "a%2Fb"}),
        ("/shop/items/a%2Fb", {"id": "a/b"}),
        ("/shop/items/50%25", {"id": "50%25"}),
        ("/shop/items/50%25", {"id": "50%"}),
        ("/shop/items/%C3%BC", {"id": "ü"}),
        ("/shop/items/%c3%bc/", {"id": "%C3%BC"}),
        ("/sh%6Fp/items/%2525", {"id": "%25"}),
    ],
)
def test_a_base_path_is_found_however_the_parameters_are_encoded(path: str, params: dict[str, str]) -> None:
    root_path, rest = split(custom_domain(path, "/items/{id}", params))
    assert path == root_path + rest
    assert rest.startswith("/items/")


SEGMENTS = st.lists(st.sampled_from(["shop", "v1", "items", "prod", "a.b"]), max_size=3)
VALUES = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=4), min_size=1, max_size=3
)


@settings(deadline=None)
@given(
    base=SEGMENTS,
    before=SEGMENTS,
    values=VALUES,
    greedy=st.booleans(),
    encoded=st.booleans(),
    slash=st.sampled_from(["", "/"]),
)
def test_the_base_path_is_separated_from_every_parameter(
    base: list[str], before: list[str], values: list[str], greedy: bool, encoded: bool, slash: str
) -> None:
    if greedy:
        values = [value.replace("/", "-") for value in values]
    quoted = [quote(value, safe="") for value in values]
    sent = quoted if encoded else values
    if greedy:
        names, params = ["{rest+}"], {"rest": "/".join(sent)}
    else:
        names, params = (
            [f"{{n{number}}}" for number in range(len(sent))],
            {f"n{number}": one for number, one in enumerate(sent)},
        )
    root_path = "".join(f"/{segment}" for segment in base)
    rest = "".join(f"/{segment}" for segment in [*before, *quoted]) + slash
    event = custom_domain(root_path + rest, "/" + "/".join([*before, *names]), params)
    assert (root_path, rest) == split(event)


def test_the_path_of_payload_1_is_decoded_and_its_base_path_too() -> None:
    event = custom_domain("/sho p/a/ü/50%25", "/a/{x+}", {"x": "ü/50%25"}, version="1.0")
    assert ("/sho%20p", "/a/%C3%BC/50%2525") == split(event)


@pytest.mark.parametrize(
    ("path", "resource", "params"),
    [
        ("/shop/items/7", "/items/{id}", {"id": "8"}),
        ("/shop/items/7", "/items/{id}", None),
        ("/shop/items/7", "/{proxy+}", {"proxy": ""}),
        ("/shop/items/7", "/{proxy+}", {"other": "items/7"}),
        ("/shop/myitems", "/items", None),
        ("/shop%2Fitems", "/items", None),
        ("/shop/items/7", "$default", None),
        ("/shop/items/7", "", {"id": "7"}),
    ],
)
def test_a_path_that_does_not_end_with_its_resource_is_left_alone(path: str, resource: str, params: Any) -> None:
    assert ("", path) == split(custom_domain(path, resource, params))


def test_lambdas_own_test_event_has_no_base_path() -> None:
    event = custom_domain("/path/to/resource", "/{proxy+}", {"proxy": "/path/to/resource"})
    event["requestContext"]["path"] = "/prod/path/to/resource"
    assert ("/prod", "/path/to/resource") == split(event)
    event["requestContext"]["path"] = "/path/to/resource"
    assert ("", "/path/to/resource") == split(event)


def test_the_apis_own_domain_has_the_stage_and_no_base_path() -> None:
    for path, resource, params in (
        ("/items/", "/items", None),
        ("/", "/", None),
        ("/prod/items", "/{proxy+}", {"proxy": "prod/items"}),
        ("/shop/items", "/items", None),  # never sent so; the context's path decides
    ):
        event = custom_domain(path, resource, params)
        event["requestContext"]["path"] = f"/prod{path}"
        assert ("/prod", path) == split(event)
    # Called without the slash at its end.
    event["requestContext"]["path"] = "/prod"
    assert ("/prod", "/") == split({**event, "path": "/", "resource": "/"})


def test_a_handwritten_event_with_the_root_as_resource_keeps_its_path() -> None:
    event = rest("/items", "/", None)
    event["requestContext"] = {}
    assert "/items" == told(event, everything)["raw_path"]


def test_a_function_behind_a_base_path_is_found_and_has_the_gateways_parameters() -> None:
    functions = [get("/items"), get("/items/{id}")]
    for event, params in (
        (custom_domain("/shop/items/a%2Fb", "/items/{id}", {"id": "a%2Fb"}), {"id": "a/b"}),
        (custom_domain("/shop/items/a/b", "/items/{id}", {"id": "a/b"}, version="1.0"), {"id": "a/b"}),
        (custom_domain("/shop/items/7", "/{proxy+}", {"proxy": "items/7"}), {"id": "7"}),
        (custom_domain("/shop/items/7/", "/{proxy+}", {"proxy": "items/7"}), {"id": "7"}),
    ):
        assert params == told(event, *functions)["params"]
    assert 404 == told(custom_domain("/shop/item", "/{proxy+}", {"proxy": "item"}), *functions)


@pytest.mark.parametrize("path", ["/items/7", "/items", "/", "/items/"])
def test_deliver_plays_a_custom_domain_for_a_request_with_a_root_path(path: str) -> None:
    request = fake.request("GET", path)
    request.root_path = "/shop"
    answer = deliver(everything, request, to="aws", via="rest_api")
    assert f"/shop{path}" == answer.native_request["path"] == answer.native_request["requestContext"]["path"]
    assert {"root_path": "/shop", "raw_path": path, "url": f"https://example.com/shop{path}"} == answer.json()


# An entry's own root path


def entered(provider: str, path: str, *functions: Any, via: str | None = None, **options: Any) -> Any:
    answer = deliver(functions or everything, fake.request("GET", path), to=provider, via=via, **options)
    return answer.json() if answer.status == 200 else answer.status


SERVICES = [
    *(("aws", service) for service in ("http_api", "function_url", "rest_api", "alb", "lattice_v1", "lattice_v2")),
    *(("gcp", service) for service in ("http", "http_async")),
    *((provider, None) for provider in ("azure", "cloudflare", "asgi")),
]


@pytest.mark.parametrize(("provider", "via"), SERVICES)
def test_an_entrys_root_path_is_taken_off_if_it_is_there(provider: str, via: str | None) -> None:
    before = {"azure": "/api", "aws": "/prod" if via == "rest_api" else ""}.get(provider, "")
    for path, root_path, rest in (
        ("/v1/items/7", "/v1", "/items/7"),
        ("/v1/items/", "/v1", "/items/"),
        ("/v1/v1", "/v1", "/v1"),
        ("/v1", "/v1", "/"),
        ("/v1/", "/v1", "/"),
        ("/items/7", "", "/items/7"),
        ("/v10/items", "", "/v10/items"),
        ("/V1/items", "", "/V1/items"),
        ("/", "", "/"),
    ):
        seen = entered(provider, path, via=via, root_path="/v1")
        assert {"root_path": before + root_path, "raw_path": rest} == {
            name: seen[name] for name in ("root_path", "raw_path")
        }
        if (provider, via) != ("aws", "function_url"):
            # The client's path, except for the slash after a host or a root path.
            assert f"https://example.com{before}{path}".rstrip("/") == seen["url"].rstrip("/")


@pytest.mark.parametrize(("provider", "via"), SERVICES)
def test_functions_behind_a_root_path_have_their_own_paths(provider: str, via: str | None) -> None:
    functions = [get("/"), get("/items"), get("/items/{id}")]
    for path, name, params in (
        ("/shop/v1/items/7", "/items/{id}", {"id": "7"}),
        ("/shop/v1/items/7/", "/items/{id}", {"id": "7"}),
        ("/shop/v1/items/", "/items", {}),
        ("/shop/v1/", "/", {}),
        ("/items/7", "/items/{id}", {"id": "7"}),
    ):
        seen = entered(provider, path, *functions, via=via, root_path="/shop/v1")
        assert (name, params) == (seen["function"], seen["params"])
    assert [404] * 2 == [
        entered(provider, path, *functions, via=via, root_path="/shop/v1") for path in ("/shop/items", "/v1")
    ]


def test_a_root_path_is_compared_decoded_and_kept_as_sent() -> None:
    for root_path, path, kept in (
        ("/v1", "/%76%31/a", "/%76%31"),
        ("/b%C3%BCcher", "/b%c3%bccher/a", "/b%c3%bccher"),
        ("/bücher", "/b%C3%BCcher/a", "/b%C3%BCcher"),
        ("/a/b", "/a%2Fb/a", ""),
        ("/v1", "/%76%31x/a", ""),
    ):
        seen = entered("asgi", path, root_path=root_path)
        assert (kept, path.removeprefix(kept)) == (seen["root_path"], seen["raw_path"])


def test_a_root_path_comes_after_a_base_path_and_a_stage() -> None:
    event = custom_domain("/shop/v1/items/7", "/v1/items/{id}", {"id": "7"})
    seen = told(event, everything, root_path="/v1")
    assert ("/shop/v1", "/items/7") == (seen["root_path"], seen["raw_path"])
    seen = told({**rest("/v1/items/7", "/v1/items/{id}", {"id": "7"})}, everything, root_path="/v1")
    assert ("/prod/v1", "/items/7") == (seen["root_path"], seen["raw_path"])


def test_the_gateways_parameters_belong_to_the_template_after_the_root_path() -> None:
    event = http_api("/v1/items/a/b", "GET /v1/items/{id}", {"id": "a/b"})
    assert {"id": "a/b"} == told(event, get("/items/{id}"), root_path="/v1")["params"]
    assert 404 == told(event, get("/items/{id}"))


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    body = f"{scope['root_path']} {scope['path']}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_asgi_application_knows_the_root_path(provider: str) -> None:
    answer = deliver(asgi_app(application), fake.request("GET", "/v1/items/7/"), to=provider, root_path="/v1")
    before = "/api" if provider == "azure" else ""
    assert f"{before}/v1 {before}/v1/items/7/" == answer.text


def test_an_asgi_application_knows_the_base_path_of_a_custom_domain() -> None:
    handler = aws_entry(asgi_app(application))
    for event in (
        custom_domain("/shop/items/7/", "/{proxy+}", {"proxy": "items/7"}),
        custom_domain("/shop/items/7/", "/items/{id}", {"id": "7"}, version="1.0"),
    ):
        assert "/shop /shop/items/7/" == aws_answer(handler(event, None), "rest_api").text


@pytest.mark.parametrize("entry", [aws_entry, gcp_entry, azure_entry, cloudflare_entry, asgi_entry])
@pytest.mark.parametrize(
    "root_path", ["v1", "/v1/", "/", "//v1", "/v1//a", "/{x}", "/v1?a", "/v1#a", "/a b", "/a\n", "/a\\b", None, 1, b"/v1"]
)  # fmt: skip
def test_a_malformed_root_path_is_refused_by_the_entry(entry: Any, root_path: Any) -> None:
    with pytest.raises(ConfigurationError, match="root_path must be"):
        entry(everything, root_path=root_path)


@portable(on.queue("orders"))
def ship(order: Message) -> None: ...


def test_a_malformed_root_path_is_refused_without_http_functions_too() -> None:
    for entry in (aws_entry, gcp_entry, azure_entry, cloudflare_entry, asgi_entry):
        with pytest.raises(ConfigurationError, match="root_path must be"):
            entry(ship, root_path="v1")


def test_tasks_and_events_of_a_container_may_come_behind_the_root_path() -> None:
    @portable(on.task())
    def double(task: Task) -> int:
        return int(task.data["n"]) * 2

    request = fake.request("POST", "/v1/double", json={"n": 21})
    application = asgi_entry(double, root_path="/v1")
    sent = asyncio.run(messages(application, scope(request), request.body))
    assert b"42" == sent[-1]["body"]


def test_azures_routes_of_a_function_each_have_the_root_path() -> None:
    functions = [get("/", "root"), get("/items/{id}", "item"), get("/files/{path+}", "files"), named("every")]
    app = azure_entry(*functions, root_path="/v1", one_function_each=True)
    made: list[Any] = app.get_functions()
    assert ["v1", "v1/items/{id}", "v1/files/{*path}", "{*path}"] == [one.get_trigger().route for one in made]
    function = made[1].get_user_function()
    native = HttpRequest("GET", "https://example.com/api/v1/items/7/", route_params={"id": "7"}, body=b"")
    seen = json.loads(function(req=native, context=None).get_body())
    assert ("item", {"id": "7"}, "/items/7/") == (seen["function"], seen["params"], seen["path"])
