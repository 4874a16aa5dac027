"""Record every change of an account: which fields, old and new values, when."""

import json
from collections.abc import Mapping
from typing import Any

from portable_fn import ChangeEvent, on, portable

SECRET = {"password", "token"}


@portable(on.change("accounts"))
def audit(change: ChangeEvent) -> None:
    """Record the change under its own id, by which a second delivery is recognised."""
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
    """Return each changed field's old and new value; None if it was absent or the provider doesn't send it."""
    before, after = before or {}, after or {}
    return {
        name: ["…", "…"] if name in SECRET else [before.get(name), after.get(name)]
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    }


def write(entry: dict[str, Any]) -> None:
    """Print the entry as a line of JSON. A real one goes to a log that nobody can change."""
    print(json.dumps(entry, default=str), flush=True)
