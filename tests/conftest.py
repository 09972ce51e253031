"""What all tests share: images are cached in the session's own folder, TensorFlow starts as in commands, few tests draw plots."""

import copy
import functools
import gc
import os
import re
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

# Compiled modules are kept, whatever the environment says: else each of the many processes compiles tests and package anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Threads of scikit-learn sleep while they wait for one another; with two workers on two cores they would wait for long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# The imports of all tests make no garbage worth the search for it; `pytest_collection_finish` ends this.
gc.disable()

SHARING = {
    "decodes_images": ("layers/test_damaged_images", "layers/test_image_layers", "model/test_assemble"),
    "reads_the_package": (
        "artifacts/test_result_classes",
        "columns/test_column_traits",
        "pipeline/test_experiment_stays_above",
        "pipeline/test_safety",
        "targets/test_target_traits",
    ),
    "serves": ("serving/test_page_browser", "serving/test_row_predictor", "serving/test_serve_process", "serving/test_server"),
}
"""Files of tests that share what takes seconds to make: one process runs all of a group."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give one process all tests of a file, or of the files that share something: else both make what a file sets up.

    `--dist loadgroup` of xdist 3.8 writes its groups into `Item._nodeid`, which pytest 9 no longer reads, and deals out single tests.
    """
    from xdist.scheduler import LoadFileScheduling

    groups = {f"{file}.py": name for name, files in SHARING.items() for file in files}

    class SharedFiles(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid).removeprefix(f"{TESTS.name}/")
            return groups.get(file, file)

    return SharedFiles(config, log)


DRAWN = ("test_report.py", "test_report_browser", "test_report_results", "test_report_worst", "test_plot")
"""What the files of tests begin with that look at plots."""
READS_REPORTS = re.compile(r'report_page|report.*read_text|read_text.*report|plots["/]|import .*model_card')
"""A line of a test that reads report.html or a file of a plot."""


def pytest_collection_finish():
    """What the imports of all tests have made stays: each network that Keras begins anew has all objects searched for garbage.

    Looking for it as often as Python does by default takes a sixth of the time of hundreds of networks.
    """
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(50_000, 20, 100)
    if "keras" in sys.modules:
        show_whole_tracebacks()


def show_whole_tracebacks():
    """Keras and TensorFlow leave out parts of their tracebacks, at a twentieth of the time of a small training."""
    import keras
    import tensorflow

    keras.config.disable_traceback_filtering()
    tensorflow.debugging.disable_traceback_filtering()


@pytest.fixture(scope="session", autouse=True)
def image_cache(tmp_path_factory):
    """The folder of this session's image stores; processes that a test starts use it too."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMTRAIN_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session", autouse=True)
def commands_built_once():
    """The tree of commands is built by the first command line of the session: building it takes 0.15 s, half of a short command."""
    import typer.main

    build = functools.cache(typer.main.get_command)

    def get_command(app):
        group = copy.copy(build(app))
        group.commands = dict(group.commands)  # `--code` adds commands for one command line
        return group

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", get_command)
        yield


@pytest.fixture(scope="session")
def tensorflow():
    """TensorFlow, for tests that need it; the others do not wait for it."""
    from mmtrain.layers.start import start_tensorflow

    start_tensorflow()
    import tensorflow

    show_whole_tracebacks()
    return tensorflow


@pytest.fixture(scope="module")
def models_opened_once(tensorflow):
    """A file of a model is opened and compiled by the first command of a module that needs it; the others find the same bytes.

    So are its branches, which every evaluation with permutations runs one by one.
    """
    from mmtrain.artifacts.atomic_files import file_hash
    from mmtrain.model import branch_features, model_file

    opened, compiled = {}, {}
    load, compile_model, compile_branch = model_file.load_end_to_end, model_file.compile_predictor, branch_features._compile_branch

    def load_once(path):
        key = file_hash(path)  # of a copy, too
        if key not in opened:
            opened[key] = load(path)
        return opened[key]

    def once(compile_):
        def compiled_once(model):
            if id(model) not in compiled:
                compiled[id(model)] = model, compile_(model)  # with the model, so that no other one gets its id
            return compiled[id(model)][1]

        return compiled_once

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_file, "load_end_to_end", load_once)
        patch.setattr(model_file, "compile_predictor", once(compile_model))
        patch.setattr(branch_features, "_compile_branch", once(compile_branch))
        yield


@pytest.fixture(scope="module", autouse=True)
def undrawn_plots(request):
    """Outside of the tests of reports every figure is made and none is drawn: drawing takes half of the time of an evaluation.

    Where no test reads a report, it has no sections.
    """
    if request.path.name.startswith(DRAWN):
        yield
        return
    from mmtrain.reports import report
    from mmtrain.reports.figures import plot_style

    def save(figure, path, words=None):
        path.write_bytes(b"\x89PNG\r\n\x1a\n")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plot_style, "as_markup", lambda figure, *, salt: "<svg></svg>")
        patch.setattr(plot_style, "save", save)
        if not READS_REPORTS.search(request.path.read_text(encoding="utf-8")):
            patch.setattr(report, "sections", lambda contents, writer: ())
        yield
