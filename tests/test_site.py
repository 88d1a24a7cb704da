"""The site's pages exist, and need nothing from elsewhere."""

import re

import pytest

from benchmarks import site
from r1repro.config import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def pages(nav):
    for entry in nav:
        found = next(iter(entry.values())) if isinstance(entry, dict) else entry
        yield from pages(found) if isinstance(found, list) else [found]


def test_every_page_exists_and_the_report_is_that_of_readme():
    report = site.versions(README)[0]
    named = list(pages(site.settings(report)["nav"]))
    assert named[:2] == ["README.md", f"{report}/report.html"] and len(named) == len(set(named))
    assert all((ROOT / page).is_file() for page in named)
    assert {f"docs/{file.name}" for file in (ROOT / "docs").glob("*.md")} <= set(named)


@pytest.mark.parametrize(
    "page", ["README.md", "README.zh.md", "docs/primer.md", "docs/primer.zh.md"]
)
def test_the_diagram_is_a_list_without_a_script(page):
    text = site.without_diagram((ROOT / page).read_text(encoding="utf-8"))
    arrows = re.findall(r"^\* \*\*(.+)\*\* → \*\*(.+)\*\*: .+$", text, re.MULTILINE)
    assert "mermaid" not in text and len(arrows) == 6
    assert ("R1-Zero" in arrows[0][1]) and not any("[" in end for pair in arrows for end in pair)


@pytest.mark.parametrize(
    "page", [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")], ids=lambda p: p.name
)
def test_links_lead_to_pages_and_executed_notebooks(page):
    newest, text = site.versions(README)[0], page.read_text(encoding="utf-8")
    linked = site.with_links(text, page.parent, newest)
    for _, target, _ in site.LINK.findall(linked):
        there = (page.parent / target).resolve()
        assert there.is_file() and there.relative_to(ROOT).parts[0] in site.PARTS, target
        assert there.suffix != ".ipynb", f"{target} has no executed copy"
    assert "](reports)" not in linked and "](../notebooks/lab)" not in linked


def test_a_link_that_leads_nowhere_is_plain_words():
    def made(text):
        return site.with_links(text, ROOT / "docs", site.versions(README)[0])

    assert (
        made("See [the code](../r1repro/cli.py) and [none](none.md).") == "See the code and none."
    )
    assert made("[out](https://example.org)") == "[out](https://example.org)"
    assert made("[in](primer.md#the-kl) [here](#there)") == "[in](primer.md#the-kl) [here](#there)"
    assert made("[all](../reports)") == "[all](../reports/README.md)"
