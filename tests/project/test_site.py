"""The documentation's site: what it does to links, and that its pages load nothing from another host."""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
from pathlib import Path

import pytest

import portable_fn
import portable_fn.testing
from portable_fn import on
from portable_fn.providers import ADAPTERS

ROOT = Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("site_hooks", ROOT / "tools" / "site.py")
assert spec
assert spec.loader
hooks = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = hooks
spec.loader.exec_module(hooks)


@pytest.mark.parametrize(
    ("source", "text", "expected"),
    [
        ("project/readme.md", "[HTTP](docs/reference/http.md#cookies)", "[HTTP](../reference/http.md#cookies)"),
        ("project/readme.md", "[help](CONTRIBUTING.md)", "[help](contributing.md)"),
        ("reference/aws.md", "[deploy](../how-to/deploy-aws.md)", "[deploy](../how-to/deploy-aws.md)"),
        ("reference/aws.md", "[help](../../CONTRIBUTING.md#a)", "[help](../project/contributing.md#a)"),
        ("reference/aws.md", "[the shop](../../samples/hello)", "the shop (`samples/hello`)"),
        ("reference/aws.md", "[samples/hello](../../samples/hello)", "samples/hello"),
        ("reference/aws.md", "[nowhere](../nowhere.md)", "[nowhere](../nowhere.md)"),
        ("reference/aws.md", "[web](https://example.com/a.md)", "[web](https://example.com/a.md)"),
        ("reference/aws.md", "[above](#what-to-set)", "[above](#what-to-set)"),
        ("project/readme.md", "`[a](docs/index.md)`", "`[a](docs/index.md)`"),
        (
            "index.md",
            "```\n[a](../README.md)\n```\n[a](../README.md)",
            "```\n[a](../README.md)\n```\n[a](project/readme.md)",
        ),
    ],
)
def test_a_link_leads_to_a_page_of_the_site(source: str, text: str, expected: str) -> None:
    assert expected == hooks.site_links(text, source)


def documented(page: str) -> list[str]:
    """Return the names that a page of the API shows."""
    return re.findall(r"^::: ([\w.]+)$", (ROOT / "docs" / "reference" / page).read_text(), re.MULTILINE)


def test_the_api_page_has_every_public_name() -> None:
    public = {f"portable_fn.{name}" for name in portable_fn.__all__ if name != "on"}

    assert public == {name for name in documented("api.md") if re.fullmatch(r"portable_fn\.\w+", name)}


def test_the_api_page_has_every_trigger() -> None:
    returns = {name: one.__annotations__.get("return", "") for name, one in vars(on).items() if inspect.isfunction(one)}
    triggers = {f"portable_fn.on.{name}" for name, one in returns.items() if one.endswith("Trigger") and name[0] != "_"}

    assert triggers | {"portable_fn.on.RetryPolicy"} == {
        name for name in documented("api.md") if name.startswith("portable_fn.on.")
    }


def test_the_api_page_has_every_provider_s_entry() -> None:
    entries = {f"{module}.entry.entry" for module in ADAPTERS.values()}

    assert entries == {name for name in documented("api.md") if name.endswith(".entry")}


def test_the_testing_page_has_every_public_name() -> None:
    public = {f"portable_fn.testing.{name}" for name in portable_fn.testing.__all__ if name != "fake"}
    fakes = {name for name in documented("api-testing.md") if name.startswith("portable_fn.testing.fake.")}

    assert public <= set(documented("api-testing.md"))
    assert {
        f"portable_fn.testing.fake.{name}"
        for name, one in vars(portable_fn.testing.fake).items()
        if inspect.isfunction(one) and one.__module__ == "portable_fn.testing.fake" and name[0] != "_"
    } == fakes


def test_the_adapter_page_has_every_public_module() -> None:
    folder = Path(portable_fn.__file__).parent / "adapter"
    public = {f"portable_fn.adapter.{file.stem}" for file in folder.glob("*.py") if "\n__all__ = " in file.read_text()}

    assert public == set(documented("api-adapter.md"))


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://unpkg.com/mermaid"></script>',
        '<img src="//host/a.png">',
        '<img srcset="https://host/a.png 2x">',
        '<link rel="stylesheet" href="https://fonts.googleapis.com/css">',
        '<link rel="preconnect" href="https://fonts.gstatic.com">',
        "<style>@import 'https://host/a.css';</style>",
        "<style>p { background: url(https://host/a.png) }</style>",
        '<p style="background: url(//host/a.png)">',
        '<pre class="mermaid"><code>graph LR</code></pre>',
        '<a data-md-component="source" href="https://github.com/a/b">',
        '<iframe src="http://host/"></iframe>',
    ],
)
def test_requests_to_other_hosts_are_found(html: str) -> None:
    assert 1 == len(hooks.external_requests(html))


@pytest.mark.parametrize(
    "html",
    [
        '<a href="https://example.com">a link only</a>',
        '<link rel="canonical" href="https://example.com">',
        '<link rel="stylesheet" href="assets/a.css"><script src="../a.js"></script><img src="a.svg">',
        "<style>p { color: red }</style><p>url(https://example.com)</p>",
    ],
)
def test_local_files_and_links_are_allowed(html: str) -> None:
    assert [] == hooks.external_requests(html)


@pytest.mark.parametrize(
    "text", ["<p>An item:\n- one</p>", "<p>First:\n1. one</p>", "<p>| a | b |\n|---|---|</p>", "<p>```py</p>"]
)
def test_markdown_that_only_github_reads_is_found(text: str) -> None:
    assert 1 == len(hooks.unread_markdown(f"<article>{text}</article>"))


def test_plain_text_passes() -> None:
    assert [] == hooks.unread_markdown(
        "<article><p>5 - 3 = 2\nand 2 | 3, status\n500. Or</p><pre>- a\n- b</pre></article>"
    )


def test_the_settings_page_has_every_variable_in_the_code() -> None:
    packages = [importlib.util.find_spec(name) for name in ("portable_fn", *ADAPTERS.values())]
    folders = [Path(spec.origin).parent for spec in packages if spec and spec.origin]
    files = [file for folder in folders for file in folder.rglob("*.py")]
    read = {name for file in files for name in re.findall(r"PORTABLE_FN_[A-Z_]*[A-Z]", file.read_text())}
    page = (ROOT / "docs" / "reference" / "settings.md").read_text()

    assert read == set(re.findall(r"^\| `(PORTABLE_FN_[A-Z_]+)`", page, re.MULTILINE))


def test_the_command_line_s_page_has_what_help_prints() -> None:
    pytest.importorskip("typer", exc_type=ModuleNotFoundError)
    from tests.project.cli_page import PAGE, page

    assert PAGE.read_text() == page(), "python -m tests.project.cli_page writes it again"
