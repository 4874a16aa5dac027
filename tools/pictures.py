"""Draw the pictures of the docs: `python tools/pictures.py` writes docs/pictures/*.svg.

The picture of the demo shows what `make demo` prints now, so it is drawn only if named: `make -s demo | python tools/pictures.py demo`.
Each picture has its own background, so that it can be read on a light and on a dark page. They use no font or file from elsewhere.
"""

from __future__ import annotations

import re
import sys
from html import escape
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "pictures"

# By class, what it looks like on a light page, and what is different on a dark one.
LIGHT = """
text { font: 14px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: #1f2328 }
.page { fill: #ffffff; stroke: #d0d7de }
.box { fill: #f6f8fa; stroke: #8c959f }
.ours { fill: #ddf4ff; stroke: #0969da }
.yours { fill: #fff8c5; stroke: #9a6700 }
.good { fill: #dafbe1; stroke: #1a7f37 }
.again { fill: #fff1e5; stroke: #bc4c00 }
.dead { fill: #fbefff; stroke: #8250df }
.line { stroke: #59636e; stroke-width: 1.5; fill: none }
.rule { stroke: #d0d7de }
.head { fill: #59636e }
.small { font-size: 12.5px }
.soft { fill: #59636e }
.bold { font-weight: 600 }
.code { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 12.5px }
"""
DARK = """
text { fill: #e6edf3 }
.page { fill: #0d1117; stroke: #3d444d }
.box { fill: #21262d; stroke: #656c76 }
.ours { fill: #0c2d6b; stroke: #4493f8 }
.yours { fill: #3b2e00; stroke: #d29922 }
.good { fill: #04260f; stroke: #3fb950 }
.again { fill: #3d1300; stroke: #f0883e }
.dead { fill: #271052; stroke: #ab7df8 }
.line { stroke: #9198a1 }
.rule { stroke: #3d444d }
.head { fill: #9198a1 }
.soft { fill: #b1bac4 }
"""


class Picture:
    """An SVG of some size, with a title and a description for those who can't see it."""

    def __init__(self, width: int, height: int, title: str, description: str) -> None:
        self.width, self.height, self.title, self.description = width, height, title, description
        self.parts: list[str] = []

    def box(self, x: float, y: float, width: float, height: float, look: str, *lines: str) -> None:
        """Draw a rectangle with lines of text in its middle; `*bold*` and `` `code` `` mark a whole line."""
        self.parts.append(f'<rect class="{look}" x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/>')
        top = y + height / 2 - 9.5 * (len(lines) - 1)
        for number, line in enumerate(lines):
            self.text(x + width / 2, top + 19 * number, line, "middle")

    def text(self, x: float, y: float, line: str, anchor: str = "start", look: str = "") -> None:
        """Write a line whose middle is at `y`."""
        if line[:1] == line[-1:] and line[:1] in ("*", "`", "_"):
            look = f"{look} {({'*': 'bold', '`': 'code', '_': 'small soft'})[line[0]]}".strip()
            line = line[1:-1]
        place = f'x="{x:g}" y="{y + 4.8:g}"' + (f' text-anchor="{anchor}"' if anchor != "start" else "")
        self.parts.append(f"<text {place}{f' class={look!r}' if look else ''}>{escape(line)}</text>".replace("'", '"'))

    def arrow(self, *points: tuple[float, float], label: str = "", above: bool = True) -> None:
        """Draw a line with a head at its end, and a word at its first part's middle."""
        (x0, y0), (x1, y1) = points[-2:]
        dx, dy = (x1 > x0) - (x1 < x0), (y1 > y0) - (y1 < y0)
        path = "M" + " L".join(f"{x:g} {y:g}" for x, y in (*points[:-1], (x1 - 6 * dx, y1 - 6 * dy)))
        self.parts.append(f'<path class="line" d="{path}"/>')
        wing = [(x1 - 8 * dx + 4.5 * s * dy, y1 - 8 * dy + 4.5 * s * dx) for s in (1, -1)]
        corners = " ".join(f"{x:g},{y:g}" for x, y in ((x1, y1), *wing))
        self.parts.append(f'<polygon class="head" points="{corners}"/>')
        if label:
            (x0, y0), (x1, y1) = points[:2]
            at = ((x0 + x1) / 2, y0 + (-11 if above else 11)) if y0 == y1 else (x0 + 8, (y0 + y1) / 2)
            self.text(*at, label, "middle" if y0 == y1 else "start", "small soft")

    def rule(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """Draw a thin line."""
        self.parts.append(f'<path class="rule" d="M{x0:g} {y0:g} L{x1:g} {y1:g}"/>')

    def svg(self) -> str:
        """Return the picture."""
        size = f'viewBox="0 0 {self.width} {self.height}" width="{self.width}" height="{self.height}"'
        dark = DARK.strip().replace("\n", "\n  ")
        return "\n".join(
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title description">',
                f'<title id="title">{escape(self.title)}</title>',
                f'<desc id="description">{escape(self.description)}</desc>',
                f"<style>{LIGHT}@media (prefers-color-scheme: dark) {{\n  {dark}\n}}\n</style>",
                f'<rect class="page" x="0.5" y="0.5" width="{self.width - 1}" height="{self.height - 1}" rx="8"/>',
                *self.parts,
                "</svg>\n",
            )
        )


