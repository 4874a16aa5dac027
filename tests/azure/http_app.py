"""Handlers and requests for the tests of HTTP."""

from __future__ import annotations

import json
from base64 import b64encode
from types import SimpleNamespace
from typing import Any

import azure.functions as func

from portable_fn import Context, Request, on, portable
from portable_fn.testing import deliver, fake
from portable_fn.testing.results import Answer
from portable_fn_azure import entry
from portable_fn_azure.simulate import FunctionContext, TraceContext

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@portable
def echo(request: Request, ctx: Context) -> dict[str, Any]:
    principal = request.principal
    return {
        "path": request.raw_path,
        "root_path": request.root_path,
        "url": request.url,
        "client_ip": request.client_ip,
        "params": request.params,
        "principal": principal and [principal.id, principal.scheme, principal.claims],
        "trace": ctx.trace and [str(ctx.trace), ctx.trace.state],
        "function": ctx.function,
        "region": ctx.region,
        "version": ctx.version,
        "remaining": ctx.remaining(),
        "cold": ctx.cold_start,
        "correlation_id": ctx.correlation_id,
    }


def context(parent: str = "", state: str = "") -> FunctionContext:
    return FunctionContext(TraceContext(parent, state))


def native(
    url: str = "https://example.com/api/a", headers: dict[str, str] | None = None, **route: str
) -> func.HttpRequest:
    return func.HttpRequest("GET", url, headers=headers or {}, params={}, route_params=route, body=b"")


def functions(app: func.FunctionApp) -> dict[str, func.decorators.function_app.Function]:
    return {each.get_function_name(): each for each in app.get_functions()}


def only(app: func.FunctionApp) -> Any:
    [function] = app.get_functions()
    return function.get_user_function()


def trigger(function: Any) -> dict[str, Any]:
    return function.get_trigger().get_dict_repr()  # type: ignore[no-any-return]  # azure-functions has it untyped


def seen(request: func.HttpRequest, surroundings: FunctionContext | None = None) -> Any:
    answered = only(entry(echo))(req=request, context=surroundings or context())
    assert answered.status_code == 200, answered.get_body()
    return json.loads(answered.get_body())


@portable(on.http("GET", "/items/{id}"))
def item(request: Request, ctx: Context) -> dict[str, str]:
    return {"handler": "item", "function": ctx.function, "id": request.params["id"]}


@portable(on.http(["POST", "PUT"], "/items/{id}"))
async def _change(request: Request, ctx: Context) -> dict[str, str]:
    return {"handler": "change", "function": ctx.function}


@portable(on.http("GET", "/items/new"), on.http("PROPFIND", "/files/{rest+}"))
def several(request: Request, ctx: Context) -> dict[str, str]:
    return {"handler": "several", "function": ctx.function}


@portable(on.http("GET", "/"))
def root(request: Request, ctx: Context) -> dict[str, str]:
    return {"handler": "root", "function": ctx.function}


ITEMS = [item, _change, several, root]


CLAIMS = {
    "auth_typ": "aad",
    "claims": [{"typ": "sub", "val": "s-1"}, {"typ": "roles", "val": "r"}],
    "name_typ": "n",
    "role_typ": "r",
}


def encoded(value: object) -> str:
    return b64encode(json.dumps(value).encode()).decode()


def received(handler: Any, method: str = "GET", path: str = "/") -> Answer:
    return deliver(handler, fake.request(method, path), to="azure")


FULL = "f=v; Expires=Wed, 02 Jan 2030 03:04:05 GMT; Max-Age=-1; Domain=example.com; Path=/p; Secure; HttpOnly; SameSite=None; Partitioned"


def streamed(
    target: str = "/api/items/a%20b",
    /,
    query: bytes = b"q=%2B&u=\xc3\xab",
    headers: list[tuple[bytes, bytes]] | None = None,
    parts: tuple[dict[str, Any], ...] = ({"type": "http.request"},),
    method: str = "PUT",
    **params: str,
) -> Any:
    sent = iter(parts)

    async def receive() -> dict[str, Any]:
        return next(sent, {"type": "http.disconnect"})

    scope = {
        "type": "http",
        "method": method,
        "path": target,
        "raw_path": target.encode(),
        "query_string": query,
        "headers": headers or [],
    }
    return SimpleNamespace(scope=scope, receive=receive, path_params=params)
