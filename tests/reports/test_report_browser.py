"""The report in a real browser: console messages, width, and keyboard navigation.

The run is a real one whose notes, ids, classes, headers and file names all try to be more than text.
"""

import json
import re

import numpy as np
import pytest
from browser import FOUND, NAMES, browser
from tiny import paint, write_experiment, write_table

from mmtrain.commands.evaluate import evaluate
from mmtrain.commands.fit import fit
from mmtrain.reports.blocks import Cell, Section, Table
from mmtrain.reports.report import page

pytestmark = [
    pytest.mark.slow,  # tests/audit/test_findings.py opens a page in a browser every time
    pytest.mark.skipif(FOUND is None, reason=f"no browser on the PATH ({', '.join(NAMES)})"),
]

EVIL = '<script>alert("x")</script>'
IMAGE = "<img src=x onerror=alert(1)>"
TREE = {
    "name": "browser",
    "columns": {
        "who": {"role": "id", "column": f"id {EVIL}"},
        "scan": {"role": "image", "size": [16, 16], "channels": 1, "missing": "mask"},
        f"age {IMAGE}": {"role": "numeric", "missing": "drop"},
        "note": {"role": "text"},
        "kind": {"role": "target", "task": "multiclass"},
        "days": {"role": "target", "task": "regression"},
    },
    "split": {"method": "random", "validation": 0.2, "test": 0.3},
    "training": {"epochs": 1},
}


def row(number):
    return {
        f"id {EVIL}": f"</td>{EVIL}{number}",
        "scan": "" if number % 9 == 0 else f"<b>{number}.png",
        f"age {IMAGE}": "" if number == 5 else number,
        "note": f"{EVIL} {IMAGE} " + "unbroken" * 60 if number % 2 else f"&amp; ]]> --> {number}",
        "kind": (f"a{EVIL}", f"b{IMAGE}", "c" * 90)[number % 3],
        "days": 1000.5 * number,
    }


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """The report after `fit` and after `evaluate`."""
    folder = tmp_path_factory.mktemp("report")
    for number in range(60):
        paint(folder / f"<b>{number}.png", np.full((16, 16), 4 * number, dtype=np.uint8))
    write_table(folder / "table.csv", [row(number) for number in range(60)])
    run = fit(write_experiment(folder / "a.yaml", TREE), output=folder / "runs").run
    (run / "report.html").rename(run / "fitted.html")
    return {"fit": run / "fitted.html", "evaluate": evaluate(str(run.folder)).report}


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("browser")) as page:
        yield page


SIZES = "[document.scrollingElement.scrollWidth, document.scrollingElement.clientWidth]"


@pytest.mark.parametrize(
    ("after", "width", "scheme"),
    [(after, width, scheme) for after in ("fit", "evaluate") for width in (320, 390, 1200) for scheme in ("light", "dark")],
)
def test_report_opens_without_a_complaint_and_never_scrolls_sideways(reports, shown, after, width, scheme):
    shown.open(reports[after], width=width, scheme=scheme)
    assert shown.value("document.querySelector('h1').textContent") == "browser/1"
    inner, outer = shown.value(SIZES)
    assert inner <= outer <= width
    assert shown.complaints == []
    assert {url for url in shown.loaded if not url.startswith("data:")} == {reports[after].as_uri()}


def test_report_takes_no_cell_for_markup(reports, shown):
    shown.open(reports["evaluate"])
    foreign = "script:not(body > script), iframe, object, link, [onerror], [onload], td b, dd img"
    assert shown.value(f"document.querySelectorAll('{foreign}').length") == 0
    ids = shown.value("[...document.querySelectorAll('.cards p b')].map(found => found.textContent)")
    assert len(ids) == 24  # 12 rows of two targets
    assert all(re.fullmatch(re.escape(f"</td>{EVIL}") + r"\d+ \(row \d+\)", found) for found in ids)
    cells = shown.value("[...document.querySelectorAll('dl div')].map(found => found.innerText.trim())")
    assert any(cell.startswith("note") and EVIL in cell and IMAGE in cell for cell in cells)
    assert shown.value("document.querySelector('dl').textContent").count(f"age {IMAGE}") == 1


def test_report_shows_the_images_of_the_most_wrong_rows(reports, shown):
    shown.open(reports["evaluate"])
    sizes = shown.value("[...document.images].map(image => [image.complete, image.naturalWidth, image.naturalHeight])")
    assert len(sizes) > 15
    assert set(map(tuple, sizes)) == {(True, 16, 16)}
    assert shown.value("[...document.images].every(image => image.alt.startsWith('scan of </td>'))")


