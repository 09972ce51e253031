"""Notebooks: what results look like there, how progress is shown, and the whole in a real Jupyter kernel."""

import io
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from types import SimpleNamespace

import pandas as pd
import pytest
from tiny import two_blobs, write_experiment

from mmtrain.api import notebook, progress
from mmtrain.api.notebook import Figure
from mmtrain.cli.views import console
from mmtrain.cli.views.training_progress import Display
from mmtrain.training.listeners.events import EpochEnded, Started

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Balanced(HTMLParser):
    """Asserts that every element is closed, and collects the addresses that a page would load."""

    def __init__(self, markup):
        super().__init__()
        self.open, self.addresses = [], []
        self.feed(markup)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.open += [] if tag in VOID else [tag]
        self.addresses += [value for name, value in attrs if name in ("src", "href") and not value.startswith(("data:", "#"))]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_a_card_is_whole_escaped_and_loads_nothing():
    table = pd.DataFrame({"<b>": ["<script>", None], "value": [0.123456, float("nan")]})
    figure = Figure("ROC & more", "<svg></svg>", 'a "curve"', "AUC 0.9 < 1")
    markup = notebook.card("run <1>", ["1 < 2"], {"Scores": table, "None": table.head(0)}, [figure])
    assert Balanced(markup).addresses == []
    assert "<h4>run &lt;1&gt;</h4><p>1 &lt; 2</p>" in markup
    assert "<th>&lt;b&gt;</th><th class=number>value</th>" in markup
    assert "<td>&lt;script&gt;</td><td class=number>0.123</td>" in markup
    assert "<td></td><td class=number></td>" in markup
    assert 'aria-label="a &quot;curve&quot;"' in markup
    assert markup.count("<table") == 1


def test_a_card_has_no_colour_of_text_or_ground_so_that_dark_themes_keep_theirs():
    rules = re.sub(r"--[\w-]+:[^;]*;", "", notebook.STYLE)
    assert set(re.findall(r"(?<!-)color: ([^;}]+)", rules)) == {"inherit"}
    assert set(re.findall(r"background: ([^;}]+)", rules)) == {"none"}


def test_a_card_defines_every_colour_that_figures_ask_for():
    from mmtrain.reports.figures.plot_style import VARIABLES

    rules = notebook._figure_rules()
    assert ".mmtrain .diagram .box { fill: var(--well); stroke: var(--rule); }" in rules
    asked = set(re.findall(r"var\((--[\w-]+)\)", rules + " ".join(VARIABLES.values())))
    assert asked == {"--ink", "--quiet", "--rule", "--well", "--first", "--second"}
    assert asked <= set(re.findall(r"(--[\w-]+):", notebook.STYLE))


def test_long_tables_are_cut_and_counted():
    table = pd.DataFrame({"x": range(70)})
    assert "10 more rows are not shown." in notebook.as_html(table, "Rows")
    assert notebook.as_text(table, 20).splitlines()[-1] == "... 50 more rows"


def test_a_page_is_embedded_whole_and_apart():
    markup = notebook.embedded_page('<!doctype html><p class="x">1 & 2</p>')
    assert Balanced(markup).addresses == []
    assert 'srcdoc="&lt;!doctype html&gt;&lt;p class=&quot;x&quot;&gt;1 &amp; 2&lt;/p&gt;"' in markup
    assert 'sandbox="allow-popups"' in markup


def epoch(number):
    return EpochEnded(number, {"train_loss": 0.5, "validation_loss": 0.4}, 0.001, 1.0, 100.0, is_best=True, best_epoch=number)


def test_without_widgets_every_epoch_is_a_plain_line_on_standard_output(monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object())))
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    shown = Display(progress.console(), quiet=False)
    for event in (Started(2, 1, 10, "validation_loss", "minimize"), epoch(1), epoch(2)):
        shown.event(event)
    shown.close()
    assert out.getvalue().splitlines() == [
        "epoch 1/2  train_loss 0.500  validation_loss 0.400  best 1  1.0 s  100 rows/s",
        "epoch 2/2  train_loss 0.500  validation_loss 0.400  best 2  1.0 s  100 rows/s",
    ]


def test_outside_a_notebook_progress_goes_to_standard_error(monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert progress.console().stderr
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert progress.console().stderr


def test_a_command_in_a_cell_redraws_nothing(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert console.err().is_terminal
    monkeypatch.setenv("JPY_PARENT_PID", "1")
    assert not console.err().is_terminal


@pytest.mark.slow
def test_a_training_on_the_terminal_of_a_cell_prints_lines(tmp_path):
    import pty

    two_blobs(tmp_path)
    write_experiment(tmp_path / "e.yaml", "{columns: {x: {role: numeric}, y: {role: target, task: binary}}, training: {epochs: 2}}")
    mine, theirs = pty.openpty()
    command = [sys.executable, "-m", "mmtrain", "fit", "e.yaml"]
    environment = {**os.environ, "JPY_PARENT_PID": "1", "COLUMNS": "200"}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=theirs, timeout=300)
    text = os.read(mine, 100_000).decode()
    assert [line.split()[:2] for line in text.splitlines() if line.startswith("epoch")] == [["epoch", "1/2"], ["epoch", "2/2"]]
    assert "\x1b" not in text


CELLS = (
    """
import mmtrain, pandas
frame = pandas.DataFrame({"x": [(row % 2) * 2 - 1 + row % 7 / 10 for row in range(60)], "y": ["low", "high"] * 30})
columns = {"x": {"role": "numeric"}, "y": {"role": "target", "task": "binary"}}
run = mmtrain.fit({"columns": columns, "training": {"epochs": 2}}, frame)
""",
    "run.evaluate(progress=False)",
    "run",
    "run.report",
    "run.plot()",
    "!{__import__('sys').executable} -m mmtrain fit runs/experiment/1/config.yaml --set training.epochs=1",
)


@pytest.mark.slow
def test_a_notebook_is_executed_by_a_real_kernel(tmp_path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    page = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source.strip()) for source in CELLS])
    nbclient.NotebookClient(page, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    trained, evaluated, run, report, figures, command = [cell.outputs for cell in page.cells]
    lines = [line for output in trained if output.name == "stdout" for line in output.text.splitlines()]
    assert [line.split()[:2] for line in lines if line.startswith("epoch")] == [["epoch", "1/2"], ["epoch", "2/2"]]
    for (output,), words in ((evaluated, "evaluation of"), (run, "Learning curves"), (report, "<iframe"), (figures, "ROC curve")):
        assert words in output.data["text/html"]
        assert Balanced(output.data["text/html"]).addresses == []
    printed = "".join(output.text for output in command)
    assert len(re.findall(r"^epoch 1/1", printed, re.MULTILINE)) == 1
