"""Each field of a request becomes the neutral request's."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import azure.functions as func
import pytest

from portable_fn import (
    Request,
)
from portable_fn_azure import decode
from portable_fn_azure.decode import Place
from tests.azure.http_app import streamed
from tests.azure.payloads import INVOKED


def test_an_encoded_slash_stays_encoded() -> None:
    place = Place(("id",), "rest")
    params = {"id": "a%2fb%41", "rest": "c%2Fd%41/e"}
    assert ("/api", "/a%2fb%2541/c%2Fd%2541/e") == place.split("/api/a%2fb%2541/c%2Fd%2541/e", params)


def principal(value: object) -> str:
    return b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    ("claims", "subject"),
    [
        ([], ""),
        ([{"typ": "sub", "val": 5}], "5"),
        ([{"typ": "sub", "val": "s"}, {"typ": decode._SUBJECTS[0], "val": "n"}], "n"),
    ],
)
def test_the_claims_name_the_principal_if_no_header_does(
    monkeypatch: pytest.MonkeyPatch, claims: list[Any], subject: str
) -> None:
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "true")
    request = func.HttpRequest(
        "GET", "https://e.com/", headers={"x-ms-client-principal": principal({"claims": claims})}, body=b""
    )
    got: Any = decode.http(request, None, None).principal
    assert (subject, "easyauth", {"claims": claims}) == (got.id, got.scheme, got.claims)


def read(request: Any) -> dict[str, Any]:
    names = ("method", "raw_path", "root_path", "raw_query", "host", "scheme", "client_ip", "id", "native", "principal")
    return {name: getattr(request, name) for name in names}


def test_each_field_of_a_request_becomes_the_neutral_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "true")
    native = func.HttpRequest(
        "PUT",
        "http://example.com:8080/api/items/a%2fb?u=https://e.com/?x&n=1",
        headers={
            "X-Forwarded-For": "203.0.113.7:1234",
            "X-MS-Client-Principal": principal({"claims": [{"typ": "sub", "val": "s-1"}]}),
            "Host": "other.example",
        },
        route_params={"id": "a%2fb", "other": "c%2Fd"},
        body=b"body",
    )
    expected = {
        "method": "PUT",
        "raw_query": "u=https://e.com/?x&n=1",
        "host": "example.com:8080",
        "scheme": "http",
        "client_ip": "203.0.113.7",
        "id": "i-1",
        "native": native,
    }
    for place, root_path, raw_path, params in (
        (None, "", "/api/items/a%2fb", {"id": "a/b", "other": "c/d"}),
        (Place(("", "id")), "/api", "/items/a%2fb", {}),
    ):
        got = decode.http(native, INVOKED, place)
        fields = read(got)
        assert fields.pop("principal").id == "s-1"
        assert {**expected, "root_path": root_path, "raw_path": raw_path} == fields
        assert (b"body", "other.example", params) == (got.body, got.headers["host"], got.params)


def test_a_request_without_optional_fields_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WEBSITE_AUTH_ENABLED", raising=False)
    got = decode.http(
        func.HttpRequest("GET", "https://example.com", headers={"x-request-id": "r"}, body=b""), None, None
    )
    expected: tuple[Any, ...] = ("GET", "/", "", "example.com", "https", "", None, None, "r", b"", {})
    assert expected == (
        got.method,
        got.raw_path,
        got.raw_query,
        got.host,
        got.scheme,
        got.root_path,
        got.client_ip,
        got.principal,
        got.id,
        got.body,
        got.params,
    )


PROXIED = [
    (b"host", b"127.0.0.1:5000"),
    (b"x-forwarded-host", b"example.com"),
    (b"x-forwarded-proto", b"http"),
    (b"x-forwarded-for", b"10.0.0.1"),
    (b"client-ip", b"203.0.113.7:1234"),
    (b"x-ms-client-principal", principal({"claims": [{"typ": "sub", "val": "s-1"}]}).encode()),
    (b"x-a", b"1"),
    (b"x-a", "Zoë".encode()),
]


def test_each_field_of_a_streaming_request_becomes_the_neutral_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBSITE_SKU", "Standard")
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "true")
    native = streamed(headers=PROXIED, id="a b")
    got = decode.streaming(native, INVOKED, Place(("", "id")))
    fields = read(got)
    assert fields.pop("principal").id == "s-1"
    assert {
        "method": "PUT",
        "raw_path": "/items/a%20b",
        "root_path": "/api",
        "raw_query": "q=%2B&u=%C3%AB",
        "host": "example.com",
        "scheme": "http",
        "client_ip": "203.0.113.7",
        "id": "i-1",
        "native": native,
    } == fields
    assert ["1", "Zoë"] == got.headers.get_all("x-a")


def test_the_client_of_a_streaming_request_is_known_only_behind_a_front_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WEBSITE_SKU", raising=False)
    monkeypatch.delenv("WEBSITE_AUTH_ENABLED", raising=False)
    native = streamed(headers=PROXIED[4:6])
    got = read(decode.streaming(native, INVOKED, Place((), "path")))
    assert (None, None, "https") == (got["client_ip"], got["principal"], got["scheme"])
    assert got["host"] == Request().host
