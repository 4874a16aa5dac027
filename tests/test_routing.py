"""Which function gets a path: a slash at its end, and what the provider has routed already."""

from __future__ import annotations

from typing import Any

import pytest

from portable_fn import Request, on, portable
from portable_fn.adapter import bindings
from portable_fn.errors import HTTPError
from portable_fn.routing import Router
from portable_fn.testing import deliver, fake
from portable_fn.testing.delivery import Answer
from portable_fn_aws import entry as aws_entry
from portable_fn_aws.simulate import answer as aws_answer
from portable_fn_aws.simulate import payload

PROVIDERS = ("aws", "gcp", "azure", "cloudflare", "asgi")


def named(name: str, *triggers: Any) -> Any:
    def handler(request: Request) -> dict[str, object]:
        return {"function": name, "params": request.params, "path": request.path}

    handler.__name__ = name
    return portable(*triggers)(handler)


def get(path: str, name: str = "") -> Any:
    return named(name or path, on.http("GET", path))


def found(path: str, *functions: Any, method: str = "GET") -> tuple[str, dict[str, str]] | int:
    """The function that answers the path and its parameters, or the status of the answer."""
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
    # The path is what the client sent.
    sent = path.replace("%20", " ")
    assert {"function": name, "params": params, "path": sent} == answer.json()


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("path", ["/items//", "//items", "//", "/items/7//", "/items//7", "//items/"])
def test_of_several_slashes_none_is_left_out(provider: str, path: str) -> None:
    functions = [get("/", "root"), get("/items"), get("/items/{id}")]
    assert deliver(functions, fake.request("GET", path), to=provider).status == 404


@pytest.mark.parametrize("provider", PROVIDERS)
def test_methods_of_a_path_with_a_slash_at_the_end_are_those_of_the_path_without(provider: str) -> None:
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
        # The exact path wins, whatever is more specific.
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
def test_what_takes_the_rest_gives_way_to_a_more_specific_path_without_the_slash(path: str, expected: Any) -> None:
    functions = [get("/items"), get("/items/{id}"), get("/docs/{page+}"), get("/{x}/{y}/{z}/{more}"), get("/{rest+}")]
    assert expected == found(path, *functions)


def test_a_function_without_a_trigger_gets_no_path_that_another_has_but_for_a_slash() -> None:
    functions = [named("every"), get("/items")]
    assert ("/items", {}) == found("/items/", *functions)
    assert 405 == found("/items/", *functions, method="POST")
    assert ("every", {}) == found("/item/", *functions)


@pytest.mark.parametrize("path", ["", "items", "*", "?"])
def test_a_path_without_its_first_slash_is_found_nowhere(path: str) -> None:
    request = fake.request()
    request.raw_path = path
    for functions in ([get("/items")], [get("/items/"), get("/{id}")]):
        with pytest.raises(HTTPError, match="Nothing answers"):
            Router(bindings(*functions)).find(request)


# What API Gateway has routed


def rest(path: str, resource: str, params: Any, **fields: Any) -> dict[str, Any]:
    """A REST API's request to its own domain."""
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
    # An HTTP API decodes the path, so that it alone knows where the parameter ended.
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


def test_a_more_specific_function_wins_over_the_one_that_the_gateway_means() -> None:
    functions = [get("/items/{id}"), get("/items/new")]
    for path in ("/items/new", "/items/new/"):
        assert "/items/new" == told(rest(path, "/items/{id}", {"id": "new"}), *functions)["function"]


def test_a_slash_that_a_rest_api_leaves_out_of_its_proxy_parameter_is_there() -> None:
    seen = told(rest("/files/a/", "/files/{proxy+}", {"proxy": "a"}), *FILES)
    assert {"proxy": "a/"} == seen["params"]


# A base path


def custom_domain(path: str, resource: str, params: Any, stage: str = "prod", **fields: Any) -> dict[str, Any]:
    """A REST API's request behind a custom domain: `path` and the context's path are as the client called it."""
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
        # A mapping that has the stage's name, or one that names no stage.
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


def test_an_event_written_by_hand_whose_resource_is_the_root_keeps_its_path() -> None:
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
