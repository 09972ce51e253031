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
import tiny_groups
from browser import FOUND, NAMES, browser
from report_page import BINARY, evaluate, make_run

import mmtrain
from mmtrain.artifacts.inspection_figures import ColumnHistogram
from mmtrain.artifacts.inspection_results import Finding
from mmtrain.artifacts.run_folder import Run
from mmtrain.artifacts.run_lists import Leaderboard, LeaderboardEntry
from mmtrain.artifacts.search_results import CorrectedChoice, SearchResult, SettingChange, TrialResult
from mmtrain.columns.numeric import Numeric
from mmtrain.data.encode import Fitted
from mmtrain.evaluation.out_of_fold import Combined
from mmtrain.metrics.score import Score
from mmtrain.reports.pages import group_report
from mmtrain.reports.pages.inspection import Inspected, inspection_page
from mmtrain.reports.pages.leaderboard_page import leaderboard_page
from mmtrain.reports.pages.search_page import SettingRange, write_page
from mmtrain.reports.report import write_group
from mmtrain.reports.report_data import read_group

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
    return {"report": report, "inspection": inspection, **many_trainings(folder)}


def many_trainings(folder):
    """The pages of a group of folds, of a search and of a leaderboard."""
    group, search, board = (Run(folder / name / "1") for name in ("group", "search", "board"))
    for run in (group, search, board):
        run.folder.mkdir(parents=True)
        run.write_json("run.json", {"format": 1, "name": run.folder.parent.name, "state": "finished", "started": STARTED})
    split = {"method": "stratified", "description": "The rows were dealt to 4 folds"}
    group.write_json("data.json", {"table": "t.csv", "sha256": "a", "rows": 120, "used": 120, "dropped": [], "split": split})
    group.write_text("config.yaml", "name: group\n")
    members = tiny_groups.group(tiny_groups.BINARY, tiny_groups.guesses(tiny_groups.BINARY, 1.0))
    labels = {"y": tiny_groups.BINARY}
    data = read_group(group, {"age": Numeric(column="age")}, None, Fitted(columns={}, targets=labels))
    write_group(group, group_report.read(data, tiny_groups.scored(members), Combined(members, labels), tiny_groups.SECTION))
    facts = {"outcome": "complete", "best_epoch": 1, "epochs": 2, "seconds": 1.0}
    trials = [TrialResult(trial=n, score=0.7 + n / 50, settings={"a.b": n / 10}, own=n == 0, **facts) for n in range(5)]
    result = SearchResult(
        run=search,
        score="validation_auc",
        direction="maximize",
        trials=trials,
        best=trials[4],
        own_score=0.7,
        corrected=CorrectedChoice(score="auc", value=0.75, own=0.7, better=0.6, draws=200, low=0.6, high=0.9, rows=80),
        changes={"a.b": SettingChange(before=0.0, after=0.4)},
        importance={"a.b": 1.0},
        **{name: search.folder / name for name in ("experiment", "table", "report")},
        seconds=60.0,
    )
    write_page(search, result, {"a.b": SettingRange(0.0, 0.4, log=False)}, None)
    score = Score("auc", 0.8, low=0.7, high=0.9)
    entries = [
        LeaderboardEntry(
            run=board,
            name=f"board/{number}",
            score=score,
            monitor="validation_auc",
            value=0.8,
            minutes=1.0,
            parameters=10,
            test_looks=1,
            differences={"a.b": 1} if number else {},
        )
        for number in range(2)
    ]
    ranked = Leaderboard(part="test", target="y", score="auc", higher_is_better=True, rows=80, runs=entries, unscored=[], others=0)
    (board / "board.html").write_text(leaderboard_page(ranked), encoding="utf-8")
    return {"group": group / "report.html", "search": search / "report.html", "leaderboard": board / "board.html"}


STARTED = "2026-11-30T10:00:00+00:00"


@pytest.mark.parametrize(("width", "scheme"), WINDOWS)
@pytest.mark.parametrize("name", ["report", "inspection", "group", "search", "leaderboard"])
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
