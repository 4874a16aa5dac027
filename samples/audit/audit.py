"""Every change of an account is written down: which fields, from what to what, and when."""

import json
from collections.abc import Mapping
from typing import Any

from portable_fn import ChangeEvent, on, portable

SECRET = {"password", "token"}


@portable(on.change("accounts"))
def audit(change: ChangeEvent) -> None:
    """The id is the change's own, so that one that is delivered twice can be told."""
    entry = {
        "audit": change.table,
        "id": change.id,
        "at": change.time and change.time.isoformat(),
        "action": change.action,
        "key": change.key,
        "fields": difference(change.before, change.after),
    }
    write(entry)


def difference(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> dict[str, list[Any]]:
    """What each changed field was and is; None where it wasn't there, or where the provider doesn't tell."""
    before, after = before or {}, after or {}
    return {
        name: ["…", "…"] if name in SECRET else [before.get(name), after.get(name)]
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    }


def write(entry: dict[str, Any]) -> None:
    """Prints the entry, one line of JSON; a real one goes to a log that nobody can change."""
    print(json.dumps(entry, default=str), flush=True)
