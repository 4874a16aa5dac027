"""Find what a function uses and a provider can't do, by the declarations of its adapter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from portable_fn.adapter.binding import INSIDE, Binding
from portable_fn.adapter.capabilities import FEATURES, Capability, Service
from portable_fn.adapter.dispatch import Dispatcher
from portable_fn.cli.declared import Declared, undeclared
from portable_fn.cli.errors import Failure
from portable_fn.cli.matrix import escaped
from portable_fn.cli.target import short
from portable_fn.cli.uses import EVENT_LOOP, places, uses
from portable_fn.errors import ConfigurationError
from portable_fn.events import CloudEvent, Event
from portable_fn.on import Trigger

# The level of a finding: data may be lost; something works differently or not at all; a setting outside the code is needed; or a
# note.
LOSES, DIFFERS, SETTING, NOTE = "loses", "differs", "setting", "note"


@dataclass(frozen=True)
class Finding:
    """One thing that wouldn't hold: the line that uses it or the function's, the services of a provider, and the reason.

    `others` are the services of the same events with which it holds. `everywhere` is true if it holds with none.
    """

    file: str
    line: int
    function: str
    provider: str
    services: tuple[str, ...]
    others: tuple[str, ...]
    feature: str
    level: str
    why: str
    everywhere: bool = False

    def __str__(self) -> str:
        where = self.provider
        if self.services and (len(self.services) == 1 or not self.everywhere):
            where += f"/{','.join(self.services)}"
        others = f" (holds with {', '.join(self.others)})" if self.others else ""
        level = {LOSES: "data may be lost: ", SETTING: "must be set: ", NOTE: "note: "}.get(self.level, "")
        return f"{self.file}:{self.line}: {self.function}: {where}: {self.feature}: {level}{self.why}{others}"


def narrowed(asked: Sequence[str], all_declared: Iterable[Declared]) -> dict[str, tuple[str, ...]]:
    """Return the services that `--via aws=sqs,azure=service_bus` names, by provider.

    Raises:
        Failure: There is no such service.
    """
    known = {declaration.provider: declaration.services or () for declaration in all_declared}
    named: dict[str, tuple[str, ...]] = {}
    for pair in filter(None, (part.strip() for text in asked for part in text.split(","))):
        provider, _, name = pair.partition("=")
        if provider not in known or not name:
            raise Failure(f"--via: {pair!r} must be provider=service; providers are {', '.join(known)}")
        possible = list(dict.fromkeys(service.name for service in known[provider]))
        if name not in possible:
            raise Failure(f"--via: {provider} has no {name!r}; possible are {', '.join(possible) or 'none'}")
        named[provider] = (*named.get(provider, ()), name)
    return named


def check(
    functions: Iterable[Binding], all_declared: Sequence[Declared], via: Mapping[str, Sequence[str]]
) -> list[Finding]:
    """Return the findings for each function on each provider, notes included; none for a provider without declarations."""
    findings: dict[Finding, None] = {}
    functions = list(functions)
    takers = _takers(functions)
    for function in functions:
        for trigger in function.triggers or (None,):
            used = uses(function, trigger)
            taker = None if trigger is not None and trigger.channels else takers.get(id(function))
            for declaration in all_declared:
                provider, declared = declaration.provider, declaration.services
                if EVENT_LOOP in used:
                    findings[_of_event_loop(function, declaration)] = None
                if declared is None:
                    continue
                named = via.get(provider, ())
                if taker is not None:
                    services = _possible(function, trigger, declared, named)
                    findings |= dict.fromkeys(_of_messages(function, taker, provider, services))
                findings |= dict.fromkeys(_of_provider(function, trigger, used, provider, declared, named))
    return list(findings)


def _takers(functions: Sequence[Binding]) -> dict[int, Binding]:
    """Return, for each function that never gets the contents of messages, the function that takes all of them."""
    try:
        return {id(function): taker for function, taker in Dispatcher(functions).hidden()}
    except ConfigurationError:
        return {}  # they can't share an entry: each has its own


def _of_messages(function: Binding, taker: Binding, provider: str, services: Sequence[Service]) -> list[Finding]:
    """Return the finding that another function takes the messages that hold the function's events."""
    inside = [service for service in services if service.in_messages]
    if not inside:
        return []
    everywhere = len(inside) == len(services)
    why = (
        f"it arrives inside a message, and {taker.name} takes all messages; name the queue on the trigger with via='…'"
    )
    others = _names(service for service in services if not service.in_messages)
    place = short(function.file), function.line, function.name, provider
    return [Finding(*place, _names(inside), others, "via", DIFFERS if everywhere else NOTE, why, everywhere)]


