"""Read a project's providers and services from its pyproject.toml.

Tests and commands use them:

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

__all__ = ["EVERY", "Project", "project"]

_KEYS = ("providers", "services")


class Project(Record):
    """The providers that a project supports.

    Attributes:
        providers: The providers' names.
        services: The services of some providers, the preferred one first.
    """

    _fields = ("providers", "services")

    def __init__(self, providers: tuple[str, ...], services: dict[str, tuple[str, ...]]) -> None:
        self.providers = providers
        self.services = services

    def service_of(self, provider: str, possible: tuple[str, ...]) -> str | None:
        """Return the first of the provider's services that is possible; None if the project names none of them."""
        return next((name for name in self.services.get(provider, ()) if name in possible), None)


EVERY = Project(tuple(ADAPTERS), {})


def project(folder: Path | None = None) -> Project:
    """Read [tool.portable-fn] of the nearest pyproject.toml; without it, return every provider.

    Args:
        folder: Where the search starts upward; by default the current folder.

    Raises:
        ConfigurationError: The table can't be read, or names unknown providers or services.
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
        raise ConfigurationError(f"{where} must be a table, not {table!r}")
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
        raise ConfigurationError(f'services in {where} must be a table such as {{aws = ["sqs"]}}, not {services!r}')
    for name in services:
        if name not in providers:
            raise ConfigurationError(f"{where} has services of {name!r}, which isn't one of its providers")
    return Project(providers, {name: _services(name, names, where) for name, names in services.items()})


def _services(provider: str, value: Any, where: str) -> tuple[str, ...]:
    """Return the services as the adapter spells them: "s3_sns_sqs" for "s3/sns/sqs"."""
    try:
        simulate = adapter(provider, "simulate")
    except ConfigurationError as exc:
        raise ConfigurationError(f"{where}: {exc}") from exc
    possible = [*simulate.SERVICES, *(name for names in simulate.EVENT_SERVICES.values() for name in names)]
    names = tuple(name.replace("/", "_") for name in _names(value, f"services of {provider} in {where}"))
    for name in names:
        if name not in possible:
            near = nearest(name, possible)
            known = ", ".join(dict.fromkeys(possible))
            raise ConfigurationError(f"{where}: {provider} has no service {name!r}{near}; possible are {known}")
    return names


def _names(value: Any, what: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(name, str) and name for name in value):
        raise ConfigurationError(f"{what} must be a list of names, not {value!r}")
    return tuple(dict.fromkeys(value))
