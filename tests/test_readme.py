"""README's figures are those of the version that it names, and what it points to exists."""

import re

from benchmarks.readme import BEGIN, END, text
from r1repro.config import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_figures_are_of_the_version_that_is_named():
    begin = README.index(BEGIN.split("{")[0])
    versions = re.findall(r"reports/[^ ]+", README[begin:].partition("-->")[0])
    told = README[begin : README.index(END) + len(END)]
    assert told == text(*(ROOT / version for version in versions))


def test_links_lead_somewhere():
    for page in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]):
        links = re.findall(r"\]\(([^)#:]+)[)#]", page.read_text(encoding="utf-8"))
        missing = [link for link in links if not (page.parent / link).exists()]
        assert not missing, (page.name, missing)


def test_a_readme_of_a_screen_and_a_half():
    assert len(README.split()) <= 900
