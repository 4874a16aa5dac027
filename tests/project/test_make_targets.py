"""The make targets that CI, the workflow and CONTRIBUTING.md name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = next(folder for folder in Path(__file__).resolve().parents if (folder / "pyproject.toml").exists())
yaml = pytest.importorskip("yaml")
if not (ROOT / ".github").exists():
    pytest.skip("not the whole repository, as in make wheel", allow_module_level=True)
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def steps(job: dict[str, Any]) -> list[str]:
    targets = job.get("strategy", {}).get("matrix", {}).get("target", [""])
    commands = [step["run"] for step in job["steps"] if "run" in step]
    return [command.replace("${{ matrix.target }}", target) for command in commands for target in targets]


def test_the_workflow_runs_make_targets_only() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    commands = [command for job in workflow["jobs"].values() for command in steps(job)]
    assert {"lint", "docs", "wheel", "test-fast", "test"} == {command.split()[1] for command in commands}
    assert all(command.startswith("make ") for command in commands)


def test_the_workflow_tests_every_python_that_the_project_names() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    classifiers = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text())
    assert classifiers == workflow["jobs"]["fast"]["strategy"]["matrix"]["python"]


def test_ci_runs_lint_docs_and_every_test() -> None:
    assert "for target in lint docs test;" in (ROOT / ".ci/run").read_text()


def test_contributing_names_targets_that_are_there() -> None:
    named = set(re.findall(r"`make ([a-z-]+)", (ROOT / "CONTRIBUTING.md").read_text()))
    assert named <= TARGETS
    assert TARGETS - named <= {"clean", "demo", "help"}


def test_contributing_names_files_that_are_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text().replace("<p>", "portable_fn_aws")
    named = re.findall(r"\b(?:adapters|src|tests|docs)/[-\w/.]+", text)
    assert len(named) > 15
    assert [] == [name for name in named if not (ROOT / name).exists() and "<provider>" not in name]
