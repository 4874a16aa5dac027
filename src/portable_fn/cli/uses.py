"""Find the features that a function uses, by its declaration and its source."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Callable, Iterator
from inspect import isasyncgenfunction, isgeneratorfunction
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from portable_fn.adapter.binding import Binding
from portable_fn.cli.target import is_own
from portable_fn.events import Batch, ChangeEvent, CloudEvent, Event, Message, Task
from portable_fn.http import Request, Response
from portable_fn.on import ChangeTrigger, ObjectTrigger, Trigger
from portable_fn.outcomes import Reject, Retry

# The feature that reading an attribute of an event, or calling a method of a batch, uses, and the kinds of events.
_OF_EVENTS: dict[str, tuple[str, tuple[type[Any], ...]]] = {
    "attempt": ("attempt count", (Event,)),
    "attributes": ("attributes", (Message, Event)),
    "before": ("before-image", (ChangeEvent, Event)),
    "body": ("binary body", (Message, CloudEvent, Request, Event)),
    "key": ("order", (Message, Event)),
    "principal": ("typed principal", (Request, Event)),
    "reject": ("reject", (Batch,)),
}
_OF_CONTEXT = ("deadline", "remaining")
# A call of asyncio.run. No adapter declares it.
EVENT_LOOP = "event loop"
# Functions that return events if they are called with an event or a batch.
_PASSING = ("enumerate", "filter", "iter", "list", "next", "reversed", "sorted", "tuple", "zip")


def uses(function: Binding, trigger: Trigger | None) -> set[str]:
    """Return the features that the function uses when it is called for the trigger, as far as its source shows."""
    found = _by_declaration(function) | (set() if trigger is None else _by_trigger(trigger))
    reading = _read(function)
    if function.kind is Request:
        if isgeneratorfunction(function.handler) or isasyncgenfunction(function.handler):
            found.add("streaming")
        # An HTTP request is always answered: outcomes of events mean nothing there.
        return (found | reading.found) - {"retry", "retry delay", "reject", "reply"}
    return found | reading.found - {"streaming"}


def places(function: Binding) -> dict[str, tuple[str, int]]:
    """Return the file and line of the first use of each feature in the source."""
    return _read(function).places


def _read(function: Binding) -> _Reading:
    reading = _Reading(function)
    for called in (function.handler, *function.use):
        reading.read(called, {0}, 1)
    return reading


def _by_declaration(function: Binding) -> set[str]:
    """Return the features that every handler of its kind uses: any may fail, and a task is answered."""
    if function.kind is Request:
        return set()
    if function.kind is Task:
        return {"reply"}
    found = {"retry", "partial failure"}
    if function.takes_batch or function.concurrency > 1:
        found.add("batch")
    # Invalid data is rejected.
    if function._validator is not None:
        found.add("reject")
    return found


def _by_trigger(trigger: Trigger) -> set[str]:
    found: set[str] = set()
    if trigger.dead_letter is not None:
        found.add("reject")
    if trigger.word == "stream":
        found.add("order")
    if isinstance(trigger, ObjectTrigger) and (not trigger.actions or "deleted" in trigger.actions):
        found.add("deletes")
    if isinstance(trigger, ChangeTrigger) and (not trigger.actions or "removed" in trigger.actions):
        found.add("deletes")
    return found


class _Reading:
    """The features that the source of a function shows, with those of the user's functions that it calls."""

    def __init__(self, function: Binding) -> None:
        self.kind: type[Any] = function.kind
        self.takes_batch = function.takes_batch
        self.found: set[str] = set()
        self.places: dict[str, tuple[str, int]] = {}
        self._read: set[tuple[CodeType, frozenset[int], int | None]] = set()

    def read(self, function: Callable[..., Any], events: set[int], context: int | None) -> None:
        """Read a function whose parameters at these places are events, or a batch, and the context."""
        function = _handler(function)
        if not isinstance(function, FunctionType):
            return
        code = function.__code__
        if (visit := (code, frozenset(events), context)) in self._read:
            return
        self._read.add(visit)
        node = _source(code)
        if node is None:
            self._by_names(code)
            return
        parameters = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        names = {parameters[place] for place in events if place < len(parameters)}
        contexts = {parameters[context]} if context is not None and context < len(parameters) else set[str]()
        self._walk(node, function, _derived(node, names), _derived(node, contexts))

    def _by_names(self, code: CodeType) -> None:
        """Find features by the names of a function without source."""
        used = set(code.co_names)
        self.found |= {"reject"} if "Reject" in used else set()
        keywords = {name for names in code.co_consts if isinstance(names, tuple) for name in names}
        if "Retry" in used and "after" in keywords:
            self.found.add("retry delay")
        self.found |= {"deadline"} if used & set(_OF_CONTEXT) else set()
        for name in used & set(_OF_EVENTS):
            self._attribute(name)

    def _walk(self, root: ast.AST, function: FunctionType, events: set[str], contexts: set[str]) -> None:
        generators = {
            inner.name
            for inner in ast.walk(root)
            if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef))
            and any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in ast.walk(inner))
        }
        for node in ast.walk(root):
            if isinstance(node, ast.Attribute):
                if _is_of(node.value, events):
                    self._attribute(node.attr, function, node)
                elif _is_of(node.value, contexts) and node.attr in _OF_CONTEXT:
                    self._used("deadline", function, node)
            elif isinstance(node, ast.Return):
                if self.kind is CloudEvent and not _is_literal_none(node.value):
                    self._used("reply", function, node)
                if _streams(node.value, function, generators):
                    self._used("streaming", function, node)
            elif isinstance(node, ast.Raise) and node.exc is not None and _is_class(_value(node.exc, function), Reject):
                self._used("reject", function, node)
            elif isinstance(node, ast.Call):
                self._call(node, function, events, contexts)

    def _call(self, node: ast.Call, function: FunctionType, events: set[str], contexts: set[str]) -> None:
        called = _value(node.func, function)
        if called in (asyncio.run, asyncio.Runner) or _is_asyncio_run(node.func):
            self._used(EVENT_LOOP, function, node)
        after = next((keyword.value for keyword in node.keywords if keyword.arg == "after"), None)
        if _is_class(called, Reject):
            self._used("reject", function, node)
        elif _is_class(called, Retry):
            if not _is_literal_none(after):
                self._used("retry delay", function, node)
        elif isinstance(node.func, ast.Attribute) and node.func.attr == "retry" and _is_of(node.func.value, events):
            if not _is_literal_none(after) or len(node.args) > 1:
                self._used("retry delay", function, node)
        elif isinstance(own := _handler(called), FunctionType) and is_own(own.__code__.co_filename):
            self._follow(node, own, events, contexts)

    def _follow(self, node: ast.Call, called: FunctionType, events: set[str], contexts: set[str]) -> None:
        """Read the called function, with its parameters that get an event or the context."""
        parameters = called.__code__.co_varnames
        given: list[tuple[int, ast.expr]] = list(enumerate(node.args))
        given += [
            (parameters.index(keyword.arg), keyword.value) for keyword in node.keywords if keyword.arg in parameters
        ]
        mine = {place for place, value in given if _is_of(value, events)}
        self.read(called, mine, next((place for place, value in given if _is_of(value, contexts)), None))

    def _attribute(self, name: str, function: FunctionType | None = None, node: ast.expr | None = None) -> None:
        feature, kinds = _OF_EVENTS.get(name, ("", ()))
        if self.kind in kinds or (Batch in kinds and self.takes_batch) or kinds == (Event,):
            self._used(feature, function, node)

    def _used(self, feature: str, function: FunctionType | None, node: ast.expr | ast.stmt | None) -> None:
        """Add the feature, with its line if that is known."""
        self.found.add(feature)
        if function is not None and node is not None:
            self.places.setdefault(feature, (function.__code__.co_filename, node.lineno))