def _of_event_loop(function: Binding, declaration: Declared) -> Finding:
    """Return the finding for asyncio.run in a handler, which fails if an event loop runs already."""
    file, line = places(function)[EVENT_LOOP]
    level = DIFFERS
    if function.is_async:
        why = "asyncio.run fails in an async handler, because its event loop runs already: use await"
    elif not declaration.has_threads:
        why = "asyncio.run fails, because a sync handler runs in the event loop here: make the handler async"
    else:
        level = NOTE
        why = "asyncio.run makes an event loop for each call, so no client can be reused: make the handler async"
    return Finding(short(file), line, function.name, declaration.provider, (), (), EVENT_LOOP, level, why)


def _of_provider(
    function: Binding,
    trigger: Trigger | None,
    used: set[str],
    provider: str,
    services: Sequence[Service],
    via: Sequence[str],
) -> list[Finding]:
    place = short(function.file), function.line, function.name, provider
    used_at = places(function)
    kind = function.kind.__name__
    possible = _possible(function, trigger, services, via)
    if not possible:
        if function.kind is Event:
            why = f"{function.name} takes any event: name the services with an annotation, a trigger or --via"
            return [Finding(*place, (), (), kind, NOTE, why)]
        return [Finding(*place, (), (), kind, DIFFERS, f"{provider} has no source of {kind}")]
    findings: list[Finding] = []
    needed = [] if trigger is None else [setting for setting in trigger.settings.values() if setting.default is None]
    for setting in needed:
        why = f"{setting.variable}, which has a name of the trigger"
        findings.append(Finding(*place, (), (), "environment", SETTING, why, everywhere=True))
    if trigger is not None and all(service.word != trigger.word for service in possible):
        words = ", ".join(dict.fromkeys(service.word for service in possible))
        why = f"on.{trigger.word} is called {words} here"
        findings.append(Finding(*place, _names(possible), (), trigger.word, NOTE, why, everywhere=True))
    alike: dict[tuple[str, str, str], list[Service]] = {}
    for service in possible:
        for feature, capability in service.features.items():
            judged = _judged(feature, capability, feature in used, trigger)
            if judged is not None:
                alike.setdefault((feature, *judged), []).append(service)
    for (feature, level, why), mine in alike.items():
        # It doesn't hold with a service that has another reason against it, either.
        held = [service for service in possible if not _fails(alike, feature, level, service)]
        everywhere = len(mine) == len(possible)
        file, line = used_at.get(feature, (function.file, function.line)) if feature in used else place[:2]
        findings.append(
            Finding(short(file), line, *place[2:], _names(mine), _names(held), feature, level, why, everywhere)
        )
    return sorted(findings, key=_in_order)


def _possible(
    function: Binding, trigger: Trigger | None, services: Sequence[Service], via: Sequence[str]
) -> list[Service]:
    """Return the possible services of the function's events: those named, or by its trigger's word, or by its kind."""
    kind = function.kind
    if kind is Event and trigger is None:
        return [service for service in services if service.name in via]
    name = trigger.kind.__name__ if kind is Event and trigger is not None else kind.__name__
    of_kind = [service for service in services if service.kind == name]
    if not of_kind and trigger is not None and issubclass(kind, (*INSIDE, CloudEvent)):
        # They arrive inside the events of the trigger.
        of_kind = [service for service in services if service.kind == trigger.kind.__name__]
    if named := [service for service in of_kind if service.name in via]:
        return named
    word = "" if trigger is None else trigger.word
    return [service for service in of_kind if service.word == word] or of_kind


