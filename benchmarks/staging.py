"""Prepare what the measured processes import: portable_fn as installed, the peers, and compiled bytecode for all."""

from __future__ import annotations

import compileall
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.runtimes.environments import ROOT, venv

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Staged:
    """A new folder for each run, so that an edit during the run changes nothing."""

    folder: Path

    @property
    def packages(self) -> Path:
        """The folder with portable_fn and its adapters side by side, as a wheel installs them."""
        return self.folder / "packages"

    def pythonpath(self, *peers: str) -> list[Path]:
        """The import path, equal for all contenders, so that no search is shorter."""
        return [self.packages, *(self.folder / name for name in ("inside", *peers))]

    def has(self, provider: str) -> bool:
        """Return whether the adapter exists."""
        return (self.packages / f"portable_fn_{provider}" / "entry.py").exists()


@contextmanager
def staged() -> Iterator[Staged]:
    """Copy and compile what is measured."""
    with TemporaryDirectory(prefix="portable-fn-benchmarks-") as name:
        folder = Path(name)
        leave_out = shutil.ignore_patterns("__pycache__")
        for source in (ROOT / "src/portable_fn", *sorted((ROOT / "adapters").glob("portable_fn_*"))):
            shutil.copytree(source, folder / "packages" / source.name, ignore=leave_out)
        for source in (HERE / "inside", *(HERE / "peers").iterdir(), ROOT / "samples/hello"):
            target = folder / ("sample" if source.name == "hello" and source.parent.name == "samples" else source.name)
            shutil.copytree(source, target, ignore=leave_out)
        # The environments have this interpreter, so they read its bytecode.
        compileall.compile_dir(folder, quiet=1)
        yield Staged(folder)


def interpreter(provider: str) -> Path:
    """Return the environment that all contenders of a provider share."""
    names = {"aws": "bench-aws", "azure": "azure", "firestore": "bench-firestore"}
    return venv(names.get(provider, provider), no_deps=provider == "azure")


def site_packages(python: Path) -> Path:
    """Return the folder of an environment's packages."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip())


def versions() -> dict[str, str]:
    """Return the versions that are compared, by distribution."""
    wanted = {
        "aws": ("aws-lambda-powertools", "awslambdaric", "mangum", "starlette"),
        "gcp": ("functions-framework", "Flask"),
        "azure": ("azure-functions",),
        "asgi": ("uvicorn", "uvloop", "httptools", "starlette"),
        "firestore": ("google-events", "proto-plus", "protobuf"),
    }
    found: dict[str, str] = {}
    for provider, names in wanted.items():
        code = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
        command = [str(interpreter(provider)), "-c", code, *names]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        found.update(zip(names, answer, strict=True))
    return {"python": sys.version.split()[0], **found}
