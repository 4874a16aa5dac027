"""Providers and an app for the tests of `check` and `providers`."""

from __future__ import annotations

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


def line_of(function: str) -> int:
    """The line of the app's decorator of the function."""
    return APP[: APP.index(f"def {function}(")].count("\n")


def line_with(text: str) -> int:
    """The line of the app that has the text."""
    return APP[: APP.index(text)].count("\n") + 1


# What the source shows a use in, of the functions of which it does.
USES = {"ship": "raise Retry(", "tag": "return message.attributes", "renamed": "print(change.before"}
