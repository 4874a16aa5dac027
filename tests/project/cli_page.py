"""Write docs/reference/cli.md from the commands' own help: `python -m tests.project.cli_page`; a test keeps it up to date."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("src", "adapters") if str(ROOT / folder) not in sys.path]
PAGE = ROOT / "docs" / "reference" / "cli.md"

HEAD = """# Command line

`portable-fn` is in the extras `cli` and `testing`: `pip install './portable_fn[testing]'`, from the folder that holds your checkout. `python -m portable_fn`
is the same. Defaults for providers and services come from [pyproject.toml](settings.md#pyprojecttoml). `portable-fn --version` prints the version.

This page has what `portable-fn COMMAND --help` prints.
"""


def page() -> str:
    """Return the page's text."""
    import typer

    from portable_fn.cli import command

    (app,) = (value for value in vars(command).values() if isinstance(value, typer.Typer))
    commands: Any = typer.main.get_command(app)
    return "\n".join([HEAD, *(_section(name, one) for name, one in commands.commands.items())])


def _section(name: str, command: Any) -> str:
    epilog = re.sub(r"\[/?bold\]", "", command.epilog or "")
    examples, _, codes = epilog.partition("Exit codes")
    shown = "\n".join(line.strip() for line in examples.replace("Examples", "").strip().splitlines())
    lines = [f"## {name}", "", _prose(command.help), "", "| argument, option | value | |", "|---|---|---|"]
    for one in command.params:
        words = ", ".join(f"`{word}`" for word in one.opts)
        metavar = (one.metavar or "").strip("{}")
        if one.param_type_name == "argument":
            words, metavar = f"`{metavar or one.name.upper()}`", ""
        lines.append(f"| {words} | {f'`{metavar}`'.replace('|', ' or ') if metavar else ''} | {_prose(one.help)} |")
    lines += ["", "```text", shown, "```", "", "| exit code | |", "|---|---|"]
    for number, text in re.findall(r"^\s*(\d)  (.*(?:\n(?!\s*\d  ).*\S.*)*)", codes, re.MULTILINE):
        lines.append(f"| {number} | {_prose(text)} |")
    return "\n".join(lines) + "\n"


def _prose(text: str | None) -> str:
    return re.sub(r"\[/?bold\]", "", " ".join((text or "").split())).replace("|", "\\|").replace("*", "\\*")


if __name__ == "__main__":
    PAGE.write_text(page())
