"""A smoke test on the other Pythons, with the standard library alone: `make test-python PY=3.14` runs all fast tests there."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from tests.runtimes.environments import ROOT, Unavailable
from tools.interpreter import interpreter

pytestmark = pytest.mark.runtime

CODE = """
import importlib, json, pkgutil, sys
import portable_fn, portable_fn_asgi, portable_fn_aws, portable_fn_azure, portable_fn_cloudflare, portable_fn_gcp
from portable_fn import Message, Reject, Request, Response, Retry, on, portable, wsgi_app
from portable_fn.testing import deliver, fake

missing, broken = set(), []
for package in (portable_fn, portable_fn_asgi, portable_fn_aws, portable_fn_azure, portable_fn_cloudflare, portable_fn_gcp):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.", broken.append):
        if module.name.endswith((".__main__", ".native")):
            continue
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as exc:
            missing.add(exc.name.partition(".")[0])

@portable(on.http("GET", "/hello/{name}"))
async def hello(request: Request) -> Response:
    async def chunks():
        yield b"Hello, "
        yield request.params["name"]
    return Response(200, {"x-a": "1"}, {"c": "2"}, chunks())

@portable(on.queue("orders", dead_letter="dead"))
def ship(order: Message) -> None:
    if order.data != "lamp":
        raise Reject("unknown") if order.data == "sofa" else Retry("busy", after=5)

@portable(on.queue("batches"), concurrency=2)
async def many(order: Message) -> None: ...

def shop(environ, start_response):
    start_response("200 OK", [])
    return [environ["PATH_INFO"].encode()]

bodies = [deliver(hello, fake.request("GET", "/hello/Ada"), to=to).body.decode() for to in ("aws", "asgi", "cloudflare")]
orders = [fake.message(sku, channel="orders") for sku in ("lamp", "sofa", "chair")]
outcomes = [[deliver(ship, order, to=to).outcomes[0] for order in orders] for to in ("aws", "cloudflare")]
print(json.dumps({
    "missing": sorted(missing), "broken": broken, "bodies": bodies, "outcomes": outcomes,
    "many": deliver(many, fake.message(1, channel="batches"), to="aws").outcomes,
    "wsgi": deliver(wsgi_app(shop), fake.request("GET", "/a"), to="aws").body.decode(),
}))
"""


@pytest.mark.parametrize("version", ["3.12", "3.13", "3.14"])
def test_every_module_is_imported_and_handlers_run(version: str) -> None:
    try:
        python = interpreter(version)
    except Unavailable as exc:
        pytest.skip(str(exc))
    variables = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'adapters'}"}
    variables.pop("PYTHONHOME", None)
    command = [python, "-S", "-W", "error", "-X", "dev", "-c", CODE]
    done = subprocess.run(command, check=False, env=variables, capture_output=True, text=True, timeout=120)
    assert 0 == done.returncode, done.stderr
    assert "Exception ignored" not in done.stderr
    results = json.loads(done.stdout)
    extras = {"azure", "functions_framework", "hypothesis", "multipart", "pydantic", "pytest", "rich", "typer"}
    assert set(results.pop("missing")) <= extras
    assert {
        "broken": [],
        "bodies": ["Hello, Ada"] * 3,
        "outcomes": [["acknowledged", "dead-lettered", "retried"]] * 2,
        "many": ["acknowledged"],
        "wsgi": "/a",
    } == results
