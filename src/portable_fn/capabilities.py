"""What a provider can do, as data: every adapter has a table of these in its `capabilities.py`."""

from __future__ import annotations

from portable_fn.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# What is asked of every service, in the order in which the matrix shows it.
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


class Capability(Record):
    """Whether a service can do one thing: `native`, `emulated` (`note` says how) or `impossible` (why).

    `loses` says that without it what the feature is about is lost, not only done another way. `needs` names the trigger's
    argument ("retry", "dead_letter") without which it doesn't hold. `by_documentation` says that nothing here has shown it.
    """

    _fields = ("level", "note", "loses", "needs", "by_documentation")

    def __init__(
        self, level: str, note: str = "", *, loses: bool = False, needs: str = "", by_documentation: bool = False
    ) -> None:
        self.level = level
        self.note = note
        self.loses = loses
        self.needs = needs
        self.by_documentation = by_documentation


def native(note: str = "", *, by_documentation: bool = False) -> Capability:
    """The provider does it."""
    return Capability("native", note, by_documentation=by_documentation)


def emulated(how: str, *, needs: str = "", loses: bool = False, by_documentation: bool = False) -> Capability:
    """The adapter does it; where it `needs` an argument of the trigger, `loses` says that something is lost without it."""
    return Capability("emulated", how, loses=loses, needs=needs, by_documentation=by_documentation)


def impossible(why: str, *, loses: bool = False, by_documentation: bool = False) -> Capability:
    """Nobody can do it."""
    return Capability("impossible", why, loses=loses, by_documentation=by_documentation)


class Service(Record):
    """A service of a provider that hands over events of a `kind` ("Message", "Request"), for a trigger's `word` ("queue")."""

    _fields = ("name", "kind", "word", "features")

    def __init__(self, name: str, kind: str, word: str, features: Mapping[str, Capability]) -> None:
        self.name = name
        self.kind = kind
        self.word = word
        self.features = features
