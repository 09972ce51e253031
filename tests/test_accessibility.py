"""axe-core finds no violation in the pages that mmtrain writes and in the documentation, in a real browser.

It needs a browser, and the wheel that brings axe-core's script: `pip install --no-deps axe-playwright-python`.
"""

import importlib.util
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from browser import FOUND, NAMES, browser
from report_page import BINARY, evaluate, make_run

import mmtrain
from mmtrain.artifacts.inspection_figures import ColumnHistogram
from mmtrain.artifacts.inspection_results import Finding
from mmtrain.reports.pages.inspection import Inspected, inspection_page

ROOT = Path(mmtrain.__file__).parent.parent
PACKAGE = importlib.util.find_spec("axe_playwright_python")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(FOUND is None, reason=f"no browser on the PATH ({', '.join(NAMES)})"),
    pytest.mark.skipif(PACKAGE is None, reason="axe-playwright-python, which brings axe-core, is not installed"),
]
RUN = """window.violations = null;
axe.run(document).then(found => { window.violations = JSON.stringify(found.violations.map(
    one => [one.id, one.impact, one.nodes.map(node => node.target.join(" "))])); }); 0"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("browser")) as page:
        yield page


def violations(page, target, *, width, scheme):
    """The violations of a page with everything unfolded."""
    page.open(target, width=width, scheme=scheme)
    page.value("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    page.value(f"{(Path(PACKAGE.submodule_search_locations[0]) / 'axe.min.js').read_text(encoding='utf-8')};0")
    page.value(RUN)
    for _ in range(600):
        if found := page.value("window.violations"):
            return json.loads(found)
        time.sleep(0.1)
    raise AssertionError("axe has not ended")


WINDOWS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A report of two parts, and the page of an inspection."""
    folder = tmp_path_factory.mktemp("pages")
    run = make_run(folder, {"ill": BINARY}, monitor="validation_auc")
    evaluate(run, "validation", {"ill": [0, 1]}, {"ill": [[0.2], [0.9]]}, report=False)
    report = evaluate(run, "test", {"ill": [0, 0, 1, 1]}, {"ill": [[0.6], [0.7], [0.1], [0.65]]})
    finding = Finding("error", "rare_class", "ill", "a class is rare.", "Why.", "Write `a: b`.")
    histogram = ColumnHistogram(header="sex", values=("F", "M"), classes=("no", "yes"), counts=((1, 2), (3, 4)))
    inspection = folder / "inspection.html"
    inspection.write_text(inspection_page(Inspected("t.csv", 10, (), (finding,), histograms=(histogram,))), encoding="utf-8")
    return {"report": report, "inspection": inspection}


@pytest.mark.parametrize(("width", "scheme"), WINDOWS)
@pytest.mark.parametrize("name", ["report", "inspection"])
def test_pages_have_no_violation(pages, shown, name, width, scheme):
    assert violations(shown, pages[name], width=width, scheme=scheme) == []


def test_the_slider_moves_the_numbers_and_tables_are_sorted(pages, shown):
    shown.open(pages["report"])
    slider = "document.querySelector('.slider')"
    assert shown.value(f"{slider}.hidden") is False
    values = f"[...{slider}.querySelectorAll('dd')].map(one => one.textContent)"
    assert shown.value(values) == ["0.5", "0.500", "0.000", "0.333", "0.000"]
    shown.value(f"const one = {slider}.querySelector('input'); one.value = 3; one.dispatchEvent(new Event('input')); 0")
    assert shown.value(values) == ["0.65", "0.500", "0.500", "0.500", "0.500"]
    table = "[...document.querySelectorAll('caption')].find(one => one.textContent.startsWith('Scores of ill')).parentElement"
    shown.value(f"{table}.querySelectorAll('thead button')[1].click()")
    assert shown.value(f"{table}.querySelectorAll('thead th')[1].getAttribute('aria-sort')") == "ascending"
    numbers = shown.value(f"[...{table}.tBodies[0].rows].map(row => row.cells[1].textContent)")
    assert numbers == sorted(numbers, key=float)
    assert shown.complaints == []


def test_the_documentation_has_no_violation(shown, tmp_path):
    pytest.importorskip("sphinx")
    source = tmp_path / "docs"
    shutil.copytree(ROOT / "docs", source, ignore=shutil.ignore_patterns("__pycache__", "reference"))
    words = [sys.executable, "-m", "sphinx", "-q", "-b", "html", str(source), str(tmp_path / "site")]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True, timeout=300)
    for name in ("index", "how-to/serve", "reference/commands", "extending"):
        for width, scheme in ((1280, "light"), (390, "dark")):
            assert violations(shown, tmp_path / "site" / f"{name}.html", width=width, scheme=scheme) == [], name
