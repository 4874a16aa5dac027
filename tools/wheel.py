"""Build wheel and sdist, install the wheel in an empty environment, and run the fast tests without the sources.

Run by `make wheel` from the repository's root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# The tests need these beside the wheel; constraints.txt pins them.
TESTING = ["a2wsgi", "anyio", "django", "fastapi", "pillow", "pytest-asyncio", "pytest-xdist", "starlette", "trio"]


def main() -> None:
    wheel = built()
    check_files(wheel)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python = folder / "venv" / "bin" / "python"
        run(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
        install(python, wheel)
        run(python, "-c", BARE, cwd=folder)
        install(python, f"{wheel}[all,testing]", *TESTING, "--constraint", ROOT / "constraints.txt")
        shutil.copytree(ROOT, folder / "rest", ignore=ignored)
        # Tests that start another Python look for the sources by their path. There they find the wheel's files.
        for place in ("src", "adapters"):
            shutil.unpack_archive(wheel, folder / "rest" / place, "zip")
        options = ["-q", "-n", "2", "--dist", "loadfile", "-m", "not runtime", "-p", "no:cacheprovider"]
        options += ["-o", "pythonpath=tests ."]
        run(python, "-m", "pytest", *options, cwd=folder / "rest")


def ignored(folder: str, names: list[str]) -> set[str]:
    """Return the names that aren't copied: sources and built files, at the root only, because samples have a src, too."""
    own = {"src", "adapters", "dist"} if Path(folder) == ROOT else set[str]()
    return own | shutil.ignore_patterns(".*", "__pycache__")(folder, names)


def built() -> Path:
    """Build the wheel and the sdist in dist/; return the wheel."""
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--target", "sdist", cwd=ROOT)
    (wheel,) = (ROOT / "dist").glob("*.whl")
    return wheel


def check_files(wheel: Path) -> None:
    """Print the wheel's size. Fail if a package lacks py.typed, or if the wheel has files that don't belong."""
    roots = sorted(
        folder.name for place in ("src", "adapters") for folder in (ROOT / place).iterdir() if folder.is_dir()
    )
    names = zipfile.ZipFile(wheel).namelist()
    for root in roots:
        files = [name for name in names if name.startswith(f"{root}/")]
        print(f"{root}: {len(files)} files")
        assert f"{root}/py.typed" in files, f"{root} has no py.typed"
    code = [name for name in names if name.partition("/")[0] in roots and name.endswith((".py", "/py.typed"))]
    tests = [name for name in code if Path(name).name.startswith(("test_", "conftest"))]
    strange = tests + [name for name in names if name not in code and ".dist-info/" not in name]
    assert not strange, f"not expected in the wheel: {strange}"
    print(f"{wheel.name}: {wheel.stat().st_size / 1024:.0f} kB, {len(names)} files")


def install(python: Path, *arguments: object) -> None:
    """Install into the interpreter's environment, which has no pip."""
    run(sys.executable, "-m", "pip", "--python", python, "install", "-qq", "--disable-pip-version-check", *arguments)


def run(*command: object, cwd: Path | None = None) -> None:
    """Run the command without this shell's import path. If it fails, this program ends."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run([str(word) for word in command], cwd=cwd, env=variables, check=False)
    if result.returncode:
        sys.exit(result.returncode)


# Without extras nothing else is installed, and everything that needs no extra works.
BARE = """
from importlib.metadata import distributions

installed = [distribution.name for distribution in distributions()]
assert installed == ["portable-fn"], installed
print("no dependency came along")

from portable_fn import Request, on, portable
from portable_fn.testing import deliver, fake

@portable(on.http("GET", "/hello/{name}"))
def hello(request: Request) -> dict:
    return {"hello": request.params["name"]}

for provider in ("aws", "cloudflare", "asgi"):
    assert deliver(hello, fake.request("GET", "/hello/Ada"), to=provider).json() == {"hello": "Ada"}
"""


if __name__ == "__main__":
    main()
