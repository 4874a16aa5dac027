"""`portable-fn providers` and `portable-fn check`: the matrix, and what of a function wouldn't hold where."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from portable_fn import on
from portable_fn.adapter.capabilities import FEATURES, Service, emulated, impossible, native
from portable_fn.cli import main
from portable_fn.cli.declared import Declared
from portable_fn.cli.matrix import ON_A_PAGE, markdown, matrices
from portable_fn.cli.uses import _OF_CONTEXT, _OF_EVENTS, uses
from portable_fn.providers import ADAPTERS
from portable_fn.testing import fake

# A provider with services that differ in what they can do, one that has but one of them, and one that declares nothing.
TOYS = {
    "toy_cloud/__init__.py": "",
    "toy_cloud/capabilities.py": """
from portable_fn.adapter.capabilities import Service, emulated, impossible, native

DEAD = emulated("sent on by the adapter", needs="dead_letter")
SERVICES = (
    Service("web", "Request", "http", {"streaming": impossible("a stream is collected"), "deadline": native()}),
    Service("line", "Message", "queue", {
        "partial failure": native(), "retry": native(), "retry delay": native("up to 12 hours"), "reject": DEAD,
        "attempt count": native(by_documentation=True), "attributes": native(),
    }),
    Service("pigeon", "Message", "queue", {
        "partial failure": native(), "retry": native(), "retry delay": impossible("it comes when it comes"), "reject": DEAD,
        "attempt count": native(by_documentation=True), "attributes": impossible("it carries one thing", loses=True),
    }),
    Service("hub", "Message", "stream", {
        "partial failure": impossible("all or nothing"), "order": native(), "batch": native(),
        "retry": emulated("a declared policy repeats it", needs="retry", loses=True),
    }),
    Service("feed", "ChangeEvent", "change", {
        "retry": native(), "before-image": impossible("it has the row as it is now"),
        "deletes": impossible("it never tells of them", loses=True),
    }),
    Service("clock", "ScheduleEvent", "schedule", {"retry": impossible("it waits for the next time")}),
)
""",
    "toy_island/__init__.py": "",
    "toy_island/capabilities.py": """
from portable_fn.adapter.capabilities import Service, native

SERVICES = (Service("boat", "Message", "queue", {"retry": native(), "partial failure": native()}),)
""",
    "toy_silent/__init__.py": "",
    "toy_single.py": "",
}

APP = """
from portable_fn import Batch, ChangeEvent, Message, ObjectEvent, Reject, Request, Retry, ScheduleEvent, on, portable

print("imported")


@portable(on.queue("orders"))
def ship(order: Message) -> None:
    raise Retry(after=30)


@portable(on.queue("orders", dead_letter="lost-orders"))
def tag(order: Message) -> None:
    if not tenant_of(order):
        raise Reject("no tenant")


def tenant_of(message: Message) -> object:
    return message.attributes.get("tenant")


@portable(on.stream("clicks"))
def count(clicks: Batch[Message]) -> None: ...


@portable(on.stream("clicks", retry=on.RetryPolicy()))
def count_again(clicks: Batch[Message]) -> None: ...


@portable(on.change("users", "inserted", "updated"))
def renamed(change: ChangeEvent) -> None:
    print(change.before, change.after)


@portable(on.change("users"))
def audit(change: ChangeEvent) -> None: ...


@portable(on.schedule("0 3 * * *"))
def nightly(tick: ScheduleEvent) -> None: ...


@portable(on.object("uploads"))
def thumbnail(upload: ObjectEvent) -> None: ...


@portable(on.http("GET", "/lines"))
def lines(request: Request):
    yield b"one"


