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
