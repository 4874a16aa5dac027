"""The code in the README and the docs runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from portable_fn.adapter.capabilities import Capability, Service, emulated, impossible, native
from portable_fn.cli.declared import Declared

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def path_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


LISTING = re.compile(r"# ([\w/]+\.py)\n")


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=path_of)
def test_the_code_of_a_page_runs_from_top_to_bottom(page: Path) -> None:
    names: dict[str, Any] = {"__name__": f"page_{page.stem}"}
    for block in blocks(page):
        # A block that begins with a file's name shows that file of samples/hello, where it is tested.
        if listing := LISTING.match(block):
            assert (ROOT / "samples" / "hello" / listing[1]).read_text() == block[listing.end() :]
            continue
        exec(compile(block, str(page), "exec"), names)
    for name, value in list(names.items()):
        if name.startswith("test_"):
            value()


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"], ids=path_of)
def test_the_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_the_page_of_what_providers_cannot_do_is_what_the_harnesses_say() -> None:
    from tests.provider_matrix import PAGE, check_names, page

    check_names()
    assert PAGE.read_text() == page(), "run make providers"


def test_the_overview_and_the_page_of_each_provider_have_what_the_adapters_declare() -> None:
    from tests.provider_matrix import provider_pages

    for path, text in provider_pages().items():
        assert path.read_text() == text, "run make providers"


def services(*levels: tuple[str, str]) -> Declared:
    return Declared(
        "asgi",
        tuple(
            Service(name, "Message", "queue", {"order": Capability(level), "deadline": native()})
            for name, level in levels
        ),
    )


def test_a_cell_of_the_overview_names_the_products_that_have_a_feature_or_the_others_if_they_are_fewer() -> None:
    from tests.provider_matrix import overview_cell

    one, two, three = "dapr_pubsub", "dapr_bulk", "cloud_event"
    yes, no = "native", "impossible"

    assert "✓" == overview_cell(services((one, yes), (two, "emulated")), "order")
    assert "no" == overview_cell(services((one, no), (two, no)), "order")
    assert "" == overview_cell(services((one, no)), "streaming")
    assert "not Dapr bulks" == overview_cell(services((one, yes), (two, no), (three, yes)), "order")
    assert "only Dapr bulks" == overview_cell(services((one, no), (two, yes), (three, no)), "order")
    with pytest.raises(ValueError, match="CloudEvents of asgi has 'order' as one service and not as another"):
        overview_cell(services((three, yes), ("binary", no)), "order")


def test_the_overview_names_what_is_lost() -> None:
    from tests.provider_matrix import overview_cell

    lost = Service("dapr_bulk", "Message", "queue", {"order": impossible("it has none", loses=True)})
    kept = services(("dapr_pubsub", "native")).services
    assert kept is not None

    assert "not **Dapr bulks**" == overview_cell(Declared("asgi", (lost, *kept)), "order")


def test_a_batch_of_one_does_not_count_in_the_overview() -> None:
    from tests.provider_matrix import holds

    assert holds("order", emulated("by waiting"))
    assert not holds("batch", emulated("a batch has one"))


def test_what_is_generated_leaves_the_rest_of_a_page_as_it_is() -> None:
    from tests.provider_matrix import BEGIN, END, embedded

    assert f"a\n{BEGIN}\n\nnew\n\n{END}\nb" == embedded(f"a\n{BEGIN}old{END}\nb", "new\n")
    for text in ("", BEGIN, END, f"{END}{BEGIN}", f"{BEGIN}{END}{END}", f"{BEGIN}{BEGIN}{END}"):
        with pytest.raises(ValueError, match="a provider's page"):
            embedded(text, "new")


def test_the_page_of_aws_begins_with_the_setting_without_which_messages_are_lost() -> None:
    start = (ROOT / "docs" / "reference" / "aws.md").read_text()[:2000]
    assert re.search(r"\*\*[^*]*`ReportBatchItemFailures`[^*]*\*\*", start)
