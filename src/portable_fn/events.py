"""What every kind of event has."""

from __future__ import annotations

from portable_fn.record import Generic, Record, lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime
    from typing import Any

    from typing_extensions import TypeVar

    T = TypeVar("T", default=object)
else:
    T = None


class Event(Record, Generic[T]):
    """Something that happened and that a handler is called for.

    `id` with `source` is the same over redeliveries, `time` is aware UTC, `data` the payload read as JSON or validated
    as the handler's annotation says, `native` what the provider handed over, as it came.
    """

    id: str | lazy[str]
    source: str | lazy[str]
    time: datetime | lazy[datetime]
    data: T | lazy[T]
    native: object

    def read_data(self) -> Any:
        """The data as it came, whatever the handler's annotation says."""
        raise NotImplementedError
