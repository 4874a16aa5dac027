"""Measure what portable_fn adds to a Worker in Python: start-up time and size."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

from benchmarks.report import Section, Table, median
from benchmarks.staging import Staged
from tests.runtimes import cloudflare
from tests.runtimes.environments import Unavailable

# Nothing in a Worker imports these.
LEFT_OUT = ("portable_fn/cli", "portable_fn/testing")


def measure(code: Staged, quick: bool) -> Section:
    """Measure the import of the adapter in real workerd, and the size of the deployment."""
    rounds = 2 if quick else 11
    section = Section(
        f"In workerd, a Worker that has Cloudflare's SDK imported: medians of {rounds} fresh workerd processes, in "
        "milliseconds of the first request that imports the module, less a request that imports nothing. It is without the "
        "memory snapshot that a deployment makes. The bundle is assembled by us from npm's pyodide."
    )
    if not code.has("cloudflare"):
        section.missing.append("there is no adapter for Cloudflare yet.")
        return section
    packages = [code.packages / "portable_fn", code.packages / "portable_fn_cloudflare"]
    modules = {
        "json, which both need": "json",
        "portable_fn_cloudflare, with portable_fn": "portable_fn_cloudflare",
    }
    rows: list[list[Any]] = []
    try:
        times: dict[str, list[float]] = {name: [] for name in modules}
        for _ in range(rounds):
            for name, module in modules.items():
                times[name].append(cloudflare.import_time(module, packages=packages))
        rows = [[name, median(taken), min(taken)] for name, taken in times.items()]
    except Unavailable as exc:
        section.missing.append(f"import time: {exc}.")
    section.tables.append(Table("Import time", ["", "median", "least"], rows))
    sizes: list[list[Any]] = []
    for shown, folders in (
        ("portable_fn and portable_fn_cloudflare", packages),
        ("of these portable_fn.cli and portable_fn.testing", [code.packages / name for name in LEFT_OUT]),
    ):
        files = [path.read_bytes() for folder in folders for path in _files(folder)]
        sizes.append([shown, len(files), sum(map(len, files)) / 1024, len(gzip.compress(b"".join(files))) / 1024])
    section.tables.append(Table("Size of the bundle, in KiB", ["", "files", "as it is", "gzip"], sizes))
    return section


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".pyc"]
