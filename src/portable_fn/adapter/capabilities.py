"""What a provider can do, as data. Every adapter has a table in its `capabilities.py`."""

from __future__ import annotations

from portable_fn.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ASKED", "FEATURES", "Capability", "Service", "emulated", "impossible", "native"]

# The questions about every service, in the order of the matrix.
FEATURES = (
    "partial failure",
    "retry",
    "retry delay",
    "reject",
    "order",
    "attempt count",
    "deadline",
    "batch",
    "binary body",
    "attributes",
    "before-image",
    "deletes",
    "typed principal",
    "streaming",
    "reply",
)

# The questions that make sense for a kind.
_ALL = ("partial failure", "retry", "retry delay", "reject", "deadline")
ASKED = {
    "Request": ("deadline", "binary body", "typed principal", "streaming", "reply"),
    "Message": (*_ALL, "order", "attempt count", "batch", "binary body", "attributes"),
    "ObjectEvent": (*_ALL, "deletes"),
    "ChangeEvent": (*_ALL, "order", "batch", "before-image", "deletes"),
    "ScheduleEvent": ("retry", "deadline"),
    "CloudEvent": (*_ALL, "binary body", "attributes", "reply"),
    "Task": ("deadline", "reply"),
}


class Capability(Record):
    """Whether a service can do something: `native`, `emulated` (`note` says how) or `impossible` (`note` says why).

    - `loses`: without it, the feature's purpose is lost.
    - `needs`: the trigger's argument ("retry", "dead_letter") that it depends on.
    - `setting`: what must be set outside the code so that nothing is lost.
    - `by_documentation`: only the provider's documentation says so; no test here has shown it.
    """

    _fields = ("level", "note", "loses", "needs", "setting", "by_documentation")

    def __init__(
        self,
        level: str,
        note: str = "",
        *,
        loses: bool = False,
        needs: str = "",
        setting: str = "",
        by_documentation: bool = False,
    ) -> None:
        self.level = level
        self.note = note
        self.loses = loses
        self.needs = needs
        self.setting = setting
        self.by_documentation = by_documentation


def native(note: str = "", *, needs: str = "", setting: str = "", by_documentation: bool = False) -> Capability:
    """Declare that the provider does it, perhaps with an argument of the trigger (`needs`) or a `setting`."""
    return Capability("native", note, needs=needs, setting=setting, by_documentation=by_documentation)


def emulated(how: str, *, needs: str = "", loses: bool = False, by_documentation: bool = False) -> Capability:
    """Declare that the adapter does it. If it `needs` an argument of the trigger, `loses` says that something is lost without it."""
    return Capability("emulated", how, loses=loses, needs=needs, by_documentation=by_documentation)


def impossible(why: str, *, loses: bool = False, by_documentation: bool = False) -> Capability:
    """Declare that it can't be done."""
    return Capability("impossible", why, loses=loses, by_documentation=by_documentation)


class Service(Record):
    """A service of a provider that sends events of a `kind` ("Message", "Request") for a trigger's `word` ("queue").

    `features` are those that make sense for the kind, so services may share a table. `in_messages`: the events arrive inside
    messages, which another function of the entry may take.
    """

    _fields = ("name", "kind", "word", "features", "in_messages")

    def __init__(
        self, name: str, kind: str, word: str, features: Mapping[str, Capability], *, in_messages: bool = False
    ) -> None:
        self.name = name
        self.kind = kind
        self.word = word
        self.in_messages = in_messages
        self.features = {
            feature: features[feature] for feature in features if feature in ASKED[kind] or feature not in FEATURES
        }
