"""Register the Azure functions for HTTP."""

from __future__ import annotations

import inspect
import sys
from typing import Any

import pytest

from portable_fn import ConfigurationError, Request, on, portable
from portable_fn_azure import entry
from tests.azure.http_app import ITEMS, functions, item, only, root, trigger


def test_one_function_takes_all_paths_and_methods() -> None:
    app = functions(entry(ITEMS))
    assert list(app) == ["http"]
    assert trigger(app["http"])["route"] == "{*path}"
    assert methods(app["http"]) is None


def test_the_azure_function_is_async_if_one_handler_is() -> None:
    assert [inspect.iscoroutinefunction(only(entry(targets))) for targets in (ITEMS, [item, root])] == [True, False]


def test_with_one_function_each_the_last_of_a_path_takes_the_remaining_methods() -> None:
    app = functions(entry(ITEMS, one_function_each=True))
    assert {name: (trigger(function)["route"], methods(function)) for name, function in app.items()} == {
        "item": ("items/{id}", None),
        "change": ("items/{id}", ["POST", "PUT"]),
        "several": ("items/new", None),
        "several-2": ("files/{*rest}", None),
        "root": ("{nothing:maxlength(0)?}", None),
    }
    # One of the handlers is async, so all run on the worker's event loop.
    assert {inspect.iscoroutinefunction(function.get_user_function()) for function in app.values()} == {True}


def methods(function: Any) -> list[str] | None:
    names = trigger(function).get("methods")
    return None if names is None else [method.value for method in names]


@pytest.mark.parametrize("options", [{}, {"one_function_each": True}])
def test_the_worker_can_load_the_function(options: dict[str, Any]) -> None:
    for azure_function in entry(ITEMS, **options).get_functions():
        function: Any = azure_function.get_user_function()
        assert list(inspect.signature(function).parameters) == ["req", "context"]
        assert function.__annotations__ == {}
        assert not hasattr(function, "__wrapped__")


@pytest.mark.parametrize("level", ["anonymous", "function", "admin"])
def test_the_auth_level_is_azures_default_unless_set(level: Any) -> None:
    assert trigger(functions(entry(item, auth_level=level))["http"])["authLevel"].value == level
    assert trigger(functions(entry(item))["http"])["authLevel"].value == "function"


def test_an_unknown_auth_level_is_an_error() -> None:
    for level in ("open", None):
        with pytest.raises(ConfigurationError, match="'anonymous', 'function' or 'admin'"):
            entry(item, auth_level=level)  # type: ignore[arg-type]  # it is the test


def named(name: str, path: str = "/a") -> Any:
    def handler(request: Request) -> None: ...

    handler.__name__ = name
    return portable(on.http("GET", path))(handler)


@pytest.mark.parametrize(
    ("name", "legal"),
    [("a", "a"), ("Get_It2", "Get_It2"), ("_private", "private"), ("__größe__", "gr--e__"), ("<lambda>", "lambda")],
)
def test_a_name_is_made_legal(name: str, legal: str) -> None:
    assert list(functions(entry(named(name), one_function_each=True))) == [legal]


@pytest.mark.parametrize("name", ["host", "HOST", "_", "ж", "a" * 126])
def test_a_name_that_azure_cannot_have_is_an_error_with_one_function_each(name: str) -> None:
    assert list(functions(entry(named(name)))) == ["http"]
    with pytest.raises(ConfigurationError, match="can't be the name of an Azure function"):
        entry(named(name), one_function_each=True)


def test_two_functions_with_the_same_name_are_an_error() -> None:
    with pytest.raises(ConfigurationError, match="the name 'A' on Azure"):
        entry(named("a"), named("A", "/b"), one_function_each=True)


@pytest.mark.parametrize("path", ["/a//b", "/a%7Bb", "/{id}/{ID}"])
def test_a_path_that_azure_cannot_have_is_an_error_with_one_function_each(path: str) -> None:
    entry(named("a", path))
    with pytest.raises(ConfigurationError, match="Azure"):
        entry(named("a", path), one_function_each=True)


def test_the_error_names_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "azurefunctions.extensions.http.fastapi", None)
    with pytest.raises(ConfigurationError, match="azurefunctions-extensions-http-fastapi"):
        entry(item, streaming=True)
    monkeypatch.setitem(sys.modules, "azure.functions", None)
    with pytest.raises(ConfigurationError, match=r"portable-fn\[azure\]"):
        entry(item)
