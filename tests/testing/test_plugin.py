"""Run the pytest plugin in separate pytest processes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]

pytest_plugins = ["pytester"]

APP = """
import asyncio
import pytest
from portable_fn import CloudEvent, Message, Reject, Request, Retry, Task, on, portable
from portable_fn.testing.results import Delivery, EventResult

@portable
async def ship(order: Message) -> None:
    await asyncio.sleep(0)
    if order.data == "bad":
        raise ValueError("no such sku")
    if order.data == "busy":
        raise Retry("busy", after=30)
    if order.data == "unknown":
        raise Reject("unknown sku")

@portable
def add(numbers: Task) -> int:
    return sum(numbers.data)

@portable
def hello(request: Request) -> str:
    return "hello"
"""
INI = """
[pytest]
addopts = --strict-markers --strict-config -p no:cacheprovider
filterwarnings = error
asyncio_default_fixture_loop_scope = function
"""


def run(pytester: pytest.Pytester, tests: str, *arguments: str) -> pytest.RunResult:
    """Run pytest on a file with the tests, with the plugin as pip installs it."""
    pytester.makeini(INI)
    pytester.makepyfile(app=APP, test_app=f"import pytest\nfrom app import *\n{tests}")
    return pytester.runpytest_subprocess(*arguments)


def test_the_mark_runs_a_test_once_for_each_provider(pytester: pytest.Pytester) -> None:
    tests = """
@pytest.mark.providers("aws", "gcp")
def test_ship(deliver, fake): ...

@pytest.mark.providers("aws/sqs", "aws/s3/sns/sqs", "aws")
def test_services(deliver): ...

@pytest.mark.parametrize("data", ["a", "b"])
@pytest.mark.providers("gcp")
def test_more(deliver, data): ...

@pytest.mark.providers("all", "gcp")
class TestAll:
    def test_all(self, deliver): ...

    @pytest.mark.providers("asgi")
    def test_one(self, deliver): ...

@pytest.fixture
def shop(deliver):
    return deliver

@pytest.mark.providers("asgi")
def test_by_another_fixture(shop):
    assert "asgi" == shop.provider
"""
    result = run(pytester, tests, "--collect-only", "-q")
    ids = [line.removeprefix("test_app.py::") for line in result.outlines if line.startswith("test_app.py::")]
    assert [
        "test_ship[aws]",
        "test_ship[gcp]",
        "test_services[aws/sqs]",
        "test_services[aws/s3/sns/sqs]",
        "test_services[aws]",
        "test_more[gcp-a]",
        "test_more[gcp-b]",
        "TestAll::test_all[aws]",
        "TestAll::test_all[gcp]",
        "TestAll::test_all[azure]",
        "TestAll::test_all[cloudflare]",
        "TestAll::test_all[asgi]",
        "TestAll::test_one[asgi]",
        "test_by_another_fixture[asgi]",
    ] == ids
    result = run(pytester, tests, "test_app.py::test_services[aws/sqs]")
    result.assert_outcomes(passed=1)


def test_deliver_sends_to_the_provider_of_the_mark(pytester: pytest.Pytester) -> None:
    tests = """
SEEN = []

@pytest.mark.providers("aws", "aws/kinesis", "gcp", "azure/storage_queue", "cloudflare", "asgi")
def test_ship(deliver, fake):
    delivery = deliver(ship, fake.message({"sku": "A1"}))
    assert ["acknowledged"] == delivery.outcomes
    SEEN.append((deliver.provider, deliver.service, str(delivery.native_requests)))

def test_natively():
    providers = [(provider, service) for provider, service, _ in SEEN]
    assert [("aws", None), ("aws", "kinesis"), ("gcp", None), ("azure", "storage_queue"), ("cloudflare", None), ("asgi", None)] == providers
    assert ["aws:sqs" in native for _, _, native in SEEN] == [True, False, False, False, False, False]
    assert ["aws:kinesis" in native for _, _, native in SEEN] == [False, True, False, False, False, False]

def test_without_the_mark_it_is_aws(deliver, fake):
    assert "aws:sqs" in str(deliver(ship, fake.message()).native_requests)

