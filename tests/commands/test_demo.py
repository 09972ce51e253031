"""`mmtrain demo`: its files, and the wheel that carries them."""

import importlib.util
import shutil
import subprocess
import sys
import sysconfig
import venv
from importlib.metadata import version
from pathlib import Path

import pytest

import mmtrain
from mmtrain import config
from mmtrain.commands.demo import write_demo
from mmtrain.errors import UsageError

ROOT = Path(mmtrain.__file__).parent.parent


def test_demo_writes_data_and_a_valid_experiment_next_to_each_other(tmp_path):
    file = write_demo(tmp_path / "demo")
    experiment = config.load(file)
    assert experiment.data.table == tmp_path / "demo" / "patients.csv"
    assert len(list((tmp_path / "demo" / "scans").iterdir())) == 400
    assert experiment.name == "clinic"
    assert experiment.branches == config.load(ROOT / "configs" / "scan_and_demographics.yaml").branches


def test_demo_keeps_a_file_that_was_changed_and_refuses_a_folder_of_something_else(tmp_path):
    file = write_demo(tmp_path / "demo")
    file.write_text("name: mine\n")
    assert write_demo(tmp_path / "demo").read_text() == "name: mine\n"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    with pytest.raises(UsageError) as caught:
        write_demo(tmp_path / "other")
    (problem,) = caught.value.problems
    assert (problem.what, problem.fix) == ("there is something here already.", "Name another folder: `mmtrain demo FOLDER`")


def done(*words, cwd):
    result = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a source distribution as a release is."""
    if importlib.util.find_spec("build") is None or int(version("setuptools").partition(".")[0]) < 77:
        pytest.skip("build, or setuptools 77 or later, is not installed: pip install 'mmtrain[release]'")
    folder = tmp_path_factory.mktemp("dist")
    # Of a copy: setuptools writes into the folder that it builds.
    source = folder / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "runs", "build", "dist", "emoji", "tests", "*.egg-info"))
    done(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, source, cwd=folder)
    if importlib.util.find_spec("twine") is not None:
        done(sys.executable, "-m", "twine", "check", "--strict", *folder.glob("*.whl"), *folder.glob("*.tar.gz"), cwd=folder)
    return next(folder.glob("*.whl"))


@pytest.mark.slow
def test_wheel_carries_less_than_two_megabytes_of_samples(wheel):
    from zipfile import ZipFile

    with ZipFile(wheel) as archive:
        samples = [one for one in archive.infolist() if one.filename.startswith("mmtrain/demo_data/")]
        assert {"mmtrain/reports/report.js", "mmtrain/py.typed"} <= set(archive.namelist())
    assert len(samples) == 402
    assert sum(one.compress_size for one in samples) < 2_000_000


@pytest.mark.slow
def test_wheel_installed_alone_runs_the_demo(wheel, tmp_path):
    """In an environment with the wheel and the dependencies that are installed here, and without the checkout."""
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env" / "bin" / "python"
    packages = Path(done(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip())
    done(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", packages, wheel, cwd=tmp_path)
    # Dependencies come last, so that the wheel is found before the checkout, which may be installed among them.
    paths = {sysconfig.get_path("purelib"), *(path for path in sys.path if path.endswith("site-packages"))}
    (packages / "dependencies.pth").write_text("\n".join(sorted(paths)) + "\n")
    assert str(packages) in done(python, "-c", "import mmtrain; print(mmtrain.__file__)", cwd=tmp_path)
    shown = done(python, "-m", "mmtrain", "demo", "--set", "training.epochs=1", cwd=tmp_path)
    assert "test of clinic/1: diagnosis, binary, 100 rows" in shown
    assert (tmp_path / "mmtrain-demo" / "runs" / "clinic" / "1" / "report.html").is_file()