def test_report_after_fit_says_no_word_of_test_rows(reports, shown):
    shown.open(reports["fit"])
    headings = shown.value("[...document.querySelectorAll('h2')].map(found => found.textContent)")
    assert headings == [
        *("Summary", "Limits", "What to do next", "Rows", "Network", "Training", "Class weights"),
        *("What the columns learned", "Experiment", "Versions and hashes"),
    ]
    text = shown.value("document.querySelector('main').innerText")
    assert "The best epoch was chosen on these rows, so the scores are slightly too optimistic for new ones." in text
    assert "The test part has not been scored yet. To score it: mmtrain evaluate browser/1" in text
    tables = shown.value("[...document.querySelectorAll('caption')].map(found => found.textContent)")
    assert "Scores of epoch 1 on the 12 validation rows" in tables
    assert [caption for caption in tables if "test" in caption] == []


def test_report_can_be_walked_with_the_keyboard(reports, shown):
    """Tab shows the skip link first, then every link of the contents; Enter follows it; the focus is visible."""
    shown.open(reports["evaluate"], height=700)
    shown.press("Tab")
    assert shown.value("document.activeElement.getAttribute('href')") == "#main"
    assert shown.value("document.activeElement.getBoundingClientRect().top") >= 0
    walked = []
    for _ in range(3):
        shown.press("Tab")
        walked.append(shown.value("document.activeElement.textContent"))
        assert shown.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert walked == ["Summary", "Limits", "What to do next"]
    shown.press("Enter", text="\r")
    assert shown.value("location.hash") == "#section-3"
    assert shown.value("document.getElementById('section-3').getBoundingClientRect().top") < 700
    wide = "[...document.querySelectorAll('*')].filter(found => found.scrollWidth > found.clientWidth + 1 && "
    wide += "['auto', 'scroll'].includes(getComputedStyle(found).overflowX) && found.tabIndex < 0).map(found => found.className)"
    shown.open(reports["evaluate"], width=390)
    assert shown.value(wide) == []  # whatever scrolls can be scrolled with the keys


def test_report_keeps_to_the_paper_when_it_is_printed(reports, shown):
    shown.open(reports["evaluate"], width=700)
    shown.emulate("print")
    assert shown.value("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert shown.value("document.querySelector('details pre').checkVisibility()")  # nobody can open it on paper
    cut = "[...document.querySelectorAll('table, pre, svg, .cards li')].map(found => found.getBoundingClientRect())"
    assert shown.value(f"{cut}.filter(found => found.width && found.right > 701).length") == 0
    shown.emulate("screen")
    assert not shown.value("document.querySelector('details pre').checkVisibility()")


def test_table_of_many_long_headings_is_not_cut_off_on_paper(shown, tmp_path):
    """Chromium makes a whole page smaller for a table that is too wide, and cuts the rest off."""
    headings = ("Trial", "Outcome", *(f"branches.demographics{number}.dropout" for number in range(8)), "validation_auc")
    rows = tuple((Cell("1"), Cell("complete"), *(Cell("[128, 64]") for _ in range(9))) for _ in range(20))
    section = Section("Trials", (Table("Trials", headings, rows),))
    (tmp_path / "page.html").write_text(page(title="search", facts=(), sections=(section,)), encoding="utf-8")
    shown.open(tmp_path / "page.html", width=690)
    shown.emulate("print")
    assert shown.value("document.querySelector('table').classList.contains('sortable')")
    assert shown.value("document.querySelector('table').getBoundingClientRect().right") <= 690
    shown.emulate("screen")


CONTRAST = """
(() => {
  const parts = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, place) => sum + v * [0.2126, 0.7152, 0.0722][place], 0);
  const over = (top, under) => top.slice(0, 3).map((v, place) => v * (top[3] ?? 1) + under[place] * (1 - (top[3] ?? 1)));
  const behind = node => node.nodeType !== 1 ? [255, 255, 255] :
    over(parts(getComputedStyle(node).backgroundColor), node.parentNode ? behind(node.parentNode) : [255, 255, 255]);
  const found = {};
  for (const node of document.querySelectorAll('p, a, li, td, th, dt, dd, b, strong, caption, figcaption, summary, h1, h2, h3, code')) {
    if (![...node.childNodes].some(child => child.nodeType === 3 && child.data.trim())) continue;
    const [a, b] = [light(parts(getComputedStyle(node).color)), light(behind(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const name = `${node.localName}.${node.className}`;
    found[name] = Math.min(found[name] ?? 99, ratio);
  }
  return JSON.stringify(found);
})()
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_report_has_enough_contrast(reports, shown, scheme):
    """WCAG 2.1 AA requires a contrast of 4.5 between text and background."""
    shown.open(reports["evaluate"], scheme=scheme)
    found = json.loads(shown.value(CONTRAST))
    assert len(found) > 15
    assert {name: ratio for name, ratio in found.items() if ratio < 4.5} == {}
