"""Hooks of the documentation's site: the project's own pages, links out of docs/, and a check that no page loads from elsewhere.

MkDocs loads this file: see `hooks` in mkdocs.yml.
"""

from __future__ import annotations

import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
# Pages that live in the repository's root, because GitHub looks for them there, with their names in the site. MkDocs takes README.md for index.md.
PROJECT = {name: f"project/{name.lower()}" for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")}
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s#:]+)(#[^)\s]*)?\)")
CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]+`", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the repository's own pages."""
    from mkdocs.structure.files import File

    for name, place in PROJECT.items():
        files.append(File.generated(config, place, content=(ROOT / name).read_text()))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Make the links lead to pages of the site, as they lead to files on GitHub."""
    return site_links(markdown, page.file.src_uri)


def on_post_build(config: MkDocsConfig) -> None:
    """Fail if a page would load something from another host, or shows Markdown that wasn't read as such."""
    from mkdocs.exceptions import PluginError

    problems = []
    for page in sorted(Path(config.site_dir).rglob("*.html")):
        html = page.read_text()
        name = page.relative_to(config.site_dir)
        problems += [f"{name} loads from another host: {request}" for request in external_requests(html)]
        unread = unread_markdown(html)
        problems += [f"{name} shows Markdown as text (indent by 4, leave a line empty): {line}" for line in unread]
    if problems:
        raise PluginError("\n".join(problems))


def site_links(markdown: str, source: str) -> str:
    """Return a page's text with links between pages of docs/ and of the root as the site has them.

    A link to another file of the repository, such as a sample, becomes its path as code: the site doesn't have it.

    Args:
        source: The page's path in the site, such as `reference/aws.md`.
    """
    here = ROOT if source in PROJECT.values() else ROOT / "docs" / Path(source).parent

    def link(match: re.Match[str]) -> str:
        text, target, anchor = match[1], match[2], match[3] or ""
        path = Path(os.path.normpath(here / target))
        if not path.exists():
            return match[0]  # MkDocs names it
        name = path.relative_to(ROOT)
        if path.is_relative_to(ROOT / "docs"):
            place = str(path.relative_to(ROOT / "docs"))
        elif not (place := PROJECT.get(str(name), "")):
            return text if name.name in text or str(name) in text else f"{text} (`{name}`)"
        return f"[{text}]({os.path.relpath(place, Path(source).parent)}{anchor})"

    parts, end = [], 0
    for code in CODE.finditer(markdown):
        parts += [LINK.sub(link, markdown[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, LINK.sub(link, markdown[end:])])


# What a browser loads without a click.
LOADS = {
    "audio": ("src",), "embed": ("src",), "iframe": ("src",), "image": ("href", "xlink:href"), "img": ("src", "srcset"),
    "input": ("src",), "object": ("data",), "script": ("src",), "source": ("src", "srcset"), "track": ("src",),
    "use": ("href", "xlink:href"), "video": ("src", "poster"),
}  # fmt: skip
# Links of these kinds are only named, not loaded.
NAMED = {"canonical", "next", "prev", "edit", "alternate", "author", "license", "me"}
ELSEWHERE = re.compile(r"(?:https?:)?//", re.IGNORECASE)
STYLED = re.compile(r"url\(\s*['\"]?(?:https?:)?//|@import\s+['\"](?:https?:)?//", re.IGNORECASE)


def external_requests(html: str) -> list[str]:
    """Find what a page loads from another host, itself or by the theme's script."""
    reader = _Reader()
    reader.feed(html)
    return reader.problems


# A line of a paragraph that GitHub reads as the item of a list, a table's row or a fence, and Python-Markdown doesn't.
UNREAD = re.compile(r"^\s*(?:[-*] |1\. |\|.*\||```).*", re.MULTILINE)


def unread_markdown(html: str) -> list[str]:
    """Find lines that the site shows as text, while GitHub shows a list, a table or code."""
    article = html[html.find("<article") : html.rfind("</article>")]
    article = re.sub(r"<pre.*?</pre>", "", article, flags=re.DOTALL)
    lines = (UNREAD.search(paragraph) for paragraph in re.findall(r"<p>(.*?)</p>", article, re.DOTALL))
    return [line[0].strip()[:100] for line in lines if line]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.problems: list[str] = []
        self.in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.in_style = tag == "style"
        names = LOADS.get(tag, ())
        if tag == "link" and not NAMED & set(values.get("rel", "").split()):
            names = ("href",)
        self.problems += [f"<{tag} {name}={values[name]!r}>" for name in names if ELSEWHERE.match(values.get(name, ""))]
        if STYLED.search(values.get("style", "")):
            self.problems.append(f"<{tag} style={values['style']!r}>")
        if "mermaid" in values.get("class", "").split():
            self.problems.append("a Mermaid diagram, whose script the theme loads from unpkg.com: draw it as SVG")
        if values.get("data-md-component") == "source":
            self.problems.append("repo_url, for which the theme asks the host's API")

    def handle_endtag(self, tag: str) -> None:
        self.in_style = False

    def handle_data(self, data: str) -> None:
        if self.in_style and (found := STYLED.search(data)):
            self.problems.append(f"<style> {found[0]}")