def pipeline() -> Picture:
    """Draw an event on its way through an adapter."""
    picture = Picture(
        760,
        300,
        "The pipeline",
        "A native payload is decoded to a neutral event and context. The dispatcher or router chooses the handler; middleware "
        "goes around it. Its result or exception is an outcome, which is encoded to the provider's native answer.",
    )
    picture.box(16, 40, 130, 60, "box", "*native payload*", "_from the provider_")
    picture.box(182, 40, 116, 60, "ours", "*decode*", "_pure function_")
    picture.box(352, 40, 136, 60, "ours", "*dispatch, route*", "_which function?_")
    picture.box(524, 20, 220, 230, "ours")
    picture.text(634, 38, "_middleware, batch, deadline_", "middle")
    picture.box(549, 100, 170, 70, "yours", "*your handler*", "_sync or async_")
    picture.box(352, 170, 136, 60, "ours", "*encode*", "_pure function_")
    picture.box(176, 170, 122, 60, "box", "*native answer*", "_to the provider_")
    picture.arrow((146, 70), (182, 70))
    picture.arrow((298, 70), (352, 70))
    picture.text(325, 26, "_event, context_", "middle")
    picture.arrow((488, 70), (634, 70), (634, 100))
    picture.arrow((634, 170), (634, 200), (488, 200))
    picture.text(565, 217, "_outcome_", "middle")
    picture.arrow((352, 200), (298, 200))
    for x, look, word in ((182, "box", "the provider's"), (352, "ours", "portable_fn's"), (524, "yours", "yours")):
        picture.box(x, 264, 18, 18, look)
        picture.text(x + 26, 273, word, look="small")
    return picture


# For each source, what acknowledges, retries and dead-letters a message.
SOURCES = (
    ("AWS: SQS", "deleted", "batchItemFailures", "sent to dead_letter"),
    ("AWS: Kinesis, DynamoDB", "checkpoint", "earlier checkpoint", "sent; the shard goes on"),
    ("AWS: SNS, S3, EventBridge", "call succeeds", "call fails: 2 more tries", "sent to dead_letter"),
    ("Google: Pub/Sub, Eventarc", "204", "503, or 429 Retry-After", "published, 204"),
    ("Azure: storage queue, blob", "call succeeds", "call fails: 5 tries", "sent to dead_letter"),
    ("Azure: Service Bus", "complete", "abandon", "sent, or its own"),
    ("Azure: Event Hubs, Cosmos", "checkpoint", "call fails: retry policy", "sent to dead_letter"),
    ("Cloudflare: Queues", "ack()", "retry({delaySeconds})", "sent to a binding, ack()"),
    ("Container: Knative", "202", "503 with Retry-After", "400: dead-letter sink"),
    ("Container: Dapr", "SUCCESS", "RETRY", "published, SUCCESS"),
)