@pytest.mark.providers("aws/kinesis")
def test_a_test_may_name_another_place(deliver, fake):
    assert "aws:sqs" in str(deliver(ship, fake.message(), via="sqs").native_requests)
    assert ["acknowledged"] == deliver(ship, fake.message(), to="asgi").outcomes
    assert ["asgi", "aws"] == sorted(deliver(ship, fake.message(), to=["asgi", "aws"]))
    assert {"hello"} == {answer.text for answer in deliver(hello, fake.request(), to="all").values()}

@pytest.mark.providers("all")
def test_requests_and_tasks(deliver, fake):
    assert "hello" == deliver(hello, fake.request()).text
    assert 3 == deliver(add, fake.task([1, 2])).result
"""
    run(pytester, tests).assert_outcomes(passed=14)


def test_a_test_gets_our_fixtures_unless_it_defines_its_own(pytester: pytest.Pytester) -> None:
    tests = """
def test_fixtures(fake, context):
    from portable_fn import Context
    from portable_fn.testing import fake as module
    assert module is fake
    assert Context is type(context)
    assert "invocation-1" == context.invocation_id

class TestOwn:
    @pytest.fixture
    def context(self):
        return "my own"

    def test_context(self, context):
        assert "my own" == context
"""
    run(pytester, tests).assert_outcomes(passed=2)
    run(pytester, tests, "-p", "no:portable_fn").assert_outcomes(passed=1, errors=1)


@pytest.mark.parametrize(("plugin", "backends"), [("asyncio", [""]), ("anyio", ["asyncio", "trio"])])
def test_async_tests_may_use_the_fixtures(pytester: pytest.Pytester, plugin: str, backends: list[str]) -> None:
    tests = f"""
import anyio

@portable
async def wait(order: Message) -> str:
    await anyio.sleep(0)
    return "waited"

@pytest.mark.{plugin}
@pytest.mark.providers("all")
async def test_ship(deliver, fake, context):
    await anyio.sleep(0)
    assert ["acknowledged"] == deliver(wait, fake.message()).outcomes
    assert ["acknowledged"] == deliver(ship, fake.message()).outcomes
    assert "hello" == deliver(hello, fake.request()).text
    assert "waited" == await wait(fake.message(), context)
"""
    run(pytester, tests).assert_outcomes(passed=5 * len(backends))


def test_a_hypothesis_test_may_use_deliver(pytester: pytest.Pytester) -> None:
    tests = """
from hypothesis import given, settings
from portable_fn.testing import strategies

@pytest.mark.providers("aws", "gcp")
@settings(deadline=None, database=None, max_examples=10)
@given(message=strategies.messages())
def test_ship(deliver, message):
    expected = "retried" if message.data in ("bad", "busy", "unknown") else "acknowledged"
    assert [expected] == deliver(ship, message).outcomes
