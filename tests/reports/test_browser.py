"""The page in a real browser; skipped where none is installed."""

import itertools
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from r1repro.config import ROOT
from r1repro.reports import notebooks, seeds
from tests.reports.in_process import execute
from tests.reports.test_seeds import seed_of

websocket = pytest.importorskip("websocket")  # JupyterLab brings it
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome is installed")
SECONDS = 60


class Tab:
    """A page of a headless browser, spoken to by the DevTools protocol."""

    def __init__(self, address: str):
        self.socket = websocket.create_connection(address, timeout=SECONDS, suppress_origin=True)
        self.numbers = itertools.count(1)
        self.events: list[dict] = []
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: object) -> dict:
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self.events.append(message)

    def open(self, page: Path, width: int) -> None:
        self.events.clear()
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=900, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        self.ask("Page.navigate", url=page.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(json.loads(self.socket.recv()))

    def value(self, expression: str) -> object:
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"][
            "value"
        ]

    def seen(self, method: str) -> list[dict]:
        return [e["params"] for e in self.events if e.get("method") == method]


@pytest.fixture(scope="module")
def tab(tmp_path_factory) -> Iterator[Tab]:
    folder = tmp_path_factory.mktemp("browser")
    process = subprocess.Popen(
        [
            str(BROWSER), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-sync",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        port, until = folder / "DevToolsActivePort", time.monotonic() + SECONDS
        while not (port.is_file() and port.read_text().strip()):
            assert process.poll() is None and time.monotonic() < until, "the browser did not start"
            time.sleep(0.1)
        found = f"http://127.0.0.1:{port.read_text().split()[0]}/json/list"
        with urllib.request.urlopen(found, timeout=SECONDS) as answer:
            pages = [t for t in json.load(answer) if t["type"] == "page"]
        yield Tab(pages[0]["webSocketDebuggerUrl"])
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def pages(built, tmp_path_factory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("pages")
    runs = [seed_of(built, place / f"run{seed}", seed, 0.02 * seed) for seed in range(2)]
    article = place / "notebook.html"
    source = json.loads((ROOT / "notebooks" / "01_r1_zero_grpo.ipynb").read_text(encoding="utf-8"))
    article.write_text(notebooks.page(source, "01"), encoding="utf-8")
    joined = seeds.join(runs, place / "joined", execute)
    return {"run": built, "seeds": joined, "notebook": article}


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["run", "seeds", "notebook"])
def test_the_page_is_quiet_and_nothing_overflows(tab, pages, name, width):
    built = pages[name]
    tab.open(built, width)
    requested = [event["request"]["url"] for event in tab.seen("Network.requestWillBeSent")]
    assert all(url.startswith(("file:", "data:")) for url in requested)
    assert [url for url in requested if url.startswith("file:")] == [built.as_uri()]
    errors = [e["entry"]["text"] for e in tab.seen("Log.entryAdded")]
    assert errors == [] and tab.seen("Runtime.exceptionThrown") == []
    tab.ask(
        "Runtime.evaluate",
        expression="document.querySelectorAll('details').forEach(d => d.open = true)",
    )
    assert tab.value("document.documentElement.scrollWidth") <= width
    broken = "[...document.images].filter(i => !i.complete || i.naturalWidth === 0).length"
    assert tab.value(broken) == 0


def test_long_tables_show_five_rows_and_the_others_on_demand(tab, built):
    tab.open(built, 1280)
    hidden = """[...document.querySelectorAll('.rows .rest')].map(
        t => [!!t.closest('details'), getComputedStyle(t).display == 'none'])"""
    told = tab.value(hidden)
    assert [True, False] in told and [False, True] in told  # what is folded is not cut once more
    assert all(folded != cut for folded, cut in told)
    tab.ask(
        "Runtime.evaluate",
        expression="document.querySelectorAll('.more input').forEach(box => box.click())",
    )
    assert not any(cut for _, cut in tab.value(hidden))


def test_chinese_is_drawn_in_its_own_glyphs(tab, built):
    listed = subprocess.run(["fc-list", ":lang=zh"], capture_output=True, check=False).stdout
    if not listed:
        pytest.skip("no Chinese font is installed")
    tab.open(built, 1280)
    # A font without them would draw one box for all.
    drawn = """['不', '对', '然'].map(c => { const canvas = document.createElement('canvas');
        const pen = canvas.getContext('2d');
        pen.font = '40px ' + getComputedStyle(document.body).fontFamily;
        pen.fillText(c, 10, 60); return canvas.toDataURL(); })"""
    assert len(set(tab.value(drawn))) == 3
