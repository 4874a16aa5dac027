"""Read [tool.portable-fn] of a project's pyproject.toml for check, invoke and the pytest mark."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from portable_fn.cli import main
from portable_fn.errors import ConfigurationError
from portable_fn.providers import ADAPTERS
from portable_fn.testing.project import EVERY, project

pytest_plugins = ["pytester"]

APP = """
import asyncio
from portable_fn import Message, Request, Retry, on, portable

@portable(on.queue("orders"))
def ship(order: Message) -> None:
    if order.attempt == 1:
        raise Retry("busy", after=5)

@portable(on.http("GET", "/"))
def home(request: Request) -> str:
    return "home"

async def work() -> str:
    return "done"

@portable(on.http("GET", "/sync"))
def blocking(request: Request) -> str:
    return asyncio.run(work())

@portable(on.http("GET", "/async"))
async def nested(request: Request) -> str:
    import asyncio
    return asyncio.run(work())
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a project's folder and change to it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop_app.py").write_text(APP)
    return tmp_path


def settings(folder: Path, text: str) -> None:
    (folder / "pyproject.toml").write_text(f"[tool.portable-fn]\n{text}\n")


def findings(capsys: pytest.CaptureFixture[str], *options: str) -> list[dict[str, Any]]:
    main(["check", "shop_app.py:ship", "--output", "json", *options])
    all_findings: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["findings"]
    return all_findings


def test_without_the_table_a_project_is_for_every_provider(folder: Path) -> None:
    assert EVERY == project()
    settings(folder, "")
    assert EVERY == project()
    (folder / "pyproject.toml").write_text("[project]\nname = 'shop'\n")
    assert EVERY == project()


def test_the_nearest_pyproject_counts(folder: Path) -> None:
    settings(folder, 'providers = ["gcp"]')
    (folder / "deeper" / "still").mkdir(parents=True)

    assert ("gcp",) == project(folder / "deeper" / "still").providers


