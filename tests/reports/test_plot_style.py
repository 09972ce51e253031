"""Plots of a report, in the run folder and in the page."""

import numpy as np
import pytest
from report_page import EVIL, page_of

from mmtrain.artifacts.run_folder import Run
from mmtrain.errors import RunError
from mmtrain.reports.figures import plot_style, plots


def test_report_escapes_names_inside_plots(tmp_path):
    names = [EVIL[:17], '" fill="#1f6fb2']
    with plot_style.style():
        figure = plots.confusion(np.array([[1, 0], [2, 3]]), names)
        plot = plot_style.FigureWriter(Run(tmp_path)).add(figure, "confusion", title="t", alt=EVIL)
    found = page_of(plot)
    assert [tag for tag, _ in found.tags].count("script") == 1  # ours
    assert found.alts == [EVIL]
    assert plot.markup.count("&lt;script&gt;alert(1") == 2
    assert plot.markup.replace("&quot;", '"').count(names[1]) == 2  # a name that looks like our markup stays as it is


def test_plot_that_cannot_be_written_is_a_problem(tmp_path):
    (tmp_path / "plots").write_text("a file in the way")
    with plot_style.style(), pytest.raises(RunError) as caught:
        plot_style.FigureWriter(Run(tmp_path)).add(plot_style.new_figure(1, 1), "roc", title="", alt="")
    place = tmp_path / "plots" / "roc.png"
    assert str(caught.value) == f"{place}: the file cannot be written: file exists. Make room, or choose another folder."


def test_gallery_keeps_the_report_small(tmp_path):
    run = Run(tmp_path)
    numbers = np.random.default_rng(0).normal(size=(2, 20_000))
    with plot_style.style():
        scatter = plot_style.as_markup(plots.residuals(*numbers), salt="s")
        curve = plot_style.as_markup(plots.roc((numbers[0] > 0).astype(np.int64), 1 / (1 + np.exp(-numbers[1])), 0.5), salt="s")
        plot = plot_style.FigureWriter(run, room=100).add(plots.residuals(*numbers[:, :5]), "residuals", title="Residuals", alt="Dots.")
    assert 10_000 < len(scatter) < 200_000
    assert 5_000 < len(curve) < 40_000
    assert plot.markup is None
    assert (run / "plots" / "residuals.png").is_file()
    assert "This report has no room for the plot; it is plots/residuals.png in the run folder. Dots." in page_of(plot).paragraphs


def test_gallery_gives_every_plot_a_file_of_its_own(tmp_path):
    with plot_style.style():
        gallery = plot_style.FigureWriter(Run(tmp_path))
        found = [gallery.add(plot_style.new_figure(3, 3), name, title="", alt="").file for name in ("a b", "A/b", "../../a", "日")]
    assert found == ["plots/a_b.png", "plots/A_b_2.png", "plots/a.png", "plots/plot.png"]


def test_png_is_drawn_again_only_when_the_plot_has_changed(tmp_path):
    path, files = tmp_path / "plots" / "dots.png", []
    for numbers in (np.arange(3.0), np.arange(3.0), np.arange(4.0)):
        with plot_style.style():
            plot_style.FigureWriter(Run(tmp_path)).add(plots.residuals(numbers, numbers), "dots", title="", alt="")
        files.append(path.read_bytes())
        path.write_bytes(files[-1] + b"what was there")
    assert files[0] + b"what was there" == files[1]
    assert files[2] != files[1]
    assert not files[2].endswith(b"what was there")
    path.write_bytes(b"torn")
    with plot_style.style():
        plot_style.FigureWriter(Run(tmp_path)).add(plots.residuals(numbers, numbers), "dots", title="", alt="")
    assert path.read_bytes() == files[2]


def test_style_is_not_the_users_and_gives_equal_text_again():
    import matplotlib

    def drawn():
        with plot_style.style():
            return plot_style.as_markup(plots.residuals(np.arange(3.0), np.arange(3.0)), salt="s")

    with matplotlib.rc_context({"font.size": 40, "axes.facecolor": "#ff0000"}):
        loud = drawn()
        assert matplotlib.rcParams["font.size"] == 40
    assert drawn() == loud


@pytest.mark.parametrize("count", [2, 30])
def test_confusion_of_many_classes_is_drawn(count):
    with plot_style.style():
        markup = plot_style.as_markup(
            plots.confusion(np.eye(count, dtype=np.int64), [f"class {place}" for place in range(count)]), salt="s"
        )
    assert markup.count(">class ") == 2 * count


@pytest.mark.slow
def test_confusion_of_a_thousand_classes_has_sixty_names_at_most_on_each_side():
    with plot_style.style():
        markup = plot_style.as_markup(plots.confusion(np.eye(1000, dtype=np.int64), [f"class {place}" for place in range(1000)]), salt="s")
    assert markup.count(">class ") == 2 * 59
