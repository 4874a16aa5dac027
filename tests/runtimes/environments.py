"""Virtual environments and npm folders for the real runtimes, made once and cached under the git-ignored .cache/."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
REQUIREMENTS = Path(__file__).resolve().parent / "requirements"


class Unavailable(Exception):
    """This machine can't have the runtime. The skip shows the message. A failed install isn't a skip."""


def venv(name: str, *, python: str = sys.executable, no_deps: bool = False) -> Path:
    """The interpreter of an environment holding requirements/<name>.txt.

    With no_deps, requirements/<name>-no-deps.txt is installed as well, without dependencies and without
    regard to the Python versions that its packages declare.
    """
    files = [REQUIREMENTS / f"{name}.txt"]
    if no_deps:
        files.append(REQUIREMENTS / f"{name}-no-deps.txt")
    version = subprocess.run(
        [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], check=True, capture_output=True, text=True
    ).stdout.strip()
    folder = CACHE / "venvs" / f"{name}-{version}-{_digest(files)}"
    interpreter = folder / "bin" / "python"
    with made_once(folder) as needed:
        if needed:
            _run([python, "-m", "venv", str(folder)])
            pip = [str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            _run([*pip, "-r", str(files[0])])
            if no_deps:
                _run([*pip, "--no-deps", "--ignore-requires-python", "-r", str(files[1])])
    return interpreter


def npm(name: str) -> Path:
    """The folder whose node_modules holds what requirements/<name>.package.json pins."""
    manifest = REQUIREMENTS / f"{name}.package.json"
    folder = CACHE / "npm" / f"{name}-{_digest([manifest])}"
    with made_once(folder) as needed:
        if needed:
            if shutil.which("npm") is None:
                raise Unavailable("npm is not on this machine")
            folder.mkdir(parents=True)
            shutil.copy(manifest, folder / "package.json")
            _run(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"], cwd=folder)
    return folder


def downloaded(name: str, requirement: str, *pip_options: str) -> Path:
    """A folder with the unpacked wheel of one requirement, which is never installed."""
    folder = CACHE / "wheels" / f"{name}-{hashlib.sha256(requirement.encode()).hexdigest()[:12]}"
    with made_once(folder) as needed:
        if needed:
            folder.mkdir(parents=True)
            _run(
                [
                    sys.executable,
                    "-m",
                    "pip",
                    "download",
                    "--quiet",
                    "--disable-pip-version-check",
                    "--no-deps",
                    "--only-binary=:all:",
                    "--dest",
                    str(folder),
                    *pip_options,
                    requirement,
                ]
            )
            for wheel in folder.glob("*.whl"):
                shutil.unpack_archive(wheel, folder, "zip")
                wheel.unlink()
    return folder


def vendored(name: str, *pip_options: str) -> Path:
    """A folder to import from, holding requirements/<name>.txt as wheels of another platform, complete by its pins."""
    requirements = REQUIREMENTS / f"{name}.txt"
    folder = CACHE / "vendored" / f"{name}-{_digest([requirements])}"
    with made_once(folder) as needed:
        if needed:
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
            wheels = ["--only-binary=:all:", "--no-compile", "--target", str(folder), *pip_options]
            _run([*pip, *wheels, "-r", str(requirements)])
    return folder


def pythons() -> dict[str, str]:
    """Working interpreters on this machine by version ("3.13"), besides those of virtual environments."""
    candidates = [sys.executable, *(f"python3.{minor}" for minor in range(11, 15))]
    candidates += map(str, sorted(Path.home().glob(".pyenv/versions/3.*/bin/python")))
    found: dict[str, str] = {}
    for candidate in candidates:
        path = shutil.which(candidate)
        if path is None:
            continue
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        result = subprocess.run([path, "-c", code], check=False, capture_output=True, text=True)
        if result.returncode == 0:
            found.setdefault(result.stdout.strip(), path)
    return found


@contextmanager
def made_once(folder: Path) -> Iterator[bool]:
    """Whether the folder must be made, under a lock; marks it as made when the block succeeds."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    done = folder.with_name(f"{folder.name}.done")
    with open(folder.with_name(f"{folder.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.exists() and folder.exists():
            yield False
            return
        shutil.rmtree(folder, ignore_errors=True)
        yield True
        done.touch()


def _digest(files: list[Path]) -> str:
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:12]


def _run(command: list[str], cwd: Path | None = None) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    result = subprocess.run(command, check=False, cwd=cwd, env=environment, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command[:6])} … failed: {(result.stderr or result.stdout).strip()[-600:]}")
