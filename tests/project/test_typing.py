"""What mypy and pyright infer for those who use the library: what tests/typed asserts, what misused.py has wrong, and the pages."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project.test_docs import blocks

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TYPED = ROOT / "tests" / "typed"


def expected() -> list[tuple[str, int]]:
    lines = (TYPED / "misused.py").read_text().splitlines()
    return [("misused.py", number) for number, line in enumerate(lines, 1) if line.endswith("  # wrong")]


@pytest.fixture
def pages(tmp_path: Path) -> list[str]:
    """The python blocks of each page that is to pass as a whole, in a file."""
    files = []
    files.append(str(tmp_path / "readme.py"))
    listings = re.findall(
        r"^```py\n# (?!test_).*\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    Path(files[0]).write_text("\n".join(listings))
    for page in sorted((ROOT / "docs").rglob("test*.md")):
        file = tmp_path / f"page_{len(files)}.py"
        # The pages' files are one here.
        file.write_text("\n".join(blocks(page)).replace("from app import hello\n", ""))
        files.append(str(file))
    return files


def output(*command: str) -> str:
    """What the checker prints; its exit code says that something is wrong."""
    run = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert 1 == run.returncode, run.stdout + run.stderr
    return run.stdout


def test_mypy_infers_what_is_said_and_finds_what_is_wrong_and_nothing_in_the_pages(pages: list[str]) -> None:
    pytest.importorskip("mypy")
    lines = output("mypy", "--output", "json", str(TYPED), *pages).splitlines()
    found = [one for one in map(json.loads, lines) if one["severity"] == "error"]
    assert expected() == sorted({(Path(one["file"]).name, one["line"]) for one in found}), found


def test_pyright_infers_what_is_said_and_finds_what_is_wrong_and_nothing_in_the_pages(pages: list[str]) -> None:
    pytest.importorskip("pyright")
    report = json.loads(output("pyright", "--outputjson", "--pythonpath", sys.executable, str(TYPED), *pages))
    found = [one for one in report["generalDiagnostics"] if one["severity"] == "error"]
    assert expected() == sorted({(Path(one["file"]).name, one["range"]["start"]["line"] + 1) for one in found}), found
