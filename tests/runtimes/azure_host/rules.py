"""Check a function as the host does, and find the function of an HTTP request."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Source: azure-functions-host, Utility.FunctionNameValidationRegex and BindingNameValidationRegex.
FUNCTION_NAME = re.compile(r"(?!host$)[a-z][a-z0-9_\-]{0,127}", re.IGNORECASE | re.ASCII)
BINDING_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9]{0,127}|\$return", re.ASCII)

CONSTRAINTS = {
    "alpha": r"[A-Za-z]*",
    "bool": r"[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]",
    "guid": r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
    "int": r"[+-]?[0-9]+",
    "long": r"[+-]?[0-9]+",
    "maxlength(0)": "",
}
PARAMETER = re.compile(
    r"\{(?P<catch_all>\*{0,2})(?P<name>\w+)(?::(?P<constraint>[^}?]+))?(?P<optional>\??)\}", re.ASCII
)


def refusal(name: str, bindings: Sequence[Mapping[str, Any]]) -> str | None:
    """Return why the host would refuse a function, or None.

    Source: azure-functions-host, WorkerFunctionMetadataProvider.ValidateMetadata and FunctionDescriptorProvider.
    """
    if not FUNCTION_NAME.fullmatch(name):
        return f"'{name}' is not a valid function name."
    seen: set[str] = set()
    for binding in bindings:
        if not BINDING_NAME.fullmatch(binding["name"]):
            return f"{name}: The binding name {binding['name']} is invalid. Please assign a valid name to the binding."
        if binding["name"].lower() in seen:
            return f"{name}: Multiple bindings with name '{binding['name']}' discovered. Binding names must be unique."
        seen.add(binding["name"].lower())
    triggers = [binding for binding in bindings if binding["type"].lower().endswith("trigger")]
    if len(triggers) > 1:
        return f"{name}: Multiple trigger bindings defined. A function can only have a single trigger binding."
    if not triggers:
        return f"{name}: No trigger binding specified. A function must have a trigger input binding."
    return None


@dataclass(frozen=True)
class Route:
    """An HTTP function's template. As in ASP.NET Core, it ignores case and a trailing slash."""

    pattern: re.Pattern[str]
    methods: frozenset[str] | None

    def params(self, method: str, path: str) -> dict[str, str] | None:
        """Return the route values for a method and a decoded path, or None if the route doesn't match."""
        if self.methods is not None and method.upper() not in self.methods:
            return None
        match = self.pattern.fullmatch(path)
        return None if match is None else {name: value for name, value in match.groupdict().items() if value}


def route(prefix: str, name: str, trigger: Mapping[str, Any]) -> Route:
    """Return the route of an HTTP trigger; raise ValueError if the host, or this model of it, can't serve it.

    An empty route is the function's name. Source: azure-functions-host, WebScriptHostHttpRoutesManager.
    """
    template = "/".join(filter(None, [prefix, trigger.get("route") or name]))
    methods = trigger.get("methods")
    segments = template.removeprefix("/").split("/")
    if "" in segments[:-1]:
        raise ValueError(f"{name}: '/' cannot appear consecutively in the route template {template!r}")
    pattern = "".join(map(_segment, segments)) + "/?"
    return Route(
        re.compile(pattern, re.IGNORECASE | re.DOTALL),
        frozenset(str(method).upper() for method in methods) if methods else None,
    )


def _segment(segment: str) -> str:
    if not segment:
        return ""
    whole = PARAMETER.fullmatch(segment)
    if whole and whole["catch_all"]:
        return f"(?:/(?P<{whole['name']}>.*))?"
    if whole and whole["optional"]:
        return f"(?:/{_parameter(whole)})?"
    literals = PARAMETER.split(segment)[:: PARAMETER.groups + 1]
    if any(set(literal) & set("{}*?") for literal in literals):
        raise ValueError(f"the route segment {segment!r} is not modelled here")
    parts = [re.escape(literals[0])]
    for match, literal in zip(PARAMETER.finditer(segment), literals[1:], strict=True):
        parts += [_parameter(match), re.escape(literal)]
    return "/" + "".join(parts)


def _parameter(match: re.Match[str]) -> str:
    constraint = match["constraint"]
    if constraint is not None and constraint not in CONSTRAINTS:
        raise ValueError(f"the route constraint {constraint!r} is not modelled here: {', '.join(CONSTRAINTS)} are")
    return f"(?P<{match['name']}>{CONSTRAINTS[constraint] if constraint else '[^/]+'})"
