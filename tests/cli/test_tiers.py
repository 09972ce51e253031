"""What each command may import: a person who asks for help does not wait for TensorFlow."""

import gc
import json
import os
import subprocess
import sys

import pytest
from tiny import HEAVY, paint, two_blobs, write_experiment


def imported(program, *arguments, folder):
    """Which heavy packages a fresh interpreter has imported when `program` is done."""
    program = f"import json, sys\n{program}\nprint(); print(json.dumps(sorted(set(sys.modules))))"
    done = subprocess.run([sys.executable, "-c", program, *arguments], check=False, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return HEAVY & set(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiers")
    for row in range(20):
        paint(folder / f"{row}.png", row)
    two_blobs(folder, 20, scan=lambda row: f"{row}.png", note=lambda row: f"word{row % 3}", city=lambda row: f"c{row % 2}")
    return write_experiment(
        folder / "tiers.yaml",
        """
        columns:
          x: {role: numeric}
          city: {role: categorical}
          note: {role: text}
          scan: {role: image, size: [8, 8], channels: 1}
          y: {role: target, task: binary}
        training: {epochs: 1}
        """,
    )


STEPS = """
from pathlib import Path
from mmtrain.cli.app import run
file, table = sys.argv[1:]
steps = {}

def note(step):
    steps[step] = sorted(sys.modules)
    Path('steps.json').write_text(json.dumps(steps))

run(['--help']), run([])
note('help')
from mmtrain import config
config.load(Path(file))
note('load')
assert run(['compare', 'one', 'two']) == 2
note('compare')
assert run(['check', file]) == 0
note('check')
assert [run(['inspect-data', file]), run(['inspect-data', table]), run(['init', table, '-o', 'new.yaml'])] == [0, 0, 0]
"""


@pytest.fixture(scope="module")
def steps(experiment):
    """What each command has imported with those before it, of one process: the lighter ones come first."""
    folder = experiment.parent
    everything = imported(STEPS, str(experiment), "table.csv", folder=folder)
    noted = json.loads((folder / "steps.json").read_text())
    return {**{step: HEAVY & set(modules) for step, modules in noted.items()}, "everything": everything}


def test_help_imports_nothing_heavy(steps):
    assert steps["help"] == set()


@pytest.mark.slow
def test_help_of_every_command_imports_nothing_heavy(tmp_path):
    """Typer itself asks pydantic to read the options of a command."""
    from mmtrain.cli.app import app

    commands = [command.name for command in app.registered_commands]
    assert len(commands) >= 6
    program = "from mmtrain.cli.app import run\nassert [run([name, '--help']) for name in sys.argv[1:]] == [0] * (len(sys.argv) - 1)"
    assert imported(program, *commands, folder=tmp_path) <= {"pydantic"}


@pytest.mark.slow  # what it imports is tested above
def test_help_takes_less_than_half_a_second(tmp_path):
    """Of the processor's time, so that a busy machine does not count."""
    seconds = []
    for _ in range(5):
        process = subprocess.Popen([sys.executable, "-m", "mmtrain", "--help"], cwd=tmp_path, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        seconds.append(used.ru_utime + used.ru_stime)
        if seconds[-1] < 0.4:
            break
    assert min(seconds) < 0.4, seconds


def test_an_experiment_file_is_read_without_the_data_libraries(steps):
    assert steps["load"] == {"pydantic", "yaml"}


@pytest.mark.slow
def test_a_mistake_in_the_file_is_reported_with_those_of_the_table_without_tensorflow(experiment):
    commands = ["check", "fit", "inspect-data"]
    program = f"from mmtrain.cli.app import run\nassert [run([name, *sys.argv[1:]]) for name in {commands}] == [2, 2, 2]"
    arguments = [str(experiment), "--set", "training.epochs=none"]
    assert imported(program, *arguments, folder=experiment.parent) == {"pydantic", "yaml", "numpy", "pandas", "pyarrow"}


@pytest.mark.slow
def test_an_export_that_cannot_be_is_refused_without_tensorflow(tmp_path):
    program = "from mmtrain.cli.app import run\nassert run(['export', 'no_run', '--format', 'keras', '--quantize', 'int8']) == 2"
    refused = imported(program, folder=tmp_path)
    assert "pandas" in refused  # it got as far as the workflow
    assert not refused & {"tensorflow", "keras", "matplotlib", "jinja2"}


def test_runs_are_compared_without_tensorflow(steps):
    assert "pandas" in steps["compare"]  # it got as far as the workflow
    assert not steps["compare"] & {"tensorflow", "keras", "matplotlib", "jinja2"}


def test_check_reads_tables_and_images_without_tensorflow(steps):
    assert steps["check"] == {"numpy", "pandas", "pyarrow", "pydantic", "yaml", "PIL"}


def test_tables_are_inspected_and_experiments_begun_without_tensorflow(steps, experiment):
    assert not steps["everything"] & {"tensorflow", "keras"}
    assert (experiment.parent / "new.yaml").is_file()


def test_what_is_imported_is_never_searched_for_garbage(tmp_path, monkeypatch):
    from mmtrain.system.imports import without_gc

    (tmp_path / "a_module_of_this_test.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    gc.unfreeze()
    with without_gc():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0  # nothing was imported: what is there may be garbage
    with without_gc():
        import a_module_of_this_test  # noqa: F401
    assert gc.isenabled()
    assert gc.get_freeze_count() > 1000


def processor_seconds(folder, *arguments):
    """Of a process with these arguments for Python."""
    process = subprocess.Popen([sys.executable, *arguments], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return used.ru_utime + used.ru_stime


LIBRARIES = "import pandas, pyarrow.csv, pydantic, yaml, typer, rich.console"
"""What `check` needs, 0.4 s of the processor where nothing else runs."""


@pytest.mark.slow
@pytest.mark.parametrize("mistake", [(), ("--set", "training.epochs=none")])
def test_check_takes_less_than_a_second(experiment, mistake):
    """Where its libraries take 0.4 s: measured against them in turns, as busy machines take longer for both; the first time compiles."""
    folder = experiment.parent
    command = ["-m", "mmtrain", "check", str(experiment), *mistake]
    pairs = [(processor_seconds(folder, *command), processor_seconds(folder, "-c", LIBRARIES)) for _ in range(5)]
    checks, libraries = zip(*pairs, strict=True)
    assert min(checks) < 2.1 * min(libraries), pairs