def message() -> Picture:
    """Draw what becomes of a message on each provider."""
    top, row = 178, 32
    height = top + row * len(SOURCES) + 46
    words = ("acknowledged", "retried", "dead-lettered")
    rows = (f"{name}: {', '.join(map(': '.join, zip(words, values, strict=True)))}" for name, *values in SOURCES)
    picture = Picture(760, height, "What becomes of a message", "\n".join(rows))
    columns = ((216, 132, "good"), (358, 194, "again"), (562, 182, "dead"))
    heads = (
        ("returns", "*acknowledged*"),
        ("raises Retry, or any error", "*retried*"),
        ("raises Reject", "*dead-lettered*"),
    )
    picture.box(370, 16, 170, 40, "yours", "*your handler*")
    for (x, width, look), lines in zip(columns, heads, strict=True):
        middle = x + width / 2
        picture.arrow((455, 56), (455, 78), (middle, 78), (middle, 102))
        picture.box(x, 102, width, 56, look, *lines)
    for number, (name, *values) in enumerate(SOURCES):
        y = top + row * number + row / 2
        picture.rule(16, y - row / 2, 744, y - row / 2)
        picture.text(16, y, name, look="small bold")
        for (x, _, _), value in zip(columns, values, strict=True):
            picture.text(x + 10, y, value, look="small")
    picture.rule(16, height - 46, 744, height - 46)
    picture.text(
        16, height - 23, "_Without dead_letter=, or if it can't be sent: retried, and logged. Nothing is lost._"
    )
    return picture


def envelopes() -> Picture:
    """Draw an S3 notification in SNS in SQS, and who gets what of it."""
    picture = Picture(
        760,
        344,
        "Nested envelopes",
        "An S3 notification is in an SNS message, which is in an SQS message of uploads-queue. A function with "
        "on.queue('uploads-queue') gets the message. A function with on.object('uploads', via='uploads-queue') gets the "
        "ObjectEvent; its envelopes are the SQS message and the SNS message. The SQS message is acknowledged or retried.",
    )
    picture.box(16, 16, 330, 312, "box")
    picture.text(34, 40, "*SQS message of uploads-queue*")
    picture.text(34, 62, "_acknowledged, retried or dead-lettered_")
    picture.box(42, 84, 278, 218, "box")
    picture.text(58, 108, "*SNS message of uploads-topic*")
    picture.text(58, 130, "_an envelope_")
    picture.box(66, 156, 230, 120, "good", "*S3 notification*", "bucket uploads, key cat.png", "_the event inside_")
    picture.arrow((346, 62), (394, 62))
    picture.box(
        394, 16, 350, 92, "yours", '`on.queue("uploads-queue")`', "*Message*", "_the SNS message, whatever is in it_"
    )
    picture.arrow((296, 190), (394, 190))
    picture.box(
        394,
        144,
        350,
        92,
        "yours",
        '`on.object("uploads", via="uploads-queue")`',
        "*ObjectEvent*",
        "_upload.key is cat.png_",
    )
    for number, (code, text) in enumerate(
        (("envelopes[0]", "the SQS message"), ("envelopes[1]", "the SNS message"), ("native", "the record of S3"))
    ):
        picture.text(410, 264 + 24 * number, f"`upload.{code}`")
        picture.text(596, 264 + 24 * number, f"_{text}_")
    return picture


