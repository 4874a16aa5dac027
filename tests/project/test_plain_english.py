"""Ban phrases of docs, docstrings, comments, messages and names that readers stumble over.

Run `python -m tests.project.test_plain_english FILE…` to see those of a file.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = next(folder for folder in Path(__file__).resolve().parents if (folder / "pyproject.toml").exists())
# Left out: payloads that others wrote, the history as it was written, and the list of phrases itself.
SUFFIXES = (".md", ".py", ".toml", ".yml")
LEFT_OUT = ("tests/payloads/", "CHANGELOG.md", Path(__file__).resolve().relative_to(ROOT).as_posix())
BUILT = {"node_modules", "package", "python_modules", "site"}

# By phrase, what to write instead. Spaces, "_" and what lies between two lines of a comment are one space each.
BETTER = {
    r"(?<!there )is no(?! longer| more)": "isn't a",
    r"(?<!there )(is|are) (?-i:none)": "isn't one",
    r"what (is|are) (no|to be)": "name the thing",
    r"(is|are) to be": "must be, will be",
    r"com(e|es|ing) again|came again": "is redelivered",
    r"(has|have|had|having) (it|them|all|that|the \w+) come": "retries",
    r"hand(s|ed|ing)? over": "passes, delivers",
    r"whoever": "name who it is",
    r"of (its|their|one's|his|her) own": "its own",
    r"as (it|they) (came|comes?)": "unchanged",
    r"(error|none|false|true|unavailable) where": "if",
    r"where (it|they|one|none|nothing|that|there) (isn't|aren't|can|can't|doesn't|does|fails?|raises?)": "if, when",
    r"where (it|one|that) is (set|given|known|one|none|asked|called|left)": "if",
    r"(is|are|be|was|were) told": "name who says it, and how",
    r"(makes|has made|have made) of": "say what it does",
    r"(come|comes|came) of": "is decoded from, results from",
    r"the roads?": "the pipeline, the path",
    r"anew": "again",
    r"but for": "except",
    r"(is|isn't|are|aren't|not|never) begun": "started",
    r"for want of|lest|in the midst": "without, so that, during",
}
PHRASES = re.compile("|".join(rf"\b({phrase})\b" for phrase in BETTER), re.IGNORECASE)


def texts() -> dict[str, str]:
    """Return the project's texts by file."""
    found = {}
    for folder in (".", ".github", "adapters", "benchmarks", "docs", "samples", "src", "tests", "tools"):
        for path in sorted((ROOT / folder).glob("*" if folder == "." else "**/*")):
            name = path.relative_to(ROOT).as_posix()
            if path.suffix in SUFFIXES and not name.startswith(LEFT_OUT) and not BUILT.intersection(name.split("/")):
                found[name] = path.read_text()
    return found


def banned(text: str) -> list[str]:
    """Return each banned phrase with the words around it."""
    line = re.sub(r"[\s#_]+", " ", text)
    return [f"…{line[max(0, m.start() - 40) : m.end() + 30]}… ({m[0]})" for m in PHRASES.finditer(line)]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not the whole repository, as in make wheel")
def test_files_are_in_plain_english() -> None:
    assert {} == {name: phrases for name, text in texts().items() if (phrases := banned(text))}


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("# The whole batch comes\n    # again.", ["comes again"]),
        ("def test_it_comes_again() -> None:", ["comes again"]),
        ("There is no queue; it is no longer there, if value is None", []),
        ("A body that is no JSON, whoever sent it", ["is no", "whoever"]),
        ("None where it is none", ["None where", "is none"]),
    ],
)
def test_a_phrase_is_found_across_lines_and_in_names(text: str, phrases: list[str]) -> None:
    assert phrases == [found.rpartition("(")[2].rstrip(")") for found in banned(text)]


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(*banned(Path(name).read_text()), sep="\n")
