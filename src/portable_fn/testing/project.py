"""What a project's pyproject.toml says for its tests and commands: the providers and services that it is for.

[tool.portable-fn]
providers = ["aws", "gcp"]
services = {aws = ["sqs", "http_api"], gcp = ["pubsub_push"]}
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from portable_fn.errors import ConfigurationError
from portable_fn.providers import ADAPTERS, adapter, nearest
from portable_fn.record import Record

_KEYS = ("providers", "services")


class Project(Record):
    """The `providers` that the project is for, and of some of them the `services`, the preferred one first."""

    _fields = ("providers", "services")

    def __init__(self, providers: tuple[str, ...], services: dict[str, tuple[str, ...]]) -> None:
        self.providers = providers
        self.services = services

    def service_of(self, provider: str, possible: tuple[str, ...]) -> str | None:
        """The first of the provider's services that is among the possible ones; None if the project names none of them."""
        return next((name for name in self.services.get(provider, ()) if name in possible), None)


EVERY = Project(tuple(ADAPTERS), {})


def project(folder: Path | None = None) -> Project:
    """Read [tool.portable-fn] of the nearest pyproject.toml at or above the folder, else the current one.

    Without it the project is for every provider. ConfigurationError for what can't be read there.
    """
    folder = (folder or Path.cwd()).resolve()
    for place in (folder, *folder.parents):
        file = place / "pyproject.toml"
        if file.is_file():
            return _read(file)
    return EVERY


def _read(file: Path) -> Project:
    try:
        table: Any = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("portable-fn", {})
    except (OSError, ValueError, AttributeError) as exc:
        raise ConfigurationError(f"{file} can't be read: {exc}") from exc
    where = f"[tool.portable-fn] of {file}"
    if not isinstance(table, dict):
        raise ConfigurationError(f"{where} is a table, not {table!r}")
    if unknown := [key for key in table if key not in _KEYS]:
        near = nearest(unknown[0], _KEYS)
        raise ConfigurationError(f"{where} has {unknown[0]!r}{near}; possible are {' and '.join(_KEYS)}")
    providers = _names(table.get("providers", list(ADAPTERS)), f"providers in {where}")
    for name in providers:
        try:
            adapter(name)
        except ConfigurationError as exc:
            raise ConfigurationError(f"{where}: {exc}") from exc
    services = table.get("services", {})
    if not isinstance(services, dict):
        raise ConfigurationError(f'services in {where} is a table such as {{aws = ["sqs"]}}, not {services!r}')
    for name in services:
        if name not in providers:
            raise ConfigurationError(f"{where} has services of {name!r}, which its providers don't name")
    return Project(providers, {name: _of(name, given, where) for name, given in services.items()})


def _of(provider: str, given: Any, where: str) -> tuple[str, ...]:
    """The services of the provider as its adapter names them: "s3/sns/sqs" is "s3_sns_sqs"."""
    try:
        simulate = adapter(provider, "simulate")
    except ConfigurationError as exc:
        raise ConfigurationError(f"{where}: {exc}") from exc
    possible = [*simulate.SERVICES, *(name for names in simulate.EVENT_SERVICES.values() for name in names)]
    names = tuple(name.replace("/", "_") for name in _names(given, f"services of {provider} in {where}"))
    for name in names:
        if name not in possible:
            near = nearest(name, possible)
            known = ", ".join(dict.fromkeys(possible))
            raise ConfigurationError(f"{where}: {provider} has no service {name!r}{near}; possible are {known}")
    return names


def _names(given: Any, what: str) -> tuple[str, ...]:
    if not isinstance(given, list) or not given or not all(isinstance(name, str) and name for name in given):
        raise ConfigurationError(f"{what} is a list of names, not {given!r}")
    return tuple(dict.fromkeys(given))