def test_check_covers_only_the_projects_providers_and_services(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert {"aws", "azure"} < {finding["provider"] for finding in findings(capsys)}

    settings(folder, 'providers = ["aws"]\nservices = {aws = ["sqs", "http_api"]}')

    assert [] == findings(capsys)
    assert {"azure"} == {finding["provider"] for finding in findings(capsys, "--for", "azure")}
    assert ["activemq"] == findings(capsys, "--via", "aws=activemq")[0]["services"]


def test_invoke_uses_the_projects_providers_and_services(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings(folder, 'providers = ["aws", "gcp"]\nservices = {aws = ["alb", "rest_api", "sqs"]}')
    main(["invoke", "shop_app.py:home", "--output", "json"])
    exchanges = json.loads(capsys.readouterr().out)["exchanges"]
    assert [("aws", "alb"), ("aws", "rest_api"), ("gcp", None)] == [
        (exchange["provider"], exchange["service"]) for exchange in exchanges
    ]

    main(["invoke", "shop_app.py:home", "--output", "json", "--as", "all"])
    exchanges = json.loads(capsys.readouterr().out)["exchanges"]
    assert list(ADAPTERS) == [exchange["provider"] for exchange in exchanges]


@pytest.mark.slow
def test_the_mark_for_all_uses_the_projects_providers(pytester: pytest.Pytester) -> None:
    settings(pytester.path, 'providers = ["aws", "asgi"]\nservices = {aws = ["kinesis", "rest_api", "sqs_fifo"]}')
    pytester.makepyfile(shop_app=APP)
    pytester.makepyfile(
        """
        import pytest
        from portable_fn.testing import fake
        from shop_app import home, ship

        @pytest.mark.providers("all")
        def test_home(deliver):
            native = deliver(home, fake.request("GET", "/")).native_request
            assert deliver.provider == "asgi" or "resource" in native

        @pytest.mark.providers("all")
        def test_ship(deliver):
            delivery = deliver(ship, fake.message({}, attempt=2, key="a"))
            assert deliver.provider == "asgi" or "kinesis" in str(delivery.native_requests[0])

        @pytest.mark.providers("aws/sqs")
        def test_ship_by_sqs(deliver):
            delivery = deliver(ship, fake.message({}, attempt=2))
            assert "aws:sqs" in str(delivery.native_requests[0])
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-q")

    result.assert_outcomes(passed=5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('provider = ["aws"]', "'provider' (is it 'providers'?); possible are providers and services"),
        ('providers = "aws"', "must be a list of names, not 'aws'"),
        ('providers = ["awss"]', "no provider 'awss' (is it 'aws'?)"),
        ('services = ["sqs"]', "must be a table such as"),
        ('services = {aws = ["sqss"]}', "aws has no service 'sqss' (is it 'sqs'?)"),
        ('services = {ibm = ["mq"]}', "has services of 'ibm', which isn't one of its providers"),
        (
            'providers = ["aws"]\nservices = {gcp = ["pubsub_push"]}',
            "has services of 'gcp', which isn't one of its providers",
        ),
        ('providers = ["google"]', "no provider 'google' (is it 'gcp'?)"),
        ("providers = [", "can't be read"),
    ],
)
def test_an_unreadable_table_is_an_error_with_its_file(
    folder: Path, text: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings(folder, text)

    with pytest.raises(ConfigurationError) as caught:
        project()
    assert message in str(caught.value)
    assert str(folder / "pyproject.toml") in str(caught.value)
    assert 2 == main(["check", "shop_app.py"])
    assert message in capsys.readouterr().err


def test_check_sees_asyncio_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def event_loop_findings(*options: str) -> list[tuple[str, str, int]]:
        main(["check", "shop_app.py", "--output", "json", *options])
        output = json.loads(capsys.readouterr().out)["findings"]
        return [
            (finding["function"], finding["provider"], finding["line"])
            for finding in output
            if finding["feature"] == "event loop"
        ]

    assert [("blocking", "cloudflare", 19), ("nested", "aws", 24), ("nested", "cloudflare", 24)] == sorted(
        event_loop_findings("--for", "aws,cloudflare")
    )
    assert ("blocking", "aws", 19) in event_loop_findings("--for", "aws", "--all")


def test_check_wraps_words_for_a_terminal(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["check", "shop_app.py"])
    in_pipe = capsys.readouterr().out
    assert max(map(len, in_pipe.splitlines())) > 80

    monkeypatch.setattr("portable_fn.cli.command.get_terminal_size", lambda: type("Size", (), {"columns": 80}))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    main(["check", "shop_app.py"])
    on_terminal = capsys.readouterr().out
    assert max(map(len, on_terminal.splitlines())) <= 80
    assert in_pipe.split() == on_terminal.split()


@pytest.mark.parametrize(
    "kind", ["message", "Message", "messages", "queue", "topic", "cloud-event", "CloudEvent", "event"]
)
def test_a_kind_has_the_same_words_in_every_command(
    folder: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 0 == main(["providers", "--kind", kind, "--provider", "aws"])
    assert 0 == main(["render", kind, "--to", "aws"])
    capsys.readouterr()


def test_a_near_miss_gets_a_suggestion(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, meant in (
        (["invoke", "shop_app.ship"], "is it shop_app:ship?"),
        (["invoke", "shop_app.py.ship"], "is it shop_app.py:ship?"),
        (["invoke", "shop_app.py:shipp"], "(is it 'ship'?)"),
        (["invoke", "shop_app.py:home", "-X", "gte"], "is it 'GET'?"),
        (["render", "mesage"], "(is it 'message'?)"),  # codespell:ignore mesage
        (["providers", "--kind", "shedule"], "(is it 'schedule'?)"),  # codespell:ignore shedule
    ):
        assert 2 == main(arguments)
        assert meant in capsys.readouterr().err


def test_completion_is_available(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    output = capsys.readouterr().out
    assert "--install-completion" in output
    assert "--show-completion" in output
