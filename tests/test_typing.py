"""What mypy and pyright infer for those who use the library: what tests/typed asserts, and what misused.py has wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TYPED = ROOT / "tests" / "typed"


def expected() -> list[tuple[str, int]]:
    lines = (TYPED / "misused.py").read_text().splitlines()
    return [("misused.py", number) for number, line in enumerate(lines, 1) if line.endswith("  # wrong")]


def output(*command: str) -> str:
    """What the checker prints; its exit code says that something is wrong."""
    run = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert 1 == run.returncode, run.stdout + run.stderr
    return run.stdout


def test_mypy_infers_what_is_said_and_finds_what_is_wrong() -> None:
    pytest.importorskip("mypy")
    lines = output("mypy", "--output", "json", str(TYPED)).splitlines()
    found = [one for one in map(json.loads, lines) if one["severity"] == "error"]
    assert expected() == sorted({(Path(one["file"]).name, one["line"]) for one in found}), found


def test_pyright_infers_what_is_said_and_finds_what_is_wrong() -> None:
    pytest.importorskip("pyright")
    report = json.loads(output("pyright", "--outputjson", "--pythonpath", sys.executable, str(TYPED)))
    found = [one for one in report["generalDiagnostics"] if one["severity"] == "error"]
    assert expected() == sorted({(Path(one["file"]).name, one["range"]["start"]["line"] + 1) for one in found}), found