"""
    run(pytester, tests).assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        (
            '("awss")',
            "no provider 'awss' (is it 'aws'?); possible are aws, gcp, azure, cloudflare, asgi, or the module of an adapter, or 'all'",
        ),
        ('("aws/sqss")', "aws has no service 'sqss' (is it 'sqs'?); possible are http_api, *, sqs, *"),
        ('("aws/")', "aws has no service ''; possible are http_api, *, sqs, *"),
        ("(1)", "providers takes names, not 1"),
        ("", 'providers takes names, such as providers("aws", "gcp")'),
        ("()", 'providers takes names, such as providers("aws", "gcp")'),
        ('("aws", via="sqs")', 'providers takes names, such as providers("aws", "gcp")'),
    ],
)
def test_an_invalid_mark_is_an_error_that_lists_what_is_possible(
    pytester: pytest.Pytester, mark: str, message: str
) -> None:
    result = run(pytester, f"@pytest.mark.providers{mark}\ndef test_ship(deliver): ...")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"test_app.py::test_ship: {message}"])


def test_a_marked_test_must_take_deliver_but_a_marked_module_need_not(
    pytester: pytest.Pytester,
) -> None:
    result = run(pytester, "@pytest.mark.providers('aws')\ndef test_ship(fake): ...")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["test_app.py::test_ship has the mark providers, so it must take the fixture deliver"])
    run(pytester, "pytestmark = pytest.mark.providers('aws')\ndef test_ship(fake): ...").assert_outcomes(passed=1)


EXPLAINED = [
    (
        'assert ["acknowledged"] * 3 == deliver(ship, fake.batch(["good", "bad", "busy"])).outcomes',
        [
            "assert ['acknowledged', 'acknowledged', 'acknowledged'] == ['acknowledged', 'retried', 'retried']",
            "  Message(id='message-2', channel='orders', attempt=1): was retried, expected acknowledged",
            "    log: ship failed for message-2: ValueError: no such sku",
            "  Message(id='message-3', channel='orders', attempt=1): was retried, expected acknowledged",
            "    log: ship retries message-3: busy",
        ],
    ),
    (
        'assert deliver(ship, fake.message("unknown"), to="asgi", via="cloud_event").outcomes == ["retried"]',
        [
            "assert ['dead-lettered'] == ['retried']",
            "  Message(id='message-1', channel='orders', attempt=1): was dead-lettered, expected retried",
            "    why: unknown sku",
            "    log: ship rejects message-1: unknown sku",
        ],
    ),
    (
        'assert ["dead_lettered"] == deliver(ship, fake.message("unknown"), to="asgi", via="cloud_event").outcomes',
        [
            "  Message(id='message-1', channel='orders', attempt=1): was dead-lettered, expected dead_lettered, which isn't an outcome (is it 'dead-lettered'?); possible are acknowledged, retried, dead-lettered, lost",
        ],
    ),
    (
        'assert ["acknowledged"] == deliver(ship, fake.batch(["bad"] * 5)).outcomes',
        [
            "assert ['acknowledged'] == ['retried', 'retried', 'retried', 'retried', 'retried']",
            "  5 events, but 1 outcome expected",
            "  Message(id='message-1', channel='orders', attempt=1): was retried, expected acknowledged",
            "    log: ship failed for message-1: ValueError: no such sku",
        ],
    ),
    (
        'assert ["acknowledged"] * 5 == deliver(ship, fake.batch(["bad"] * 5)).outcomes',
        [
            "  Message(id='message-2', channel='orders', attempt=1): was retried, expected acknowledged",
            "    log: ship failed for message-2: ValueError: no such sku",
            "  and 3 events more",
        ],
    ),
    (
        'assert [EventResult("retried", 10)] == deliver(ship, fake.message("busy")).results',
        [
            "  Message(id='message-1', channel='orders', attempt=1): after 30 s, expected after 10 s",
            "    log: ship retries message-1: busy",
        ],
    ),
    (
        'assert EventResult("acknowledged") == deliver(ship, fake.message("busy")).results[0]',
        [
            "  Message(id='message-1', channel='orders', attempt=1): was retried, expected acknowledged; after 30 s, expected without a delay",
        ],
    ),
    (
        'assert Delivery([EventResult("acknowledged")], result=4) == deliver(add, fake.task([1, 2]), to="gcp")',
        ["  the result is 3, expected 4"],
    ),
    (
        "assert Delivery([EventResult('acknowledged')]) == Delivery([EventResult('lost')])",
        ["  event 1 of 1: was acknowledged, expected lost"],
    ),
    (
        'deliver(ship, fake.message()); assert ["acknowledged"] == deliver(ship, fake.message("bad", id="second")).outcomes',
        [
            "  Message(id='second', channel='orders', attempt=1): was retried, expected acknowledged",
            "    log: ship failed for second: ValueError: no such sku",
        ],
    ),
    (
        'from portable_fn.testing import deliver as plain; assert ["acknowledged"] == plain(ship, fake.message("bad")).outcomes',
        [
            "  Message(id='message-1', channel='orders', attempt=1): was retried, expected acknowledged",
            "    log: ship failed for message-1: ValueError: no such sku",
        ],
    ),
    (
        'assert [fake.message("busy")] == deliver(ship, fake.message("busy")).acknowledged',
        [
            "  Message(id='message-1', channel='orders', attempt=1): was retried, expected acknowledged",
            "    log: ship retries message-1: busy",
        ],
    ),
    (
        'assert [] == deliver(ship, fake.message("good")).acknowledged',
        ["  Message(id='message-1', channel='orders', attempt=1): was acknowledged, which isn't expected"],
    ),
    (
        'deliver(ship, fake.message("bad")); assert ["acknowledged"] == ["retried"]',
        ["assert ['acknowledged'] == ['retried']", "  At index 0 diff: 'acknowledged' != 'retried'"],
    ),
]


def test_a_failed_assertion_explains_event_outcome_and_reason(pytester: pytest.Pytester) -> None:
    tests = "\n".join(f"def test_{number}(deliver, fake):\n    {line}" for number, (line, _) in enumerate(EXPLAINED))
    result = run(pytester, tests, "--show-capture=no", "--tb=short")
    result.assert_outcomes(failed=len(EXPLAINED))
    sections = "\n".join(result.outlines).split("_ test_")
    for (_, lines), text in zip(EXPLAINED, sections[1:], strict=True):
        shown = [line[4:].removeprefix("AssertionError: ") for line in text.splitlines() if line.startswith("E ")]
        assert lines == [line for line in lines if line in shown], text


ODD = [
    (
        'assert [EventResult("retried", "3")] == deliver(ship, fake.message("busy")).results',
        "after 30 s, expected after '3'",
    ),
    (
        'assert ["acknowledged"] == deliver(odd, fake.message()).outcomes',
        "    log: odd failed for message-1: Odd: <exception",
    ),
    ("assert [Odd()] == deliver(ship, fake.message()).acknowledged", "E   AssertionError: assert "),
    ("assert Delivery([], result=Odd()) == deliver(ship, fake.message())", "E   AssertionError: assert "),
    (
        "d = deliver(ship, fake.message()); got = d.lost; d.results.clear(); assert [fake.message()] == got",
        "E   AssertionError: assert [Message(",
    ),
    (
        "d = deliver(ship, fake.message()); got = d.outcomes; d.results[0] = 1; assert [] == got",
        "E   AssertionError: assert [] == ",
    ),
]


def test_values_that_cannot_be_explained_leave_the_assertion_unchanged(pytester: pytest.Pytester) -> None:
    tests = """
