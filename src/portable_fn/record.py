"""Base classes of the neutral types, without dataclasses, typing or functools, which cost 9 to 14 ms of cold start."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Self
    from typing import Generic as Generic
    from typing import overload as overload

    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)
    R = TypeVar("R")
else:
    from types import GenericAlias

    T = R = None

    class Generic:
        """Replaces typing.Generic: `Request[Order]` is a GenericAlias, as `list[int]` is."""

        def __class_getitem__(cls, item: object) -> object:
            return Generic if cls is Generic else GenericAlias(cls, item)

    def overload(function: object) -> object:
        """Replace typing.overload."""
        return function


class lazy(Generic[R]):
    """A read-only attribute, computed on first use and then kept in the instance's `__dict__`."""

    def __init__(self, read: Callable[[Any], R]) -> None:
        self._read = read
        self.__doc__ = read.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type | None = None) -> R: ...
    def __get__(self, instance: object | None, owner: type | None = None) -> Any:
        if instance is None:
            return self
        value = instance.__dict__[self._name] = self._read(instance)
        return value


class elsewhere:
    """A name that handlers of one provider know. Its AttributeError says what to read instead."""

    def __init__(self, instead: str) -> None:
        self._instead = instead

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: object | None, owner: type) -> Any:
        message = f"{owner.__name__} has no {self._name!r}: {self._instead}"
        raise AttributeError(message, name=self._name, obj=instance)


class Record:
    """A value that equals another one with the same `_fields`. Its repr shows them, or those in `_shown`."""

    _fields: tuple[str, ...] = ()
    _shown: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self._fields)

    __hash__ = None  # type: ignore[assignment]  # the standard way to say unhashable

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={_short(getattr(self, name))}" for name in self._shown or self._fields)
        return f"{type(self).__name__}({shown})"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."
