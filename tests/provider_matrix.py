"""docs/providers.md, from what the harnesses say: `python -m tests.provider_matrix` writes it, a test keeps it true."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [
    str(Path(__file__).parent),
    *(str(Path(__file__).parents[1] / folder) for folder in ("src", "adapters")),
]

from harnesses import IN_PROCESS, Harness
from portable_fn.testing.stories import HTTP_STORIES
from tests.runtimes.harnesses import REAL

PAGE = Path(__file__).parents[1] / "docs" / "providers.md"

HEAD = f"""# What each provider can't do

Generated from the tests by `make providers`. There are {len(HTTP_STORIES)} stories of HTTP in
`portable_fn.testing.stories`; each is told through every harness below. Here are those that can't hold somewhere. A story that is
not here holds everywhere, and one that is here is tested to fail there, so that the list doesn't outlive its reasons.

The runtimes are real; what stands before them in the cloud is played: API Gateway, ALB and VPC Lattice by `portable_fn_aws.simulate`
(after AWS's documentation and recorded payloads), Google's front end and Cloudflare's edge by the headers that they add, Azure's host
by a mock that keeps the rules read in its source. By documentation alone, shown by nothing here: that API Gateway and function URLs
read the streaming format as `portable_fn_aws.runtime` writes it, and that ALB with single-value headers and VPC Lattice send out headers
whose names differ in case alone, which is how several cookies get through them.
"""


def page() -> str:
    """The text of docs/providers.md."""
    reasons: dict[str, int] = {}
    parts = [HEAD, "## On the real runtimes\n", *_tables(REAL, reasons)]
    parts += ["\n## In process, through `simulate`\n", *_tables(IN_PROCESS, reasons)]
    parts += ["\n## Reasons\n", *(f"{number}. {reason}" for reason, number in reasons.items())]
    return "\n".join(parts) + "\n"


def _tables(harnesses: list[Harness], reasons: dict[str, int]) -> list[str]:
    lines = ["| harness | story that can't hold | reason |", "|---|---|---|"]
    for harness in harnesses:
        cells = [(story.name, harness.cannot[story.name]) for story in HTTP_STORIES if story.name in harness.cannot]
        for story, reason in cells or [("none", "")]:
            number = f"[{reasons.setdefault(reason, len(reasons) + 1)}](#reasons)" if reason else ""
            lines.append(f"| {harness.name} | {story} | {number} |")
    return lines


def check_names() -> None:
    """Raises ValueError where a harness can't tell a story that there isn't."""
    known = {story.name for story in HTTP_STORIES}
    for harness in (*IN_PROCESS, *REAL):
        if unknown := set(harness.cannot) - known:
            raise ValueError(f"{harness.name} can't tell stories that there aren't: {sorted(unknown)}")


if __name__ == "__main__":
    PAGE.write_text(page())
