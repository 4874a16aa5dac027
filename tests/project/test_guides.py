"""The files that a guide shows pass their tests, in a folder that has nothing else; the pictures are up to date."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools import pictures

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "pictures"
LISTING = re.compile(r"^```py\n# ([\w/]+\.py)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = [
    page
    for folder in ("how-to", "explanation")
    for page in sorted((ROOT / "docs" / folder).glob("*.md"))
    if "```py\n# test_" in page.read_text()
]


@pytest.mark.slow
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


def test_the_pictures_are_what_the_tool_draws() -> None:
    for name, draw in pictures.DRAWN.items():
        assert draw().svg() == (PICTURES / f"{name}.svg").read_text(), "python tools/pictures.py draws it again"


def test_the_picture_of_the_demo_has_every_provider() -> None:
    text = (PICTURES / "demo.svg").read_text()

    for provider in ("aws", "gcp", "azure", "cloudflare", "asgi"):
        assert f">{provider}</text>" in text
        assert f"from&quot;: &quot;{provider}&quot;" in text or f"&quot;{provider}&quot;}}</text>" in text


@pytest.mark.parametrize("picture", sorted(PICTURES.glob("*.svg")), ids=lambda path: path.stem)
def test_a_picture_needs_nothing_from_elsewhere_and_is_for_dark_pages_too(picture: Path) -> None:
    text = picture.read_text()

    assert "prefers-color-scheme: dark" in text
    assert "<title" in text
    assert "<desc" in text
    assert ["http://www.w3.org/2000/svg"] == re.findall(r"=[\"'](https?:[^\"']+)", text)
    for word in ("url(", "@import", "<image", "<script", "href"):
        assert word not in text


def test_the_architecture_names_every_file_of_the_core_and_no_other() -> None:
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text()
    core = page[page.index("## The neutral half") : page.index("## Decisions")]
    words, adapter = core.split("In `adapter/`")
    package = ROOT / "src" / "portable_fn"

    for text, folder in ((words, package), (adapter, package / "adapter")):
        files = {file.name for file in folder.glob("*.py") if not file.name.startswith("__")}
        assert files == set(re.findall(r"`(\w+\.py)`", text))


def test_the_architecture_names_the_files_of_an_adapter() -> None:
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text()
    roles = page[page.index("## An adapter") : page.index("## The neutral half")]
    for name in re.findall(r"^\| `([\w./]+)` \|", roles, re.MULTILINE):
        assert list(ROOT.glob(f"adapters/*/{name}")), name
