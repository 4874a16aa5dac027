"""Record what an entry receives and answers, without its secrets."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def make_recorder(where: str | None = None) -> Any:
    """What records the invocations of an entry, where `where`, else PORTABLE_FN_RECORD, says where to; None where nothing does."""
    import os

    where = where or os.environ.get("PORTABLE_FN_RECORD")
    # It has been imported where the entry is made for a replay.
    if not where and "portable_fn.recording.recorder" not in sys.modules:
        return None
    if where and where != "-" and sys.platform == "emscripten":
        from portable_fn.logs import log

        log().warning("nothing is recorded in %s: no file lasts here, but PORTABLE_FN_RECORD=- prints lines", where)
        return None
    try:
        from portable_fn.recording import recorder

        return recorder.recorder(where)
    except Exception as exc:
        from portable_fn.logs import log

        # A function that was packed without what its tests need is to run all the same.
        log().warning("nothing can be recorded: %s", exc)
        return None
