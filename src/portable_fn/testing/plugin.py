"""Extend pytest with the fixtures `deliver`, `fake`, `context`, the mark `providers`, and explanations of failed assertions."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Literal, overload

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import ModuleType

    from portable_fn import Context, Request
    from portable_fn.adapter.calling import Middleware
    from portable_fn.testing.delivery import Deliverable
    from portable_fn.testing.faults import Failure, Redelivery
    from portable_fn.testing.results import Answer, Delivery

__all__ = ["Deliver"]

MARK = "providers"


class Deliver:
    """`portable_fn.testing.deliver` with the provider and service of the test's mark.

    Args:
        provider: The provider; aws without a mark.
        service: The service; by default the first that the project's pyproject.toml names for such events.
        folder: The project's folder.
    """

    def __init__(self, provider: str, service: str | None, folder: Path | None = None) -> None:
        self.provider = provider
        self.service = service
        self._folder = folder

    # "all" isn't a provider's name.
    @overload
    def __call__(  # type: ignore[overload-overlap]  # see above
        self,
        handler: object,
        event: Request[Any],
        *,
        to: Literal["all"] | list[str] | tuple[str, ...],
        via: str | None = None,
        failures: Sequence[Failure] = (),
        use: Sequence[Middleware] = (),
        root_path: str = "",
    ) -> dict[str, Answer]: ...
    @overload
    def __call__(
        self,
        handler: object,
        event: Request[Any],
        *,
        to: str | None = None,
        via: str | None = None,
        failures: Sequence[Failure] = (),
        use: Sequence[Middleware] = (),
        root_path: str = "",
    ) -> Answer: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # see above
        self,
        handler: object,
        event: Deliverable,
        *,
        to: Literal["all"] | list[str] | tuple[str, ...],
        via: str | None = None,
        seconds: float = 30,
        redelivery: Redelivery | None = None,
        failures: Sequence[Failure] = (),
        cold_start: bool = False,
        use: Sequence[Middleware] = (),
        root_path: str = "",
    ) -> dict[str, Delivery]: ...
    @overload
    def __call__(
        self,
        handler: object,
        event: Deliverable,
        *,
        to: str | None = None,
        via: str | None = None,
        seconds: float = 30,
        redelivery: Redelivery | None = None,
        failures: Sequence[Failure] = (),
        cold_start: bool = False,
        use: Sequence[Middleware] = (),
        root_path: str = "",
    ) -> Delivery: ...
    def __call__(
        self,
        handler: object,
        event: Any,
        *,
        to: str | list[str] | tuple[str, ...] | None = None,
        via: str | None = None,
        seconds: float = 30,
        redelivery: Redelivery | None = None,
        failures: Sequence[Failure] = (),
        cold_start: bool = False,
        use: Sequence[Middleware] = (),
        root_path: str = "",
    ) -> Any:
        """Deliver as `portable_fn.testing.deliver` does, by default to the mark's provider."""
        from portable_fn.testing.delivery import deliver

        if via is None and to in (None, self.provider):
            via = self.service or self._service_of_project(handler, event)
        return deliver(
            handler,
            event,
            to=to or self.provider,
            via=via,
            seconds=seconds,
            redelivery=redelivery,
            failures=failures,
            cold_start=cold_start,
            use=use,
            root_path=root_path,
        )

    def _service_of_project(self, handler: object, event: Any) -> str | None:
        """Return the service that the project names for such events of the provider, or None."""
        from portable_fn.testing.project import project

        settings = project(self._folder)
        if self.provider not in settings.services:
            return None
        from portable_fn.providers import adapter
        from portable_fn.testing.services import as_events

        simulate = adapter(self.provider, "simulate")
        kind = as_events(event, handler)[0].kind_name
        return settings.service_of(self.provider, simulate.EVENT_SERVICES.get(kind, simulate.SERVICES))


