"""Mutate what decodes, encodes, batches and binds, and report the mutants that no test noticed.

Run by `make mutation` from the repository's root, which writes the table of docs/explanation/proof.md; `tools/mutation.py aws batch` takes the
modules with such words in their names alone. mutmut wants all sources in one folder, so the tree is copied to .cache/mutation,
where a second run goes on from what the first one knew.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from mutmut.stats import status_by_exit_code

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".cache" / "mutation"
MUTATED = [
    "portable_fn/adapter/batch.py",
    "portable_fn/adapter/binding.py",
    "portable_fn_*/decode.py",
    "portable_fn_*/encode.py",
    "portable_fn_*/events/changes.py",
    "portable_fn_*/events/decode.py",
    "portable_fn_*/events/encode.py",
    "portable_fn_*/events/messages.py",
    "portable_fn_*/events/objects.py",
    "portable_fn_asgi/events/cloud_events.py",
    "portable_fn_asgi/events/dapr.py",
]
# Other tests start another Python, or read sources as text, and notice no mutant.
TESTS = [
    "asgi/test_*.py",
    "aws/test_*.py",
    "azure/test_*.py",
    "cloudflare/test_*.py",
    "core/test_async_handlers.py",
    "core/test_batch*.py",
    "core/test_binding.py",
    "core/test_cloudevents.py",
    "core/test_dispatch.py",
    "core/test_events*.py",
    "core/test_middleware.py",
    "core/test_request_and_response.py",
    "core/test_routing*.py",
    "core/test_streams.py",
    "core/test_tasks.py",
    "core/test_typed_data.py",
    "core/test_whole_batches.py",
    "gcp/test_*.py",
    "stories/test_event_stories.py",
    "stories/test_http_stories.py",
    "stories/test_laws.py",
    "testing/test_delivery.py",
    "testing/test_faults.py",
    "testing/test_render_and_parse.py",
]
# These would see mutmut's own imports.
UNMUTATED = ["nothing_heavy", "imports_nothing", "imports_only", "loads_nothing", "loads_no_events", "load_nothing"]
CONFIGURATION = """
[tool.pytest.ini_options]
pythonpath = ["src", "tests", "."]
addopts = ["--strict-markers", "--import-mode=importlib", "-p", "no:asyncio", "-p", "no:cacheprovider", "-p", "no:xdist"]
markers = ["runtime: starts a provider's real runtime"]

[tool.mypy]
strict = true
python_version = "3.11"
mypy_path = ["src", "tests"]
explicit_package_bases = true

[tool.mutmut]
source_paths = ["src"]
only_mutate = {only}
also_copy = {copied}
pytest_add_cli_args = ["-m", "not runtime", "-k", {unmutated}]
pytest_add_cli_args_test_selection = {tests}
process_isolation = "forkserver"
type_check_command = ["mypy", "src", "--output", "json", "--disable-error-code", "unused-ignore"]
track_dependencies = false
use_git_change_detection = false
"""
# Tests read these beside the sources.
BESIDE = ["tests", "samples", "docs", "tools", "README.md", "CONTRIBUTING.md"]
PAGE = ROOT / "docs" / "explanation" / "proof.md"
BEGIN, END = "<!-- generated: mutation -->", "<!-- end of generated: mutation -->"


def main(words: list[str]) -> None:
    files = prepare()
    chosen = [file for file in files if not words or any(word in file for word in words)]
    names = [f"{module(file)}.*" for file in chosen] if words else []
    run = subprocess.run([sys.executable, "-m", "mutmut", "run", *names], cwd=FOLDER, check=False)
    if run.returncode:
        sys.exit(run.returncode)
    print("\nNo test noticed these; `mutmut show NAME` in .cache/mutation shows one:")
    for file in chosen:
        print(*[name for name, end in ends(file).items() if end in ("survived", "no tests")], sep="\n")
    table = "\n".join(rows(chosen))
    print(f"\n{table}")
    if not words:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.partition(END)[2]}")


def prepare() -> list[str]:
    """Copy what has changed. Return the files to mutate, relative to the folder of sources."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    leave = shutil.ignore_patterns("__pycache__", "node_modules", ".*")
    for place in ("src", "adapters", *BESIDE):
        to = FOLDER / ("src" if place == "adapters" else place)
        if (ROOT / place).is_dir():
            shutil.copytree(ROOT / place, to, ignore=leave, dirs_exist_ok=True)
        else:
            shutil.copy2(ROOT / place, to)
    sources = FOLDER / "src"
    files = sorted({str(file.relative_to(sources)) for pattern in MUTATED for file in sources.glob(pattern)})
    configuration = CONFIGURATION.format(
        only=json.dumps([f"src/{file}" for file in files]),
        copied=json.dumps(BESIDE),
        unmutated=json.dumps(f"not ({' or '.join(UNMUTATED)})"),
        tests=json.dumps(
            sorted(str(file.relative_to(ROOT)) for pattern in TESTS for file in (ROOT / "tests").glob(pattern))
        ),
    )
    (FOLDER / "pyproject.toml").write_text(configuration)
    return files


def module(file: str) -> str:
    return file.removesuffix(".py").replace("/", ".")


def ends(file: str) -> dict[str, str]:
    """Return the result of each mutant of a file, in mutmut's words."""
    codes = json.loads((FOLDER / "mutants" / "src" / f"{file}.meta").read_text())["exit_code_by_key"]
    return {name: status_by_exit_code[code] for name, code in codes.items()}


def rows(files: list[str]) -> Iterator[str]:
    """Format a table in Markdown: the number of mutants of each module, and the tests that noticed them."""
    yield "| module | mutants | noticed by mypy | noticed by a test | by neither | noticed |"
    yield "|---|---:|---:|---:|---:|---:|"
    total: Counter[str] = Counter()
    for file in files:
        counts = Counter(ends(file).values())
        total.update(counts)
        yield row(f"`{module(file)}`", counts)
    yield row("all", total)


def row(name: str, counts: Counter[str]) -> str:
    mutants, types = counts.total(), counts["caught by type check"]
    killed = counts["killed"] + counts["timeout"]
    share = 100 * (types + killed) / mutants
    return f"| {name} | {mutants:,} | {types:,} | {killed:,} | {mutants - types - killed:,} | {share:.1f} % |"


if __name__ == "__main__":
    main(sys.argv[1:])