@portable(on.http("GET", "/hello"))
def hello(request: Request) -> str:
    return "hello"
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory, with an app and with providers of its own."""
    for name, text in {**TOYS, "toy_app.py": APP}.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delenv("COLUMNS", raising=False)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("toy_")]:
        del sys.modules[name]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command line and gives exit code, stdout and stderr."""

    def command(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(arguments)
        out, err = capsys.readouterr()
        return code, out, err

    return command


def line_of(function: str) -> int:
    """The line of the app's decorator of the function."""
    return APP[: APP.index(f"def {function}(")].count("\n")


def line_with(text: str) -> int:
    """The line of the app that has the text."""
    return APP[: APP.index(text)].count("\n") + 1


# What the source shows a use in, of the functions of which it does.
USES = {"ship": "raise Retry(", "tag": "return message.attributes", "renamed": "print(change.before"}


# The matrix


def test_the_matrix_has_a_table_a_kind_with_numbered_notes(run: Any) -> None:
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


def test_a_kind_that_no_service_hands_over_has_no_table(run: Any) -> None:
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
def test_what_cannot_be_understood_is_one_line_and_exit_code_2(
    run: Any, arguments: tuple[str, ...], message: str
) -> None:
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


# What wouldn't hold


@pytest.mark.parametrize(
    ("function", "code", "expected"),
    [
        (
            "ship",
            0,
            ["ship: toy_cloud/pigeon: retry delay: it comes when it comes (holds with line)"],
        ),
        (
            "tag",
            1,
            ["tag: toy_cloud/pigeon: attributes: data may be lost: it carries one thing (holds with line)"],
        ),
        (
            "count",
            1,
            [
                "count: toy_cloud/hub: retry: data may be lost: a declared policy repeats it; the trigger needs retry=",
                "count: toy_cloud/hub: partial failure: all or nothing",
            ],
        ),
        ("count_again", 0, ["count_again: toy_cloud/hub: partial failure: all or nothing"]),
        ("renamed", 0, ["renamed: toy_cloud/feed: before-image: it has the row as it is now"]),
        ("audit", 1, ["audit: toy_cloud/feed: deletes: data may be lost: it never tells of them"]),
        ("nightly", 0, ["nightly: toy_cloud/clock: retry: it waits for the next time"]),
        ("thumbnail", 0, ["thumbnail: toy_cloud: ObjectEvent: toy_cloud has no source of ObjectEvent"]),
        ("lines", 0, ["lines: toy_cloud/web: streaming: a stream is collected"]),
        ("hello", 0, []),
    ],
)
def test_what_a_function_uses_and_a_provider_cannot_do_is_a_line(
    run: Any, function: str, code: int, expected: list[str]
) -> None:
    actual_code, out, err = run("check", f"toy_app.py:{function}", "--for", "toy_cloud")
    *lines, summary = out.splitlines()

    assert (code, "imported\n") == (actual_code, err)
    line = line_with(USES[function]) if function in USES else line_of(function)
    assert [f"toy_app.py:{line}: {text}" for text in expected] == lines
    assert summary.startswith("1 function on toy_cloud: ")


def test_the_last_line_counts(run: Any) -> None:
    code, out, _ = run("check", "toy_app.py", "--for", "toy_cloud,toy_island,toy_silent")

    assert 1 == code
    assert (
        "10 functions on toy_cloud, toy_island: 3 places where data may be lost, 13 where something else doesn't hold."
        == out.splitlines()[-1]
    )
    assert "ObjectEvent: toy_island has no source of ObjectEvent" in out


def test_where_all_holds_that_is_said(run: Any) -> None:
    expected = "2 functions on toy_island: everything the functions use holds.\n"
    Path("small_app.py").write_text(APP.partition("@portable(on.stream")[0])

    assert (0, expected) == run("check", "small_app.py", "--for", "toy_island")[:2]


def test_what_several_services_lack_for_reasons_of_their_own_is_one_line(run: Any, folder: Path) -> None:
    path = folder / "toy_cloud" / "capabilities.py"
    horse = 'Service("horse", "Message", "queue", {"retry delay": impossible("it is slow")}),'
    path.write_text(path.read_text().replace("SERVICES = (", f"SERVICES = (\n    {horse}", 1))
    _, out, _ = run("check", "toy_app.py:ship", "--for", "toy_cloud")

    reasons = "horse: it is slow; pigeon: it comes when it comes"
    assert [
        f"toy_app.py:{line_with(USES['ship'])}: ship: toy_cloud: retry delay: {reasons} (holds with line)",
        "1 function on toy_cloud: 0 places where data may be lost, 1 where something else doesn't hold.",
    ] == out.splitlines()


def test_via_says_which_service_is_meant(run: Any) -> None:
    narrowed = ("--for", "toy_cloud", "--via", "toy_cloud=line,toy_cloud=web")

    assert (0, "1 function on toy_cloud: everything the functions use holds.\n") == run(
        "check", "toy_app.py:tag", *narrowed
    )[:2]
    # What the services that were named don't hand over still comes from the others.
    assert "toy_cloud/clock: retry" in run("check", "toy_app.py:nightly", *narrowed)[1]


def test_a_rejection_wants_a_dead_letter_where_the_adapter_sends_it(run: Any) -> None:
    Path("rejecting.py").write_text(APP.replace(', dead_letter="lost-orders"', ""))
    _, out, _ = run("check", "rejecting.py:tag", "--for", "toy_cloud", "--via", "toy_cloud=line")

    assert "toy_cloud/line: reject: sent on by the adapter; the trigger needs dead_letter=" in out


def test_what_holds_with_none_of_the_possible_services_is_said_of_the_provider(run: Any) -> None:
    Path("two.py").write_text(APP.replace(', dead_letter="lost-orders"', ""))
    _, out, _ = run("check", "two.py:tag", "--for", "toy_cloud")

    assert "tag: toy_cloud: reject: sent on by the adapter" in out
    assert "tag: toy_cloud/pigeon: attributes" in out


def test_what_a_provider_does_only_with_an_argument_of_the_trigger_is_said_where_that_is_not_there(
    run: Any, folder: Path
) -> None:
    path = folder / "toy_island" / "capabilities.py"
    path.write_text(
        path.read_text().replace(
            '"retry": native()', '"retry": native(), "reject": native("it sinks", needs="dead_letter")'
        )
    )
    Path("two.py").write_text(APP.replace(', dead_letter="lost-orders"', ""))

    source = Path("two.py").read_text()
    line = source[: source.index('raise Reject("no tenant")')].count("\n") + 1
    expected = f"two.py:{line}: tag: toy_island/boat: reject: it sinks; the trigger needs dead_letter="
    assert expected == run("check", "two.py:tag", "--for", "toy_island")[1].splitlines()[0]
    assert "everything the functions use holds" in run("check", "toy_app.py:tag", "--for", "toy_island")[1]
    assert "everything the functions use holds" in run("check", "two.py:ship", "--for", "toy_island", "--all")[1]


def test_what_must_be_set_outside_of_the_code_is_a_line_and_no_failure(run: Any, folder: Path) -> None:
    path = folder / "toy_island" / "capabilities.py"
    path.write_text(
        path.read_text().replace('"retry": native()', '"retry": native("again", setting="RETRY=1, else lost")')
    )
    code, out, _ = run("check", "toy_app.py:ship", "--for", "toy_island")
    line = line_of("ship")

    assert 0 == code
    assert (
        f"toy_app.py:{line}: ship: toy_island/boat: retry: must be set: RETRY=1, else lost\n"
        "1 function on toy_island: everything the functions use holds once the settings are made.\n"
    ) == out
    assert "1 again (must be set: RETRY=1, else lost)" in run("providers", "--provider", "toy_island")[1]


def test_all_shows_also_what_is_emulated_and_what_is_not_used(run: Any) -> None:
    code, out, _ = run("check", "toy_app.py:tag", "--for", "toy_cloud", "--all", "--via", "toy_cloud=pigeon")

    assert 1 == code
    assert [
        "attributes: data may be lost: it carries one thing",
        "retry delay: note: it comes when it comes; not used",
        "reject: note: emulated: sent on by the adapter",
        "attempt count: note: by documentation only",
    ] == [line.split(": ", 3)[3] for line in out.splitlines()[:-1]]


def test_a_function_for_any_event_is_checked_where_the_service_is_named(run: Any) -> None:
    Path("any.py").write_text(
        "from portable_fn import portable\n@portable\ndef anything(event):\n    event.attributes\n"
    )

    assert (0, "1 function on toy_cloud: everything the functions use holds.\n") == run(
        "check", "any.py", "--for", "toy_cloud"
    )[:2]
    assert "with an annotation, a trigger or --via" in run("check", "any.py", "--for", "toy_cloud", "--all")[1]
    assert 1 == run("check", "any.py", "--for", "toy_cloud", "--via", "toy_cloud=pigeon")[0]


def test_a_provider_that_has_no_service_of_the_triggers_word_hands_the_kind_over_by_another(run: Any) -> None:
    _, out, _ = run("check", "toy_app.py:count", "--for", "toy_island", "--all")

    assert "count: toy_island/boat: stream: note: on.stream is called queue here" in out


def test_what_a_message_holds_is_checked_as_that_message(run: Any) -> None:
    Path("inside.py").write_text(
        "from portable_fn import ObjectEvent, on, portable\n"
        "@portable(on.stream('uploads'))\ndef thumbnail(upload: ObjectEvent): ...\n"
    )
    code, out, _ = run("check", "inside.py", "--for", "toy_cloud")

    assert 1 == code
    assert "inside.py:2: thumbnail: toy_cloud/hub: retry: data may be lost" in out


CARRIED = """
from portable_fn import ConfigurationError, Message, ObjectEvent, on, portable


@portable(on.queue("orders"))
def ship(order: Message) -> None: ...


@portable(on.object("uploads"))
def thumbnail(upload: ObjectEvent) -> None: ...
"""


def test_a_function_whose_events_come_in_messages_that_another_one_takes_is_a_line(run: Any, folder: Path) -> None:
    (folder / "carried.py").write_text(CARRIED)
    line = "thumbnail: cloudflare/r2_queue: via: it arrives inside a message, and ship takes all messages"
    assert line in run("check", "carried.py", "--for", "cloudflare")[1]
    noted = run("check", "carried.py", "--for", "aws", "--all")[1]
    assert "via: note: it arrives inside a message, and ship takes all messages" in noted
    assert "(holds with s3, s3_eventbridge)" in noted
    for better in (
        CARRIED.replace('"uploads"', '"uploads", via="uploads-queue"'),
        # Of several for messages each has the queues that it names.
        CARRIED + '\n\n@portable(on.queue("invoices"))\ndef book(invoice: Message) -> None: ...\n',
    ):
        (folder / "better.py").write_text(better)
        assert "via:" not in run("check", "better.py", "--for", "cloudflare")[1]


def test_functions_that_cannot_be_in_one_entry_are_checked_each_by_itself(run: Any, folder: Path) -> None:
    bare = CARRIED.replace('(on.queue("orders"))', "")
    (folder / "apart.py").write_text(bare + "\n\n@portable\ndef book(invoice: Message) -> None: ...\n")
    assert "via:" not in run("check", "apart.py", "--for", "cloudflare")[1]


def test_nothing_can_be_checked_where_nothing_is_declared(run: Any) -> None:
    assert (
        0,
        "Nothing was checked: none of the providers declares what it can do.\n",
        "imported\nportable-fn: not checked, because they declare nothing: toy_silent\n",
    ) == run("check", "toy_app.py", "--for", "toy_silent")


def test_the_findings_as_json_are_for_programs(run: Any) -> None:
    code, out, _ = run("check", "toy_app.py:tag", "--for", "toy_cloud,toy_silent", "--output", "json")
    line = line_of("tag")

    assert 1 == code
    assert {
        "target": "toy_app.py",
        "functions": [{"name": "tag", "kind": "Message", "file": "toy_app.py", "line": line}],
        "providers": ["toy_cloud"],
        "undeclared": ["toy_silent"],
        "findings": [
            {
                "file": "toy_app.py",
                "line": line_with(USES["tag"]),
                "function": "tag",
                "provider": "toy_cloud",
                "services": ["pigeon"],
                "others": ["line"],
                "feature": "attributes",
                "level": "loses",
                "why": "it carries one thing",
                "everywhere": False,
            }
        ],
    } == json.loads(out)


def test_the_findings_as_markdown_are_a_list(run: Any) -> None:
    assert run("check", "toy_app.py:nightly", "--for", "toy_cloud", "--output", "markdown")[1].startswith("- toy")
    assert "Everything holds.\n" == run("check", "toy_app.py:hello", "--for", "toy_cloud", "--output", "markdown")[1]


def test_a_target_whose_import_fails_is_exit_code_3(run: Any) -> None:
    Path("broken.py").write_text("import nothing_of_that_name\n")

    assert (3, "") == run("check", "broken.py", "--for", "toy_cloud")[:2]


def test_an_adapter_whose_import_fails_is_exit_code_3_and_one_line(run: Any) -> None:
    Path("toy_silent/capabilities.py").write_text("import nothing_of_that_name\n")

    code, out, err = run("providers", "--provider", "toy_silent")
    assert (3, "", 1) == (code, out, err.count("\n"))
    assert "the capabilities of toy_silent: toy_silent/capabilities.py:1: ModuleNotFoundError" in err


# What a function uses

PRELUDE = """
import functools
import portable_fn
from portable_fn import *
from portable_fn.outcomes import Reject as No

class TooLate(Reject): ...

def helper(message, ctx=None):
    return message.attempt, ctx and ctx.remaining()

def deep(ctx, *, one):
    return helper(one, ctx)

def chunks():
    yield b""

def logged(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)
    return wrapper

def middleware(event, ctx, call_next):
    if event.attributes:
        raise Reject("no")
    return call_next(event, ctx)
"""
ANY_MESSAGE = {"retry", "partial failure"}


@pytest.mark.parametrize(
    ("declaration", "signature", "body", "expected"),
    [
        ("on.queue('q')", "m: Message", "pass", set()),
        ("on.queue('q')", "m: Message", "raise Retry('busy')", set()),
        ("on.queue('q')", "m: Message", "raise Retry('busy', after=None)", set()),
        ("on.queue('q')", "m: Message", "raise Retry(after=30)", {"retry delay"}),
        ("on.queue('q')", "m: Message", "raise portable_fn.Retry(after=30)", {"retry delay"}),
        ("on.queue('q')", "m: Message", "raise Reject", {"reject"}),
        ("on.queue('q')", "m: Message", "raise No('never')", {"reject"}),
        ("on.queue('q')", "m: Message", "raise TooLate()", {"reject"}),
        ("on.queue('q')", "m: Message", "from portable_fn import Reject; raise Reject()", {"reject"}),
        ("on.queue('q', dead_letter='d')", "m: Message", "pass", {"reject"}),
        ("on.queue('q')", "m: Message[int]", "pass", {"reject"}),
        ("on.queue('q')", "m: Message", "m.attempt, m.key, m.attributes, m.body", {"attempt count", "order", "attributes", "binary body"}),
        ("on.queue('q')", "m: Message", "order = m; order.attempt", {"attempt count"}),
        ("on.queue('q')", "m: Message", "m.data['key'], m.data.key, helper.attempt", set()),
        ("on.queue('q')", "m: Message", "helper(m)", {"attempt count"}),
        ("on.queue('q')", "m: Message, ctx: Context", "deep(ctx, one=m)", {"attempt count", "deadline"}),
        ("on.queue('q')", "m: Message, ctx: Context", "ctx.deadline", {"deadline"}),
        ("on.queue('q'), concurrency=5", "m: Message", "pass", {"batch"}),
        ("on.queue('q'), use=[middleware]", "m: Message", "pass", {"reject", "attributes"}),
        ("on.stream('s')", "m: Message", "pass", {"order"}),
        ("on.queue('q')", "b: Batch[Message]", "pass", {"batch"}),
        ("on.queue('q')", "b: Batch[Message]", "for n, m in enumerate(b): b.retry(m)", {"batch"}),
        ("on.queue('q')", "b: Batch[Message]", "for m in b: b.retry(m, 30)", {"batch", "retry delay"}),
        ("on.queue('q')", "b: Batch[Message]", "for m in b: b.retry(m, after=30)", {"batch", "retry delay"}),
        ("on.queue('q')", "b: Batch[Message]", "[m.attempt for m in b]", {"batch", "attempt count"}),
        ("on.queue('q')", "b: Batch[Message]", "b.reject(b[0])", {"batch", "reject"}),
        ("on.object('b', 'created')", "o: ObjectEvent", "o.key, o.body", set()),
        ("on.object('b')", "o: ObjectEvent", "pass", {"deletes"}),
        ("on.change('t', 'removed')", "c: ChangeEvent", "pass", {"deletes"}),
        ("on.change('t', 'updated')", "c: ChangeEvent", "c.before, c.key", {"before-image"}),
        ("on.event('e')", "e: CloudEvent", "return None", set()),
        ("on.event('e')", "e: CloudEvent", "return {}", {"reply"}),
    ],
)  # fmt: skip
def test_what_a_function_uses_is_read_from_its_declaration_and_its_source(
    folder: Path, declaration: str, signature: str, body: str, expected: set[str]
) -> None:
    assert ANY_MESSAGE | expected == used(folder, declaration, signature, body)


@pytest.mark.parametrize(
    ("declaration", "signature", "body", "expected"),
    [
        ("on.http()", "r: Request", "raise HTTPError(404)", set()),
        ("on.http()", "r: Request, ctx: Context", "return r.principal, ctx.remaining(), r.body", {"typed principal", "deadline", "binary body"}),
        ("on.http()", "r: Request", "yield b''", {"streaming"}),
        ("on.http()", "r: Request", "return Response(200, body=(c for c in r.body))", {"streaming", "binary body"}),
        ("on.http()", "r: Request", "return Response(200, (), (), chunks())", {"streaming"}),
        ("on.http()", "r: Request", "return chunks()", {"streaming"}),
        ("on.http()", "r: Request", "\n    async def own(): yield\n    return Response(body=own())", {"streaming"}),
        ("on.http()", "r: Request", "return sum(chunks())", set()),
        ("on.task()", "t: Task", "raise Reject", {"reply", "reject"}),
    ],
)  # fmt: skip
def test_what_a_function_of_another_kind_uses_leaves_out_what_means_nothing_there(
    folder: Path, declaration: str, signature: str, body: str, expected: set[str]
) -> None:
    assert expected == used(folder, declaration, signature, body)


def test_a_wrapped_function_is_read_as_the_one_that_it_wraps(folder: Path) -> None:
    assert ANY_MESSAGE | {"attempt count"} == used(folder, "on.queue('q')", "m: Message", "m.attempt", above="@logged")


def test_a_function_without_source_is_read_by_the_names_in_its_code(folder: Path) -> None:
    text = "def handler(m: Message, ctx: Context):\n m.attempt; ctx.deadline; raise Reject if m.key else Retry(after=1)"
    names: dict[str, Any] = {}
    exec(compile(PRELUDE + text, "<nowhere>", "exec"), names)
    binding = names["portable"](on.queue("q"))(names["handler"]).__portable__
    found = {"attempt count", "deadline", "order", "reject", "retry delay"}

    assert ANY_MESSAGE | found == uses(binding, binding.triggers[0])


def used(folder: Path, declaration: str, signature: str, body: str, above: str = "") -> set[str]:
    """The features that a handler with this declaration and body uses."""
    path = folder / "toy_used.py"
    source = f"{PRELUDE}\n@portable({declaration})\n{above}\nasync def handler({signature}):\n    {body}\n"
    source = source.replace("async def", "def") if "concurrency" not in declaration else source
    path.write_text(source)
    names: dict[str, Any] = {"__name__": "toy_used"}
    exec(compile(source, str(path), "exec"), names)
    binding = names["handler"].__portable__
    return uses(binding, binding.triggers[0])


def test_what_is_looked_for_is_what_the_kinds_have() -> None:
    events: list[Any] = [
        fake.request(), fake.message({}), fake.batch([{}]), fake.object("b", "k"), fake.change("t"), fake.cloud_event({}),
    ]  # fmt: skip
    for name, (feature, kinds) in _OF_EVENTS.items():
        assert feature in FEATURES
        for kind in kinds:
            assert any(isinstance(event, kind) and hasattr(event, name) for event in events), (name, kind)
    assert all(hasattr(fake.context(), name) for name in _OF_CONTEXT)
