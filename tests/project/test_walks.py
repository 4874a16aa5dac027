"""The README and the tutorial work as written: their files, commands and outputs, in an empty folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.project.walk import ROOT, available, commands, follow, matches

README = ROOT / "README.md"

pytestmark = pytest.mark.skipif(
    not available("uvicorn", "curl", "portable-fn"), reason="uvicorn, curl or typer is missing"
)


def test_the_readme_works_as_written(tmp_path: Path) -> None:
    ran = follow(README, tmp_path)

    assert ["echo", "uvicorn", "curl"] == [command.split()[0] for command in ran]
    assert {"app.py", "asgi.py", "test_app.py"} <= {file.name for file in tmp_path.iterdir()}


def test_the_test_in_the_readme_passes_five_times(tmp_path: Path) -> None:
    from tests.project.walk import run

    follow(README, tmp_path)

    assert "5 passed" in run("pytest -q", tmp_path)


@pytest.mark.parametrize("provider", ["aws", "gcp", "azure", "asgi"])
def test_the_entry_in_the_readme_is_an_entry(provider: str, tmp_path: Path) -> None:
    from tests.project.walk import run

    follow(README, tmp_path)
    (line,) = re.findall(rf"`(import app; from portable_fn_{provider} import .*)` \|", README.read_text())
    name = line.split("; ")[-1].split(" = ")[0]

    assert "True" == run(f"python -c '{line}; print(callable({name}))'", tmp_path).strip().splitlines()[-1]


def test_a_command_goes_on_after_a_backslash_and_ends_at_a_comment() -> None:
    assert ["a b", "c '#d'"] == commands("# first\na \\\n  b   # why\n\nc '#d'\n")


def test_an_ellipsis_stands_for_anything() -> None:
    assert matches("a …\nd\n", "a b\nc\nd  \n")
    assert not matches("a …\nd\n", "a b\nc\n")
