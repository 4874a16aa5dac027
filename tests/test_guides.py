"""The files that a guide shows, put into a folder, pass their tests there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LISTING = re.compile(r"^```py\n# ([\w/]+\.py)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = [
    page
    for folder in ("how-to", "explanation")
    for page in sorted((ROOT / "docs" / folder).glob("*.md"))
    if "```py\n# test_" in page.read_text()
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_files_of_a_page_pass_their_tests(page: Path, tmp_path: Path) -> None:
    for name, text in LISTING.findall(page.read_text()):
        assert not (tmp_path / name).exists(), f"{name} is there twice"
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in ("src", "adapters"))}
    pytest_alone = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", "."]

    result = subprocess.run(pytest_alone, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)

    assert 0 == result.returncode, result.stdout
