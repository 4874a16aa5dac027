"""Ban phrases of docs, docstrings, comments, messages and names that readers stumble over.

not_yet_plain.txt lists the files that still have some. Run `python -m tests.project.test_plain_english FILE…` to see them; without a
file, it takes files that are plain by now off the list, which only shrinks.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = next(folder for folder in Path(__file__).resolve().parents if (folder / "pyproject.toml").exists())
NOT_YET_PLAIN = Path(__file__).with_name("not_yet_plain.txt")
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
    listed = NOT_YET_PLAIN.read_text().split()
    dirty = {name: phrases for name, text in texts().items() if (phrases := banned(text))}

    assert {} == {name: phrases for name, phrases in dirty.items() if name not in listed}
    assert [] == [name for name in listed if name not in dirty], (
        "plain by now: python -m tests.project.test_plain_english"
    )


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
    files = sys.argv[1:]
    for name in files:
        print(*banned(Path(name).read_text()), sep="\n")
    if not files:
        every = texts()
        NOT_YET_PLAIN.write_text(
            "".join(f"{name}\n" for name in NOT_YET_PLAIN.read_text().split() if banned(every.get(name, "")))
        )