def _judged(feature: str, capability: Capability, used: bool, trigger: Trigger | None) -> tuple[str, str] | None:
    """Return the level and the reason of a capability for a function; None if it holds without a note."""
    why = capability.note
    lacking = bool(capability.needs) and getattr(trigger, capability.needs, None) is None
    if capability.level == "native" and not (lacking and used):
        if used and capability.setting:
            return SETTING, capability.setting
        return (NOTE, "by documentation only") if capability.by_documentation else None
    if not used:
        return NOTE, f"{why}; not used" if why else "not used"
    if lacking:
        return LOSES if capability.loses else DIFFERS, f"{why}; the trigger needs {capability.needs}="
    if capability.level == "emulated":
        return NOTE, f"emulated: {why}"
    return LOSES if capability.loses else DIFFERS, why


def _fails(alike: Mapping[tuple[str, str, str], list[Service]], feature: str, level: str, service: Service) -> bool:
    wanted = (level,) if level in (NOTE, SETTING) else (LOSES, DIFFERS)
    return any(
        service in services for (other, found, _), services in alike.items() if other == feature and found in wanted
    )


def _names(services: Iterable[Service]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(service.name for service in services))


def _in_order(finding: Finding) -> tuple[int, int]:
    """Sort losses first, then by the order of the matrix."""
    place = FEATURES.index(finding.feature) if finding.feature in FEATURES else -1
    return (LOSES, DIFFERS, SETTING, NOTE).index(finding.level), place


def as_json(place: str, functions: Sequence[Binding], found: Sequence[Finding], checked: Sequence[Declared]) -> Any:
    """Return the findings, and what was checked, as a JSON object."""
    return {
        "target": place,
        "functions": [
            {"name": function.name, "kind": function.kind.__name__, "file": short(function.file), "line": function.line}
            for function in functions
        ],
        "providers": [declaration.provider for declaration in checked if declaration.services is not None],
        "undeclared": undeclared(checked),
        "findings": [asdict(finding) for finding in found],
    }


def markdown(found: Sequence[Finding]) -> str:
    """Return the findings as a Markdown list."""
    return "".join(f"- {escaped(line)}\n" for line in lines(found)) or "Everything holds.\n"


def lines(found: Iterable[Finding]) -> list[str]:
    """Return the findings as text, one line for each feature of a function on a provider, with all reasons."""
    return [str(those[0]) if len(those) == 1 else _together(those) for those in _alike(found)]


def _together(those: Sequence[Finding]) -> str:
    first = those[0]
    reasons = "; ".join(f"{','.join(finding.services)}: {finding.why}" for finding in those)
    return str(replace(first, services=(), why=reasons))


def _alike(found: Iterable[Finding]) -> list[list[Finding]]:
    """Group the findings that differ only in services and reasons."""
    groups: dict[Finding, list[Finding]] = {}
    for finding in found:
        groups.setdefault(replace(finding, services=(), why="", everywhere=False), []).append(finding)
    return list(groups.values())


def summary(functions: Sequence[Binding], found: Sequence[Finding], checked: Sequence[Declared]) -> str:
    """Summarise how many functions were checked on which providers, and the result."""
    providers = [declaration.provider for declaration in checked if declaration.services is not None]
    if not providers:
        return "Nothing was checked: none of the providers declares what it can do."
    what = f"{_count(len(functions), 'function')} on {', '.join(providers)}"
    levels = [those[0].level for those in _alike(found)]
    lost, differ = levels.count(LOSES), levels.count(DIFFERS)
    if not lost and not differ:
        once = " once the settings are made" if any(finding.level == SETTING for finding in found) else ""
        return f"{what}: everything the functions use holds{once}."
    return f"{what}: {_count(lost, 'place')} where data may be lost, {differ} where something else doesn't hold."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
