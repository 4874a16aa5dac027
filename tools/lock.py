"""Pin by hash what `make` installs: `make lock` writes requirements/*.txt from pyproject.toml, constraints.txt and requirements/*.in.

Each file holds for Python 3.11 to 3.14 and every system. Run it after a change of a version or an extra.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# What uv resolves, by file.
LOCKS = {
    "dev.txt": ("pyproject.toml", "--extra", "dev", "--extra", "mutation"),
    "demo.txt": ("requirements/demo.in",),
}
HEADER = "# Written by `make lock`: change constraints.txt or pyproject.toml, then run it again.\n"


def main() -> int:
    """Write the files. They change only if their inputs do."""
    for name, sources in LOCKS.items():
        command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", *sources]
        command += ["--constraint", "constraints.txt", "--universal", "--python-version", "3.11"]
        # Without the name of an index: everybody has another one.
        command += ["--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
        result = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        (ROOT / "requirements" / name).write_text(HEADER + result.stdout)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
