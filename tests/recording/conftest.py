"""Share the fixture of a folder for recordings."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder for recordings, which doesn't exist yet."""
    monkeypatch.setenv("PORTABLE_FN_RECORD", str(tmp_path / "recorded"))
    return tmp_path / "recorded"