def _handler(function: Any) -> Any:
    """Return the function to read for a call: the handler of a portable function, the wrapped function of a wrapper."""
    binding = getattr(function, "__portable__", None)
    function = function if binding is None else binding.handler
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function


def _source(code: CodeType) -> ast.AST | None:
    """Return the function in its file, by its first line, which is its first decorator's; None if there is no such source."""
    try:
        tree = ast.parse(Path(code.co_filename).read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            decorators: list[ast.expr] = getattr(node, "decorator_list", [])
            name: str = getattr(node, "name", "<lambda>")
            if name == code.co_name and code.co_firstlineno == min([node.lineno, *(one.lineno for one in decorators)]):
                return node
    return None


def _derived(root: ast.AST, names: set[str]) -> set[str]:
    """Return the names, and those that are assigned their values or items of them."""
    found = set(names)
    pairs = list(_assigned(root))
    while True:
        more = {
            target.id
            for targets, value in pairs
            if _is_of(value, found)
            for target in ast.walk(targets)
            if isinstance(target, ast.Name)
        }
        if more <= found:
            return found
        found |= more


def _assigned(root: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    for node in ast.walk(root):
        if isinstance(node, ast.Assign):
            yield from ((target, node.value) for target in node.targets)
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
            yield node.target, node.iter
        elif isinstance(node, ast.NamedExpr) or (isinstance(node, ast.AnnAssign) and node.value is not None):
            yield node.target, node.value  # type: ignore[misc]  # not None, as just asked


def _is_of(value: ast.expr, names: set[str]) -> bool:
    """Whether the value is one of the names, an item of it, or a list of its items."""
    if isinstance(value, ast.Name):
        return value.id in names
    if isinstance(value, ast.Subscript):
        return _is_of(value.value, names)
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in _PASSING:
        return any(_is_of(argument, names) for argument in value.args)
    return False


def _value(node: ast.expr, function: FunctionType) -> object:
    """Return the value of a name, or of a module's attribute, at the function's definition."""
    if isinstance(node, ast.Name):
        # A name that is imported inside the function isn't a global.
        by_name = {"Reject": Reject, "Retry": Retry}.get(node.id)
        return function.__globals__.get(node.id, by_name)
    if isinstance(node, ast.Attribute) and isinstance(module := _value(node.value, function), ModuleType):
        return getattr(module, node.attr, None)
    return None


def _is_asyncio_run(node: ast.expr) -> bool:
    """Whether it is asyncio.run, also if imported inside the function, or a loop's run_until_complete."""
    if not isinstance(node, ast.Attribute):
        return False
    if node.attr == "run_until_complete":
        return True
    return node.attr in ("run", "Runner") and isinstance(node.value, ast.Name) and node.value.id == "asyncio"


def _streams(value: ast.expr | None, function: FunctionType, generators: set[str]) -> bool:
    """Whether it is a generator, the call of a generator function, or a response that has one as its body."""
    if not isinstance(value, ast.Call):
        return isinstance(value, ast.GeneratorExp)
    called = _value(value.func, function)
    if _is_class(called, Response):
        given = [*value.args[3:4], *(keyword.value for keyword in value.keywords if keyword.arg == "body")]
        return any(_streams(body, function, generators) for body in given)
    if isinstance(value.func, ast.Name) and value.func.id in generators:
        return True
    return isgeneratorfunction(called) or isasyncgenfunction(called)


def _is_class(value: object, of: type[Any]) -> bool:
    return isinstance(value, type) and issubclass(value, of)


def _is_literal_none(value: ast.expr | None) -> bool:
    return value is None or (isinstance(value, ast.Constant) and value.value is None)