def routing() -> Picture:
    """Draw which function gets an event."""
    picture = Picture(
        760,
        456,
        "Which function gets an event",
        "1. Every function with a trigger that names the source gets the event. 2. Otherwise the function without triggers that "
        "takes the kind. 3. Otherwise the only function for such a source, whatever its name. 4. Otherwise the event is retried. "
        "If a filter of the trigger doesn't match, the event is acknowledged without a call.",
    )
    picture.box(16, 16, 330, 40, "box", "*an event of the queue “orders”*")
    questions = (
        ("Does a trigger name its source?", '`on.queue("orders")`', "all those functions", "_fan-out_"),
        ("Does a function take the kind without trigger?", "`@portable`", "that function", ""),
        (
            "Is only one function for such a source?",
            '`on.queue("another-name")`',
            "that function",
            "_names differ by stage_",
        ),
    )
    for number, (question, code, answer, why) in enumerate(questions):
        y = 92 + 102 * number
        picture.arrow((181, y - 36 if not number else y - 38), (181, y), label="no" if number else "")
        picture.box(16, y, 330, 64, "ours", question, code)
        picture.arrow((346, y + 32), (420, y + 32), label="yes")
        picture.box(420, y, 170, 64, "yours", *(line for line in (f"*{answer}*", why) if line))
        picture.arrow((590, y + 32), (624, y + 32))
    picture.arrow((181, 360), (181, 396), label="no")
    picture.box(16, 396, 330, 44, "again", "retried; the log says what the functions take")
    lines = ("*filter*", "_action, prefix,_", "_suffix, type_", "", "no match:", "acknowledged", "without a call")
    picture.box(624, 92, 120, 268, "good", *lines)
    return picture


def demo(output: str) -> Picture:
    """Draw what a terminal shows."""
    lines = output.rstrip("\n").split("\n")
    while not lines[0].startswith("GET "):
        del lines[0]
    across, down = 7.3, 17
    picture = Picture(
        int(max(map(len, lines)) * across) + 40,
        len(lines) * down + 86,
        "What make demo prints",
        "A table with a row for each of the five providers: the native request, what the handler sees, the native answer, what "
        "the caller gets, and the overhead in microseconds. All five callers get 200 and the same JSON.",
    )
    for number, look in enumerate(("again", "yours", "good")):
        picture.parts.append(f'<circle class="{look}" cx="{24 + 20 * number}" cy="22" r="6"/>')
    picture.text(20, 52, "$ make demo", look="code bold")
    start = 76
    edges = [place for place, char in enumerate(lines[1]) if char in "╭┬╮"]
    rows = [number for number, line in enumerate(lines) if line[:1] in "╭├╰" and line]
    for number in rows:
        y = start + number * down
        picture.rule(20 + (edges[0] + 0.5) * across, y, 20 + (edges[-1] + 0.5) * across, y)
    for edge in edges:
        x = 20 + (edge + 0.5) * across
        picture.rule(x, start + rows[0] * down, x, start + rows[-1] * down)
    for number, line in enumerate(lines):
        if number in rows:
            continue
        look = "code bold" if number == rows[0] + 1 else "code"
        for found in re.finditer(r"[^│]+", line):
            text = found[0].rstrip()
            left = len(text) - len(text.lstrip())
            if text := text.strip():
                x = 20 + (found.start() + left) * across
                picture.parts.append(
                    f'<text class="{look}" x="{x:.1f}" y="{start + number * down + 4:g}" textLength="{len(text) * across:.1f}">'
                    f"{escape(text)}</text>"
                )
    return picture


DRAWN = {draw.__name__: draw for draw in (pipeline, message, envelopes, routing)}


def main() -> None:
    """Write the pictures."""
    if sys.argv[1:] == ["demo"]:
        (FOLDER / "demo.svg").write_text(demo(sys.stdin.read()).svg())
        return
    for name, draw in DRAWN.items():
        (FOLDER / f"{name}.svg").write_text(draw().svg())


if __name__ == "__main__":
    main()
