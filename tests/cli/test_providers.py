"""Print the matrix of what each service can do: `portable-fn providers`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from portable_fn.adapter.capabilities import FEATURES, Service, emulated, impossible, native
from portable_fn.cli.declared import Declared
from portable_fn.cli.matrix import ON_A_PAGE, markdown, matrices
from portable_fn.providers import ADAPTERS

pytestmark = pytest.mark.usefixtures("folder")


def test_the_matrix_has_a_table_for_each_kind_with_numbered_notes(run: Any) -> None:
    code, out, _ = run("providers", "--provider", "toy_cloud,toy_island", "--kind", "message")

    assert 0 == code
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in out.splitlines() if line.startswith("│")]
    assert [
        ["", "toy_cloud", "toy_cloud", "toy_cloud", "toy_island"],
        ["", "line", "pigeon", "hub", "boat"],
        ["Message", "queue", "queue", "stream", "queue"],
        ["partial failure", "✓", "✓", "no 1", "✓"],
        ["retry", "✓", "✓", "emulated 2", "✓"],
        ["retry delay", "✓ 3", "no 4", "", ""],
        ["reject", "emulated 5", "emulated 5", "", ""],
        ["order", "", "", "✓", ""],
        ["attempt count", "✓*", "✓*", "", ""],
        ["batch", "", "", "✓", ""],
        ["attributes", "✓", "lost 6", "", ""],
    ] == rows
    notes = [line.strip() for line in out.splitlines() if line[:3].strip().isdigit()]
    assert [
        "1 all or nothing",
        "2 a declared policy repeats it (only with retry= on the trigger; otherwise it is lost)",
        "3 up to 12 hours",
        "4 it comes when it comes",
        "5 sent on by the adapter (only with dead_letter= on the trigger)",
        "6 it carries one thing",
    ] == notes


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_no_line_of_the_matrix_is_wider_than_the_terminal_and_nothing_is_cut(
    run: Any, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    _, out, _ = run("providers", "--provider", "toy_cloud")

    assert width >= max(map(len, out.splitlines()))
    for text in ("partial failure", "│ emulated ", "pigeon", "schedule", "before-image"):
        assert text in out
    assert "…" not in out


def test_the_matrix_as_json_has_every_declaration(run: Any) -> None:
    _, out, _ = run("providers", "--provider", "toy_cloud,toy_silent", "--kind", "ChangeEvent", "--output", "json")

    assert {
        "services": [
            {
                "provider": "toy_cloud",
                "name": "feed",
                "kind": "ChangeEvent",
                "word": "change",
                "features": {
                    "retry": {
                        "level": "native",
                        "note": "",
                        "loses": False,
                        "needs": "",
                        "setting": "",
                        "by_documentation": False,
                    },
                    "before-image": {
                        "level": "impossible",
                        "note": "it has the row as it is now",
                        "loses": False,
                        "needs": "",
                        "setting": "",
                        "by_documentation": False,
                    },
                    "deletes": {
                        "level": "impossible",
                        "note": "it never tells of them",
                        "loses": True,
                        "needs": "",
                        "setting": "",
                        "by_documentation": False,
                    },
                },
            }
        ],
        "undeclared": ["toy_silent"],
    } == json.loads(out)


def test_the_matrix_as_markdown_keeps_its_tables_narrow_and_its_notes_readable() -> None:
    features = {"reject": impossible("a | b <c>", loses=True, by_documentation=True), "retry": native()}
    services = tuple(Service(f"s{number}", "Message", "queue", features) for number in range(ON_A_PAGE + 1))
    text = markdown([Declared("toy", services)], heading="###")

    header, *rest = [line for line in text.splitlines() if line.startswith("|  |")]
    assert ON_A_PAGE + 2 == header.count("|")
    assert ["|  | `s8`<br>queue |"] == rest
    # Each table has its notes below it.
    assert 2 == text.count("\n1. a \\| b \\<c\\>\n")
    assert "| retry | ✓ |\n| reject | **lost\\*** (1) |" in text
    assert "\n### Message\n" in text


def test_a_kind_without_services_has_no_table(run: Any) -> None:
    assert (0, "No service sends a Task.\n", "") == run("providers", "--provider", "toy_island", "--kind", "Task")


@pytest.mark.parametrize("provider", ["toy_silent", "toy_single"])
def test_a_provider_whose_adapter_declares_nothing_is_named(run: Any, provider: str) -> None:
    assert (0, f"Not declared yet: {provider}.\n", "") == run("providers", "--provider", provider)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("providers", "--provider", "nowhere"), "no provider 'nowhere'; possible are aws"),
        (("providers", "--provider", ","), "--provider names no provider"),
        (("providers", "--kind", "Mail"), "--kind: no kind 'Mail'; possible are request, message"),
        (("providers", "--kind", "Batch"), "--kind: no kind 'Batch'"),
        (("providers", "--output", "yaml"), "yaml"),
        (("check", "toy_app.py", "--for", "nowhere"), "no provider 'nowhere'"),
        (("check", "toy_app.py", "--for", "toy_cloud", "--via", "toy_cloud"), "must be provider=service"),
        (("check", "toy_app.py", "--for", "toy_cloud", "--via", "aws=sqs"), "providers are toy_cloud"),
        (("check", "toy_app.py", "--for", "toy_cloud", "--via", "toy_cloud=owl"), "possible are web, line, pigeon"),
        (("check", "no_app.py", "--for", "toy_cloud"), "no such file: no_app.py"),
        (("check", "toy_app.py:nothing", "--for", "toy_cloud"), "no function 'nothing'"),
    ],
)
def test_an_unclear_command_is_one_line_and_exit_code_2(run: Any, arguments: tuple[str, ...], message: str) -> None:
    code, out, err = run(*arguments)

    assert (2, "", 1) == (code, out, err.removeprefix("imported\n").count("\n"))
    assert message in err


def test_no_adapters_capabilities_need_its_providers_sdk(run: Any) -> None:
    code = (
        "import sys\n"
        "for name in ('azure', 'azure.functions', 'flask', 'functions_framework', 'boto3', 'awslambdaric', 'uvicorn',"
        " 'starlette', 'workers', 'js', 'pyodide'): sys.modules[name] = None\n"
        "from portable_fn.cli import main\n"
        "sys.exit(main(['providers', '--output', 'json']))"
    )
    import portable_fn
    import portable_fn_aws

    roots = [str(Path(str(module.__file__)).parents[1]) for module in (portable_fn, portable_fn_aws)]
    code = f"import sys; sys.path[:0] = {roots!r}\n{code}"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (0, "") == (result.returncode, result.stderr)
    shown = json.loads(result.stdout)
    assert set(ADAPTERS) == {service["provider"] for service in shown["services"]} | set(shown["undeclared"])


def test_the_features_of_a_matrix_stand_in_the_order_of_all_features() -> None:
    features = {"a new one": native(), "reply": native(), "retry": native(), "reject": emulated("so")}
    (matrix,) = matrices([Declared("toy", (Service("s", "CloudEvent", "event", features),))])

    assert ("retry", "reject", "reply", "a new one") == matrix.features
    assert FEATURES.index("retry") < FEATURES.index("reject") < FEATURES.index("reply")
