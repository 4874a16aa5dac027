"""Find what wouldn't hold on a provider: `portable-fn check`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.toys import APP, USES, line_of, line_with

pytestmark = pytest.mark.usefixtures("folder")


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
def test_a_feature_that_is_used_and_impossible_is_a_line(
    run: Any, function: str, code: int, expected: list[str]
) -> None:
    actual_code, out, err = run("check", f"toy_app.py:{function}", "--for", "toy_cloud")
    *lines, summary = out.splitlines()

    assert (code, "imported\n") == (actual_code, err)
    line = line_with(USES[function]) if function in USES else line_of(function)
    assert [f"toy_app.py:{line}: {text}" for text in expected] == lines
    assert summary.startswith("1 function on toy_cloud: ")


def test_the_last_line_counts_the_findings(run: Any) -> None:
    code, out, _ = run("check", "toy_app.py", "--for", "toy_cloud,toy_island,toy_silent")

    assert 1 == code
    assert (
        "10 functions on toy_cloud, toy_island: 3 places where data may be lost, 13 where something else doesn't hold."
        == out.splitlines()[-1]
    )
    assert "ObjectEvent: toy_island has no source of ObjectEvent" in out


def test_the_last_line_says_if_everything_holds(run: Any) -> None:
    expected = "2 functions on toy_island: everything the functions use holds.\n"
    Path("small_app.py").write_text(APP.partition("@portable(on.stream")[0])

    assert (0, expected) == run("check", "small_app.py", "--for", "toy_island")[:2]


def test_reasons_of_several_services_are_on_one_line(run: Any, folder: Path) -> None:
    path = folder / "toy_cloud" / "capabilities.py"
    horse = 'Service("horse", "Message", "queue", {"retry delay": impossible("it is slow")}),'
    path.write_text(path.read_text().replace("SERVICES = (", f"SERVICES = (\n    {horse}", 1))
    _, out, _ = run("check", "toy_app.py:ship", "--for", "toy_cloud")

    reasons = "horse: it is slow; pigeon: it comes when it comes"
    assert [
        f"toy_app.py:{line_with(USES['ship'])}: ship: toy_cloud: retry delay: {reasons} (holds with line)",
        "1 function on toy_cloud: 0 places where data may be lost, 1 where something else doesn't hold.",
    ] == out.splitlines()


def test_via_names_the_service(run: Any) -> None:
    narrowed = ("--for", "toy_cloud", "--via", "toy_cloud=line,toy_cloud=web")

    assert (0, "1 function on toy_cloud: everything the functions use holds.\n") == run(
        "check", "toy_app.py:tag", *narrowed
    )[:2]
    # The other services still send what the named ones don't.
    assert "toy_cloud/clock: retry" in run("check", "toy_app.py:nightly", *narrowed)[1]


def test_a_rejection_needs_a_dead_letter_if_the_adapter_sends_it(run: Any) -> None:
    Path("rejecting.py").write_text(APP.replace(', dead_letter="lost-orders"', ""))
    _, out, _ = run("check", "rejecting.py:tag", "--for", "toy_cloud", "--via", "toy_cloud=line")

    assert "toy_cloud/line: reject: sent on by the adapter; the trigger needs dead_letter=" in out


def test_a_feature_that_no_service_has_is_a_finding_of_the_provider(run: Any) -> None:
    Path("two.py").write_text(APP.replace(', dead_letter="lost-orders"', ""))
    _, out, _ = run("check", "two.py:tag", "--for", "toy_cloud")

    assert "tag: toy_cloud: reject: sent on by the adapter" in out
    assert "tag: toy_cloud/pigeon: attributes" in out


def test_a_missing_argument_of_the_trigger_is_a_finding(run: Any, folder: Path) -> None:
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


def test_a_setting_outside_the_code_is_a_line_but_not_a_failure(run: Any, folder: Path) -> None:
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


def test_all_also_shows_what_is_emulated_and_what_is_not_used(run: Any) -> None:
    code, out, _ = run("check", "toy_app.py:tag", "--for", "toy_cloud", "--all", "--via", "toy_cloud=pigeon")

    assert 1 == code
    assert [
        "attributes: data may be lost: it carries one thing",
        "retry delay: note: it comes when it comes; not used",
        "reject: note: emulated: sent on by the adapter",
        "attempt count: note: by documentation only",
    ] == [line.split(": ", 3)[3] for line in out.splitlines()[:-1]]


def test_a_function_for_any_event_is_checked_if_the_service_is_named(run: Any) -> None:
    Path("any.py").write_text(
        "from portable_fn import portable\n@portable\ndef anything(event):\n    event.attributes\n"
    )

    assert (0, "1 function on toy_cloud: everything the functions use holds.\n") == run(
        "check", "any.py", "--for", "toy_cloud"
    )[:2]
    assert "with an annotation, a trigger or --via" in run("check", "any.py", "--for", "toy_cloud", "--all")[1]
    assert 1 == run("check", "any.py", "--for", "toy_cloud", "--via", "toy_cloud=pigeon")[0]


def test_a_provider_may_send_the_kind_by_a_service_of_another_word(run: Any) -> None:
    _, out, _ = run("check", "toy_app.py:count", "--for", "toy_island", "--all")

    assert "count: toy_island/boat: stream: note: on.stream is called queue here" in out


def test_an_event_inside_a_message_is_checked_as_that_message(run: Any) -> None:
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


def test_a_function_whose_messages_another_one_takes_is_a_line(run: Any, folder: Path) -> None:
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


def test_functions_that_cannot_share_an_entry_are_checked_one_by_one(run: Any, folder: Path) -> None:
    bare = CARRIED.replace('(on.queue("orders"))', "")
    (folder / "apart.py").write_text(bare + "\n\n@portable\ndef book(invoice: Message) -> None: ...\n")
    assert "via:" not in run("check", "apart.py", "--for", "cloudflare")[1]


def test_without_declarations_nothing_is_checked(run: Any) -> None:
    assert (
        0,
        "Nothing was checked: none of the providers declares what it can do.\n",
        "imported\nportable-fn: not checked, because they declare nothing: toy_silent\n",
    ) == run("check", "toy_app.py", "--for", "toy_silent")


def test_the_findings_as_json_have_every_field(run: Any) -> None:
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
