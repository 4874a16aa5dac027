"""The README and the tutorial work as written: their files, commands and outputs, in an empty folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.project.walk import ROOT, available, commands, follow, matches, run

pytestmark = pytest.mark.slow

README = ROOT / "README.md"

needs_programs = pytest.mark.skipif(
    not available("uvicorn", "curl", "portable-fn"), reason="uvicorn, curl or typer is missing"
)


@needs_programs
def test_the_readme_works_as_written(tmp_path: Path) -> None:
    ran = follow(README, tmp_path)

    assert ["echo", "uvicorn", "curl", "pytest"] == [command.split()[0] for command in ran]
    assert "5 passed" in run("pytest -q", tmp_path)[0]
    for provider in ("aws", "gcp", "azure", "asgi"):
        (line,) = re.findall(rf"`(import app; from portable_fn_{provider} import .*)` \|", README.read_text())
        name = line.split("; ")[-1].split(" = ")[0]
        assert "True" == run(f"python -c '{line}; print(callable({name}))'", tmp_path)[0].split()[-1], line


@needs_programs
@pytest.mark.runtime
def test_the_tutorial_works_as_written_and_ends_with_the_sample(tmp_path: Path) -> None:
    sample = ROOT / "samples" / "shop"

    follow(ROOT / "docs" / "tutorial.md", tmp_path)

    for name in ("shop.py", "test_shop.py", "asgi.py"):
        assert (sample / name).read_text() == (tmp_path / name).read_text(), f"{name} differs"


def test_a_command_goes_on_after_a_backslash_and_ends_at_a_comment() -> None:
    assert ["a b", "c '#d'"] == commands("# first\na \\\n  b   # why\n\nc '#d'\n")


def test_an_ellipsis_stands_for_anything() -> None:
    assert matches("a …\nd\n", "a b\nc\nd  \n")
    assert not matches("a …\nd\n", "a b\nc\n")
