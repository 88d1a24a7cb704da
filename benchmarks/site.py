"""`make site`: the documents and the newest report as a static site in build/site/, by MkDocs.

The documents are read as they are in the repository; README is the front page, and the report that
its figures are from the first page after it. The site loads nothing from elsewhere.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from benchmarks.readme import BEGIN
from r1repro.config import ROOT

PAGES, SITE = ROOT / "build" / "pages", ROOT / "build" / "site"
_NODE = r'(\w+)(?:\["?(.+?)"?\])?'
ARROW = re.compile(rf'{_NODE} -->\|"?(.+?)"?\| {_NODE}')
PARTS = (
    "README.md", "README.zh.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs", "notebooks", "reports",
)  # fmt: skip
LINK = re.compile(r"\[([^\]\n]+)\]\(([^()\s:#]+)(#[^()\s]*)?\)")
DOCUMENTS = {
    "The ideas": {"Primer": "primer", "入门": "primer.zh", "The paper, and claims": "paper"},
    "Measured": {"Time": "performance", "Crashes": "reliability", "What was run": "status"},
    "Your own": {
        "One GPU": "gpu",
        "Extending": "extend",
        "Grading answers": "answers",
        "Objectives": "objective",
    },
}


def versions(readme: str) -> list[str]:
    """The versions that README's figures are from."""
    begin = readme.index(BEGIN.split("{")[0])
    return re.findall(r"reports/[^ ]+", readme[begin:].partition("-->")[0])


def settings(report: str) -> dict[str, object]:
    """mkdocs.yml; report: the folder of the first page."""
    groups = [
        {title: [{name: f"docs/{page}.md"} for name, page in pages.items()]}
        for title, pages in DOCUMENTS.items()
    ]
    project = [{"Errata": "docs/errata.md"}, "CONTRIBUTING.md", "CHANGELOG.md"]
    return {
        "site_name": "r1repro",
        "docs_dir": str(PAGES),
        "site_dir": str(SITE),
        "use_directory_urls": False,
        "theme": {"name": "material", "font": False, "features": ["content.code.copy"]},
        "plugins": ["search"],
        "markdown_extensions": ["tables", "md_in_html"],
        "validation": {"links": {"not_found": "info"}},
        "nav": [
            {"r1repro": "README.md"},
            {"The report": f"{report}/report.html"},
            {"中文": "README.zh.md"},
            *groups,
            {"Project": project},
        ],
    }


def without_diagram(page: str) -> str:
    """A page with its Mermaid diagram, which needs a script from elsewhere, as a list of arrows."""

    def listed(diagram: re.Match[str]) -> str:
        names: dict[str, str] = {}
        arrows = []
        for line in diagram[1].strip().splitlines()[1:]:
            ends = ARROW.fullmatch(line.strip())
            assert ends is not None, line
            for name, shown in ((ends[1], ends[2]), (ends[4], ends[5])):
                names.setdefault(name, shown or name)
            arrows.append(f"* **{names[ends[1]]}** → **{names[ends[4]]}**: {ends[3]}")
        return "\n".join(arrows)

    return re.sub(r"```mermaid\n(.*?)```", listed, page, flags=re.DOTALL)


def with_links(page: str, place: Path, newest: str) -> str:
    """A page whose links lead to what a browser shows, or are plain words.

    A notebook is its executed copy, that of version `newest` if it has one; a folder is its README.
    place: the folder of the page, below ROOT.
    """

    def led(link: re.Match[str]) -> str:
        words, target, part = link[1], (place / link[2]).resolve(), link[3] or ""
        if target.suffix == ".ipynb":
            executed = sorted(ROOT.glob(f"reports/*/notebooks/{target.stem}.html"))
            executed.sort(key=lambda file: file.parents[1] != ROOT / newest)
            target = executed[0] if executed else target
        elif target.is_dir():
            target = target / "README.md"
        if not target.is_file() or target.relative_to(ROOT).parts[0] not in PARTS:
            return words
        return f"[{words}]({os.path.relpath(target, place)}{part})"

    return LINK.sub(led, page)


def main() -> None:
    shutil.rmtree(PAGES, ignore_errors=True)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    newest = versions(readme)[0]
    for part in PARTS:
        source, target = ROOT / part, PAGES / part
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copyfile(source, target)
    for page in PAGES.rglob("*.md"):
        place = (ROOT / page.relative_to(PAGES)).parent
        text = without_diagram(page.read_text(encoding="utf-8"))
        page.write_text(with_links(text, place, newest), encoding="utf-8")
    written = ROOT / "build" / "mkdocs.yml"
    written.write_text(yaml.safe_dump(settings(newest)), encoding="utf-8")
    subprocess.run([sys.executable, "-m", "mkdocs", "build", "-q", "-f", written], check=True)
    print(f"site: {SITE / 'index.html'}")


if __name__ == "__main__":
    main()