# Hypothesis refuses function-scoped fixtures, because one instance serves all examples.
@pytest.fixture(scope="session")
def deliver(request: pytest.FixtureRequest) -> Deliver:
    """Return `portable_fn.testing.deliver` for each provider of the test's mark `providers`, or for AWS."""
    provider, service = getattr(request, "param", ("aws", None))
    if provider != "aws":
        from portable_fn.testing.extras import MissingExtra, require_extras

        try:
            require_extras(provider)
        except MissingExtra as exc:
            pytest.fail(str(exc), pytrace=False)
    return Deliver(provider, service, request.config.rootpath)


@pytest.fixture(scope="session")
def fake() -> ModuleType:
    """Return `portable_fn.testing.fake`, which makes neutral events with good defaults."""
    from portable_fn.testing import fake

    return fake


@pytest.fixture
def context() -> Context:
    """Return a context for a direct call of a handler."""
    from portable_fn.testing import fake

    return fake.context()


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark `providers`."""
    config.addinivalue_line(
        "markers",
        f"{MARK}(name, ...): run the test once for each provider, to which the fixture deliver sends; a name is "
        "'aws', one of its services such as 'aws/sqs', or 'all'.",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with the mark `providers` once for each provider."""
    mark = metafunc.definition.get_closest_marker(MARK)
    if mark is None:
        return
    where = metafunc.definition.nodeid
    if "deliver" not in metafunc.fixturenames:
        if mark in metafunc.definition.own_markers:
            raise pytest.Collector.CollectError(f"{where} has the mark {MARK}, so it must take the fixture deliver")
        return
    names = [name for argument in mark.args for name in _expanded(argument, where, metafunc.config.rootpath)]
    if not names or mark.kwargs:
        raise pytest.Collector.CollectError(f'{where}: {MARK} takes names, such as {MARK}("aws", "gcp")')
    names = list(dict.fromkeys(names))
    # With the fixture's session scope, pytest would reorder a module's tests by provider.
    try:
        metafunc.parametrize("deliver", [_split(name) for name in names], indirect=True, ids=names, scope="function")
    except (ValueError, pytest.Collector.CollectError) as exc:
        # The test's own fixture named deliver has params. pytest 8.0 raises ValueError for it, 9.2 CollectError.
        if "duplicate parametrization of 'deliver'" not in str(exc):
            raise


def _expanded(name: object, where: str, folder: Path) -> list[str]:
    """Return the providers and services for an argument of the mark; for "all", the providers that pyproject.toml names."""
    from portable_fn.errors import ConfigurationError
    from portable_fn.providers import ADAPTERS, adapter, nearest

    if name == "all":
        from portable_fn.testing.project import project

        try:
            return list(project(folder).providers)
        except ConfigurationError as exc:
            raise pytest.Collector.CollectError(f"{where}: {exc}") from exc
    if not isinstance(name, str):
        raise pytest.Collector.CollectError(f"{where}: {MARK} takes names, not {name!r}")
    provider, service = _split(name)
    if name in ADAPTERS:
        return [name]
    try:
        simulate = adapter(provider, "simulate")
    except ConfigurationError as exc:
        raise pytest.Collector.CollectError(f"{where}: {exc}, or 'all'") from exc
    possible = [*simulate.SERVICES]
    for services in simulate.EVENT_SERVICES.values():
        possible += [name for name in services if name not in possible]
    if service is not None and service.replace("/", "_") not in possible:
        near = nearest(service.replace("/", "_"), possible)
        raise pytest.Collector.CollectError(
            f"{where}: {provider} has no service {service!r}{near}; possible are {', '.join(possible)}"
        )
    return [name]


def _split(name: str) -> tuple[str, str | None]:
    provider, slash, service = name.partition("/")
    return provider, service if slash else None


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Explain a failed assertion about outcomes: which event, and why."""
    if op != "==" or "portable_fn.testing.delivery" not in sys.modules:
        return None
    from portable_fn.testing.explanation import explanation

    try:
        return explanation(left, right)
    except Exception:
        # A value whose repr or comparison raises; pytest's own explanation handles it.
        return None
