"""The public names of portable_fn, and what importing them costs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest

import portable_fn
import portable_fn.adapter
import portable_fn.testing
from portable_fn import Context, Message, portable
from portable_fn.adapter.batch import Consumer
from portable_fn.adapter.binding import bindings
from portable_fn.adapter.dispatch import Dispatcher
from portable_fn.context import observer
from portable_fn.outcomes import DONE
from portable_fn.testing import fake

ROOT = Path(__file__).parents[2]
HEAVY = {
    "typing",
    "dataclasses",
    "inspect",
    "asyncio",
    "email",
    "http.client",
    "uuid",
    "zoneinfo",
    "pydantic",
    "logging",
}


def imported(code: str, *, site: bool = False) -> set[str]:
    """Return the modules that a new process has loaded after the code; `site` gives it the installed packages."""
    script = f"import sys; sys.path[:0] = {[str(ROOT / 'src'), str(ROOT / 'adapters')]!r}\n{code}\nprint(*sys.modules)"
    command = [sys.executable, "-I", *(() if site else ("-S",)), "-c", script]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


def test_all_names_are_sorted_there_and_all_that_is_public() -> None:
    assert sorted(portable_fn.__all__) == portable_fn.__all__ == dir(portable_fn)
    assert all(getattr(portable_fn, name) for name in portable_fn.__all__)
    # pytest adds names such as "@pytest_ar" to modules of a distribution with a plugin.
    public = {
        name for name in vars(portable_fn) if name[0] not in "_@" and name not in sys.modules["portable_fn"].__all__
    }
    modules = {name for name in public if f"portable_fn.{name}" in sys.modules}
    assert public - modules == {"TYPE_CHECKING"}


def test_importing_the_package_and_the_aws_adapter_imports_nothing_heavy() -> None:
    lazily = {"Trace", "Upload", "asgi_app", "cors", "wsgi_app"}
    names = ", ".join(name for name in portable_fn.__all__ if name not in lazily)
    assert imported(f"from portable_fn import {names}\nimport portable_fn_aws") & HEAVY == set()


def test_answering_a_request_on_aws_imports_nothing_heavy() -> None:
    code = """
from portable_fn import Context, Request, on, portable

@portable(on.http("GET", "/hello/{name}"))
def hello(request: Request, ctx: Context) -> dict:
    return {"hello": request.params["name"], "a": request.query["a"], "h": request.headers["h"], "c": request.cookies["c"]}

class LambdaContext:
    aws_request_id = function_name = function_version = invoked_function_arn = "x"

payload = {
    "version": "2.0", "rawPath": "/hello/Ada", "rawQueryString": "a=1", "headers": {"h": "1"}, "cookies": ["c=1"],
    "requestContext": {"http": {"method": "GET", "sourceIp": "192.0.2.1"}, "requestId": "r", "timeEpoch": 0},
}
answer = hello(payload, LambdaContext())
assert answer["statusCode"] == 200, answer
"""
    assert imported(code) & (HEAVY | {"aws_lambda_powertools", "urllib.parse", "base64"}) == set()


# Cloudflare's entry imports modules that only Workers have.
WORKERS = """
import types
for name in ("js", "pyodide", "pyodide.ffi", "workers"):
    sys.modules[name] = types.ModuleType(name)
sys.modules["pyodide"].ffi = sys.modules["pyodide.ffi"]
sys.modules["workers"].WorkerEntrypoint = type("WorkerEntrypoint", (), {})
"""
FORBIDDEN = (
    "batch", "cookies", "dead_letter", "dispatch", "drivers", "events.entry", "logs", "mount", "recorder", "redaction", "simulate",
    "testing", "whole_batch",
)  # fmt: skip


@pytest.mark.parametrize("provider", ["asgi", "aws", "azure", "cloudflare", "gcp"])
def test_an_http_function_loads_at_most_22_of_our_modules_and_none_for_events(provider: str) -> None:
    code = f"""
from portable_fn import Request, Response, on, portable
from portable_fn_{provider} import entry

@portable(on.http("GET", "/hello/{{name}}"))
def hello(request: Request) -> Response:
    return Response.text("hello")

