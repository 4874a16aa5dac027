"""Find the features that a function uses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from portable_fn import on
from portable_fn.adapter.capabilities import FEATURES
from portable_fn.cli.uses import _OF_CONTEXT, _OF_EVENTS, uses
from portable_fn.testing import fake

pytestmark = pytest.mark.usefixtures("folder")


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
def test_used_features_are_read_from_the_declaration_and_the_source(
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
def test_features_that_make_no_sense_for_a_kind_are_left_out(
    folder: Path, declaration: str, signature: str, body: str, expected: set[str]
) -> None:
    assert expected == used(folder, declaration, signature, body)


def test_a_wrapped_function_is_read_instead_of_its_wrapper(folder: Path) -> None:
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


def test_the_attributes_that_are_looked_for_exist() -> None:
    events: list[Any] = [
        fake.request(), fake.message({}), fake.batch([{}]), fake.object("b", "k"), fake.change("t"), fake.cloud_event({}),
    ]  # fmt: skip
    for name, (feature, kinds) in _OF_EVENTS.items():
        assert feature in FEATURES
        for kind in kinds:
            assert any(isinstance(event, kind) and hasattr(event, name) for event in events), (name, kind)
    assert all(hasattr(fake.context(), name) for name in _OF_CONTEXT)
