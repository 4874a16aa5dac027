"""Record what an entry receives and answers, without its secrets."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def make_recorder(where: str | None = None) -> Any:
    """Return the recorder for an entry, or None if invocations aren't recorded.

    Args:
        where: A folder, or "-" to print lines; by default PORTABLE_FN_RECORD.
    """
    import os

    where = where or os.environ.get("PORTABLE_FN_RECORD")
    # A replay has imported the recorder.
    if not where and "portable_fn.recording.recorder" not in sys.modules:
        return None
    if where and where != "-" and sys.platform == "emscripten":
        from portable_fn.logs import log

        log().warning("can't record in %s: files don't last here; PORTABLE_FN_RECORD=- prints lines instead", where)
        return None
    try:
        from portable_fn.recording import recorder

        return recorder.recorder(where)
    except Exception as exc:
        from portable_fn.logs import log

        # A function deployed without the modules that recording needs must still run.
        log().warning("can't record: %s", exc)
        return None
