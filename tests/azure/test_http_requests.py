"""Paths, clients, principals and traces of requests."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from base64 import b64encode

import pytest

from portable_fn import Request, on, portable
from portable_fn.testing import deliver, fake
from portable_fn_azure import entry
from portable_fn_azure.decode import Place
from portable_fn_azure.simulate import payload
from tests.azure.http_app import CLAIMS, TRACE, _change, context, echo, encoded, item, native, only, seen


def test_importing_the_adapter_does_not_import_azure() -> None:
    code = "import portable_fn_azure, sys; print([m for m in sys.modules if m.split('.')[0] in ('azure', 'werkzeug', 'asyncio')])"
    path = [each for each in sys.path if each.endswith(("src", "adapters"))]
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, env={"PYTHONPATH": ":".join(path)}, capture_output=True, text=True
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


@pytest.mark.parametrize(
    ("path", "rest", "root_path", "raw_path"),
    [
        ("/api", "", "/api", "/"),
        ("/api/", "", "/api", "/"),
        ("/", "", "", "/"),
        ("/a", "a", "", "/a"),
        ("/api/a", "a", "/api", "/a"),
        ("/api/api/api", "api/api", "/api", "/api/api"),
        ("/v1/api/a/b/", "a/b/", "/v1/api", "/a/b/"),
        ("/api//a", "/a", "/api", "//a"),
        ("/api/a%20b/Zo%C3%AB/c%2Fd", "a b/Zoë/c%2Fd", "/api", "/a%20b/Zo%C3%AB/c%2Fd"),
        ("/API/x", "x", "/API", "/x"),
    ],
)
def test_the_prefix_is_the_root_path(path: str, rest: str, root_path: str, raw_path: str) -> None:
    got = seen(native(f"https://example.com{path}?q=%2B", **({"path": rest} if rest else {})))
    assert (got["root_path"], got["path"]) == (root_path, raw_path)
    assert got["params"] == {"path": rest.replace("%2F", "/")} or got["params"] == {}


@pytest.mark.parametrize(
    ("place", "path", "params", "split"),
    [
        (Place(("", "id")), "/api/items/1", {"id": "1"}, ("/api", "/items/1")),
        (Place(("", "id")), "/items/1/", {"id": "1"}, ("", "/items/1/")),
        (Place(("",), "rest"), "/v1/api/files", {}, ("/v1/api", "/files")),
        (Place(("",), "rest"), "/v1/api/files/", {}, ("/v1/api", "/files/")),
        (Place(("",), "rest"), "/api/files/a/b", {"rest": "a/b"}, ("/api", "/files/a/b")),
        (Place(("",), "rest"), "/api/files/a%41/b%2Fc", {"rest": "a%41/b%2Fc"}, ("/api", "/files/a%2541/b%2Fc")),
        (Place(("", "id")), "/api/items/a%41%20b", {"id": "a%41 b"}, ("/api", "/items/a%2541%20b")),
    ],
)
def test_a_handler_with_its_own_function_knows_its_prefix(
    place: Place, path: str, params: dict[str, str], split: tuple[str, str]
) -> None:
    assert place.split(path, params) == split


def test_the_parameter_of_the_route_is_not_passed_to_the_handler() -> None:
    answered = only(entry(item))(req=native("https://e.com/api/items/a%2Fb", path="items/a%2Fb"), context=context())
    assert json.loads(answered.get_body())["id"] == "a/b"

    @portable(on.http("GET", "/x"))
    def params(request: Request) -> dict[str, str]:
        return request.params

    assert only(entry(params))(req=native("https://e.com/api/x", path="x"), context=context()).get_body() == b"{}"


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("203.0.113.7:1234", "203.0.113.7"),
        ("203.0.113.7", "203.0.113.7"),
        ("6.6.6.6, 203.0.113.7:1234", "203.0.113.7"),
        ("6.6.6.6,[2001:db8::1]:1234", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1", "2001:db8::1"),
        ("6.6.6.6,", None),
        ("", None),
    ],
)
def test_the_clients_address_is_the_last_one_without_its_port(forwarded: str, address: str | None) -> None:
    assert seen(native(headers={"X-Forwarded-For": forwarded}))["client_ip"] == address


def test_there_is_no_address_without_a_front_end() -> None:
    forged = {"client-ip": "6.6.6.6", "x-client-ip": "6.6.6.6", "x-azure-clientip": "6.6.6.6"}
    assert seen(native(headers=forged))["client_ip"] is None


def test_the_principal_is_easy_auths_if_it_is_on(monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {"x-ms-client-principal": encoded(CLAIMS), "x-ms-client-principal-id": "u-1"}
    assert seen(native(headers=headers))["principal"] is None
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "False")
    assert seen(native(headers=headers))["principal"] is None
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "True")
    assert seen(native(headers=headers))["principal"] == ["u-1", "easyauth", CLAIMS]
    assert seen(native(headers={"x-ms-client-principal": encoded(CLAIMS).rstrip("=")}))["principal"][0] == "s-1"
    assert seen(native())["principal"] is None


@pytest.mark.parametrize(
    "header",
    ["%%%", "e", "Zoë", encoded([1]), encoded("x"), encoded({"claims": 1}), encoded({"claims": [{"typ": "a"}]}), encoded({}),
     b64encode(b"\xff\xfe").decode(), b64encode(b"[" * 10_000).decode()],
)  # fmt: skip
def test_a_malformed_principal_is_ignored(monkeypatch: pytest.MonkeyPatch, header: str) -> None:
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "True")
    assert seen(native(headers={"x-ms-client-principal": header}))["principal"] is None


def test_the_trace_is_the_callers_or_else_the_hosts() -> None:
    host = "00-4bf92f3577b34da6a3ce929d0e0e4736-1111111111111111-00"
    headers = {"traceparent": TRACE, "tracestate": "a=1"}
    assert seen(native(headers=headers), context(host, "b=2"))["trace"] == [TRACE, "a=1"]
    assert seen(native(), context(host, "b=2"))["trace"] == [host, "b=2"]
    assert seen(native(), context("nonsense"))["trace"] is None
    assert seen(native())["trace"] is None


def test_the_context_has_the_fields_of_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGION_NAME", "West Europe")
    function = only(entry(echo))
    first, second = (json.loads(function(req=native(), context=context()).get_body()) for _ in range(2))
    assert (first["function"], first["region"], first["version"], first["remaining"]) == (
        "http",
        "West Europe",
        "",
        None,
    )
    assert (first["cold"], second["cold"]) == (True, False)
    assert first["correlation_id"] == context().invocation_id


@pytest.mark.parametrize(
    ("raw", "seen_as"),
    [
        ("/a%20b", "/a%20b"),
        ("/%41%7E", "/A~"),
        ("/%2541", "/%2541"),
        ("/https%3A%2F%2Fa%252520b", "/https:%2F%2Fa%252520b"),
        ("/100%25", "/100%25"),
        ("/a;b=c,d+e", "/a;b=c,d+e"),
        # The host itself can't distinguish these.
        ("/a%252Fb", "/a%2Fb"),
        ("/Zo%EB", "/Zo%25EB"),
    ],
)
def test_the_raw_path_is_unchanged_as_far_as_the_host_passes_it(raw: str, seen_as: str) -> None:
    assert deliver(echo, fake.request("GET", raw), to="azure").json()["path"] == seen_as


def test_a_chunked_body_is_lost_before_the_function() -> None:
    request = fake.request("POST", "/a", body=b"x", headers=[("transfer-encoding", "chunked")])
    assert payload(request).get_body() == b""


def test_your_own_function_can_call_a_portable_one() -> None:
    called = item(native("https://e.com/v1/items/a%2Fb", id="a%2Fb"), context())
    assert (called.status_code, json.loads(called.get_body())["id"]) == (200, "a/b")
    called = echo(native("https://e.com/v1/items/a%2Fb", id="a%2Fb"), context())
    got = json.loads(called.get_body())
    assert (got["params"], got["path"], got["root_path"]) == ({"id": "a/b"}, "/v1/items/a%2Fb", "")
    called = asyncio.run(_change(native("https://e.com/api/items/1", id="1"), context()))
    assert called.status_code == 405
    assert echo(native()).status_code == 200