entry(hello)
"""
    loaded = imported((WORKERS if provider == "cloudflare" else "") + code, site=provider == "azure")
    ours = sorted(name for name in loaded if name.startswith("portable_fn"))
    assert len(ours) <= 22, ours
    assert [] == [name for name in ours if name.endswith(tuple(f".{part}" for part in FORBIDDEN))]


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    assert not hasattr(portable_fn, "nonsense")


# The modules of portable_fn.adapter that other modules of it use, and adapters don't.
INTERNAL = {"admission", "failures", "stepping", "whole_batch"}


def documented(page: str) -> set[str]:
    """Return the names that a page of the API reference documents."""
    return set(re.findall(r"^::: (\S+)", (ROOT / "docs" / "reference" / page).read_text(), re.MULTILINE))


def adapter_modules() -> set[str]:
    return {module.name for module in iter_modules(portable_fn.adapter.__path__)}


def test_the_api_reference_documents_every_public_name_and_no_other() -> None:
    names = {name.split(".")[1] for name in documented("api.md") if name.startswith("portable_fn.")}
    assert set(portable_fn.__all__) == names - {"adapter", "testing"}


def test_the_api_reference_documents_every_public_name_for_tests() -> None:
    names = {name.split(".")[2] for name in documented("api-testing.md")}
    assert set(portable_fn.testing.__all__) == names - {"results", "strategies"}


def test_the_api_reference_documents_every_public_module_for_adapters() -> None:
    names = {name.split(".")[2] for name in documented("api-adapter.md")}
    assert adapter_modules() - INTERNAL == names


def test_public_modules_list_their_public_names() -> None:
    modules = [f"portable_fn.adapter.{name}" for name in adapter_modules() - INTERNAL]
    modules += [f"portable_fn.{module.name}" for module in iter_modules(portable_fn.__path__) if not module.ispkg]
    for name in sorted({*modules} - {"portable_fn.__main__", "portable_fn.mount_wsgi", "portable_fn.record"}):
        module = import_module(name)
        assert [public for public in module.__all__ if not hasattr(module, public)] == [], name
        assert [public for public in module.__all__ if public.startswith("_")] == [], name


@pytest.mark.parametrize("provider", ["asgi", "aws", "azure", "cloudflare", "gcp", "toy"])
def test_an_adapter_imports_only_public_names_of_the_core(provider: str) -> None:
    folder = ROOT / ("tests" if provider == "toy" else "adapters") / f"portable_fn_{provider}"
    private = []
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("portable_fn.adapter."):
                continue
            module = import_module(node.module or "")
            # Types that only type checkers see aren't in `__all__`.
            names = [alias.name for alias in node.names if hasattr(module, alias.name)]
            private += [(path.name, module.__name__, name) for name in names if name not in module.__all__]
    assert [] == private


def test_the_testing_kit_replaces_nothing_in_production_classes() -> None:
    code = """
from portable_fn import Context, Message, ScheduleEvent, on, portable
from portable_fn.adapter.batch import Consumer

def attributes():
    return [dict(vars(kind)) for kind in (Consumer, Context, Message, ScheduleEvent)]

before, seen = attributes(), []

from portable_fn.testing import deliver, fake

@portable(on.queue("orders"))
def ship(order: Message) -> None:
    seen.append(attributes())

deliver(ship, fake.message({}, channel="orders"))
assert [before] == seen and before == attributes()
"""
    imported(code, site=True)


def test_observers_see_background_work_and_the_outcome_of_each_event() -> None:
    events: list[tuple[object, object]] = []
    works: list[object] = []

    class Watching:
        def background(self, coroutine: Any) -> Any:
            works.append(coroutine)
            return coroutine

        def handled(self, items: Any, outcomes: Any) -> None:
            events.extend(zip(items, outcomes, strict=True))

    async def work() -> None: ...

    @portable
    def ship(order: Message, ctx: Context) -> None:
        ctx.background(work())

    message = fake.message({})
    token = observer.set(Watching())
    try:
        context = Context()
        assert [DONE] == Consumer(Dispatcher(bindings(ship))).handle([message], context)
    finally:
        observer.reset(token)
    assert [(message, DONE)] == events
    assert works == context.pending
    works[0].close()  # type: ignore[attr-defined]  # a coroutine