class Odd(Exception):
    def __str__(self): raise RuntimeError("no words")
    __repr__ = __str__

@portable
def odd(order: Message) -> None:
    raise Odd
"""
    tests += "\n".join(f"def test_{number}(deliver, fake):\n    {line}" for number, (line, _) in enumerate(ODD))
    result = run(pytester, tests, "--show-capture=no", "--tb=short")
    result.assert_outcomes(failed=len(ODD))
    sections = "\n".join(result.outlines).split("_ test_")
    for (_, line), text in zip(ODD, sections[1:], strict=True):
        assert line in text


def test_a_test_s_own_fixture_wins_even_with_params(pytester: pytest.Pytester) -> None:
    tests = """
SEEN = []

@pytest.fixture(params=["mine", "too"])
def deliver(request):
    return request.param

@pytest.mark.providers("aws", "gcp")
def test_own(deliver):
    SEEN.append(deliver)

class TestWithout:
    @pytest.fixture
    def deliver(self):
        return "without params"

    @pytest.mark.providers("aws", "gcp")
    def test_own(self, deliver):
        assert "without params" == deliver

def test_seen():
    assert ["mine", "too"] == SEEN
"""
    run(pytester, tests).assert_outcomes(passed=5)


def test_the_files_on_the_page_of_testing_pass(pytester: pytest.Pytester) -> None:
    page = (ROOT / "docs" / "reference" / "testing.md").read_text()
    files = re.findall(r"^```py\n# (\w+)\.py\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert ["test_shop"] == [name for name, _ in files]
    pytester.makeini(INI)
    pytester.makepyfile(**dict(files))
    pytester.runpytest_subprocess().assert_outcomes(passed=4)


def test_the_plugin_imports_nothing_until_it_is_used(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
import sys

def test_something():
    assert ["portable_fn", "portable_fn.testing", "portable_fn.testing.plugin"] == sorted(
        name for name in sys.modules if name.startswith("portable_fn")
    )

def test_failing():
    assert [1] == [2]

def test_still():
    test_something()
"""
    )
    result = pytester.runpytest_subprocess("-p", "no:asyncio")
    result.assert_outcomes(passed=2, failed=1)


def test_importing_a_module_hides_no_public_name() -> None:
    code = """
import pkgutil
from importlib import import_module
from types import ModuleType
import portable_fn.testing as testing

for module in pkgutil.iter_modules(testing.__path__):
    import_module(f"portable_fn.testing.{module.name}")
print(*(name for name in testing.__all__ if isinstance(getattr(testing, name), ModuleType)))
print(sorted(testing.__all__) == testing.__all__ == dir(testing))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ["fake", "True"] == run.stdout.split()
