"""Follow a page as a reader would: write the files that it shows, run its commands, compare what they print."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from socket import create_connection, socket
from time import monotonic, sleep

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# ([\w/.]+)(, at the end|, changed)?\n")
# The environment of the tests has what these install, and a cloud is needed for the last ones.
SKIPPED = (
    "pip ", "python3 -m venv", "source ", "cd ", "(cd ", "cp ", "mkdir ", "make ", "aws ", "sam ", "gcloud ", "func ", "npx ", "az ",
)  # fmt: skip
SERVER = re.compile(r"(\w+=\w+ )*uvicorn ")
PORT = "8000"


def follow(page: Path, folder: Path) -> list[str]:
    """Follow the page's fenced blocks in an empty folder, and return the commands that ran.

    A block of `py` that begins with a file's name is that file, or its end, or other decorators of one of its functions. A block of `sh` is run; the block of `text` behind it is what its
    last command prints, where `…` stands for anything. A server runs until the next one starts.
    """
    ran: list[str] = []
    printed, failed = "", ""
    (folder / ".curlrc").write_text("silent\nshow-error\n")
    with ExitStack() as running, socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
        free.close()
        for language, text in FENCE.findall(page.read_text()):
            if language != "text":
                assert not failed, failed
            if language == "sh":
                for command in commands(text):
                    if command.startswith(SKIPPED):
                        continue
                    ran.append(command)
                    local = command.replace(PORT, port).replace("| sh", f"| sed s/{PORT}/{port}/ | sh")
                    if SERVER.match(command):
                        running.close()
                        running.callback(serve(f"{local} --port {port}", folder, int(port)))
                    else:
                        assert not failed, failed
                        printed, code = run(local, folder)
                        printed = printed.replace(port, PORT)
                        failed = f"{command} ended with {code}: {printed}" if code else ""
            elif language == "text":
                assert matches(text, printed), f"{ran[-1]} printed\n{printed}\nbut the page has\n{text}"
                failed = ""
            elif named := FILE.match(text):
                file = folder / named[1]
                file.parent.mkdir(parents=True, exist_ok=True)
                write(file, text[named.end() :], named[2])
    assert not failed, failed
    return ran


def write(file: Path, text: str, how: str | None) -> None:
    """Write a file; or add to its end; or change the decorators of a function, whose `def` is the text's last line."""
    if how == ", changed":
        decorators, line = text.rstrip().rsplit("\n", 1)
        before, after = file.read_text().split(f"{line}\n")
        text = f"{before[: before.rstrip().rindex(chr(10)) + 1]}{decorators}\n{line}\n{after}"
    with file.open("a" if how == ", at the end" else "w") as writing:
        writing.write(text)


def commands(text: str) -> list[str]:
    """Return the commands of a block, without comments; a line that ends in a backslash goes on."""
    lines = re.sub(r"\s*\\\n\s*", " ", text).splitlines()
    return [command for line in lines if (command := re.sub(r"(^|\s+)# .*$", "", line).strip())]


def matches(expected: str, printed: str) -> bool:
    """Say if the text is what was printed, apart from spaces at a line's end."""
    pattern = re.escape(_trimmed(expected)).replace("…", "(?s:.*?)")
    return re.fullmatch(pattern, _trimmed(printed)) is not None


def run(command: str, folder: Path) -> tuple[str, int]:
    """Run a shell command, and return what it prints and its exit code."""
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=_variables(folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.stdout + done.stderr, done.returncode


def serve(command: str, folder: Path, port: int):  # type: ignore[no-untyped-def]  # a callback
    """Start a server, and return what stops it."""
    server = subprocess.Popen(["env", *command.split()], cwd=folder, env=_variables(folder), stderr=subprocess.DEVNULL)
    deadline = monotonic() + 30
    while True:
        try:
            create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if monotonic() > deadline or server.poll() is not None:
                server.kill()
                raise
            sleep(0.05)
        else:
            break

    def stop() -> None:
        server.terminate()
        server.wait(10)

    return stop


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def _variables(folder: Path = ROOT) -> dict[str, str]:
    scripts = Path(sys.executable).parent
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PORTABLE_FN"))},
        "PATH": os.pathsep.join([str(scripts), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in ("src", "adapters")),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_ADDOPTS": "-p no:cacheprovider -p no:asyncio -p no:xdist",
        "CURL_HOME": str(folder),
        "COLUMNS": "80",
        "NO_COLOR": "1",
    }


def available(*programs: str) -> bool:
    """Say if the environment has the programs."""
    return all(shutil.which(name, path=_variables()["PATH"]) for name in programs)
