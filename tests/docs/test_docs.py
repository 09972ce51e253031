"""README and documentation: links lead somewhere, commands and experiments are accepted, and the reference is complete."""

import ast
import importlib
import importlib.util
import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest
import typer
import yaml

import mmtrain
from mmtrain.cli.app import app
from mmtrain.cli.options import COMMANDS
from mmtrain.commands.installation.reference import ALL_KINDS, SECTIONS, names_of_kind
from mmtrain.config import json_schema
from mmtrain.config.experiment import Experiment

ROOT = Path(mmtrain.__file__).parent.parent
DOCS = ROOT / "docs"
WRITTEN = [ROOT / "README.md", *sorted(path for path in DOCS.rglob("*.md") if "reference" not in path.parts)]
BLOCK = re.compile(r"^```(\S*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN, PARSED = ("sh",), ("bash", "")
"""Commands that a test runs, and those that need another machine: a cluster, a GPU, an installation."""
CHECKED = {*RUN, *PARSED, "yaml", "json", "python", "text"}
LINK = re.compile(r"(?<!`)\[[^\]]+\]\(([^)#\s]+)(#[^)\s]+)?\)")
TUTORIALS = [page for page in WRITTEN if any(kind == "sh" for kind, _ in BLOCK.findall(page.read_text(encoding="utf-8")))]


def name_of(page):
    return str(page.relative_to(ROOT))


@cache
def reference():
    """The generated pages by path."""
    sys.path.insert(0, str(DOCS))
    try:
        specification = importlib.util.spec_from_file_location("reference_pages", DOCS / "reference_pages.py")
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
    finally:
        sys.path.remove(str(DOCS))
    return module.pages()


def blocks(page, *kinds):
    return [text for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")) if kind in kinds]


def commands(page, *kinds):
    """The command lines of a page, in its order."""
    lines = [line.partition(" # ")[0].strip() for text in blocks(page, *(kinds or RUN)) for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_links_lead_to_files(page):
    made = {DOCS / name for name in reference()}
    lost = []
    for target, _ in LINK.findall(page.read_text(encoding="utf-8")):
        place = (page.parent / target).resolve()
        if "://" not in target and not place.is_file() and place not in made:
            lost.append(target)
    assert lost == []


@pytest.mark.parametrize("page", TUTORIALS, ids=name_of)
def test_commands_have_the_options_they_are_given(page):
    for line in commands(page):
        own = [part for part in re.split("[|]", line) if part.split()[0] == "mmtrain"]
        assert own or line.split()[0] in ("mkdir", "cp"), line
        for part in own:
            check_options(shlex.split(re.split(" [<>] ", part)[0])[1:])


def check_options(words, *, whole=True):
    """Parse the words of a command line as the command would; without `whole`, words that it needs may be left out."""
    command = typer.main.get_command(app).commands[words[0]]
    command = command.commands[words.pop(1)] if hasattr(command, "commands") and len(words) > 1 else command
    command.make_context(words[0], words[1:], resilient_parsing=not whole)


INLINE = re.compile(r"(?<![`\w])`((?:mmtrain|srun mmtrain) [a-z][^`]*)`")


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_commands_in_sentences_have_the_options_they_are_given(page):
    for text in INLINE.findall(BLOCK.sub("", page.read_text(encoding="utf-8"))):
        line = " ".join(text.split()).removeprefix("srun ")
        check_options([word for word in shlex.split(line)[1:] if word != "..."], whole=False)


NAME = re.compile(r"(?<!`)`([a-z][a-z0-9]+(?:_[a-z0-9]+)*)`(?!`)")
OTHER_NAMES = {
    *("brightness_range", "flow_from_dataframe", "horizontal_flip", "rotation_range", "zoom_range"),
    *("cross_val_score", "test_auc", "test_auc_high", "test_auc_low"),
}
"""Names that the package does not have in one piece: those of Keras and scikit-learn, and scores of trackers."""


@cache
def names_of_the_package():
    """The words of the package, of its extras and make targets, and of the headers of the sample data."""
    files = [path for kind in ("py", "html") for path in Path(mmtrain.__file__).parent.rglob(f"*.{kind}")]
    files += [ROOT / "pyproject.toml", ROOT / "Makefile", *(ROOT / "configs").glob("*.yaml")]
    return {word for path in files for word in re.findall(r"\w+", path.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_names_in_sentences_are_those_of_the_package(page):
    text = page.read_text(encoding="utf-8")
    examples = set(re.findall(r"\w+", " ".join(block for _, block in BLOCK.findall(text))))
    names = set(NAME.findall(BLOCK.sub("", text))) - OTHER_NAMES
    assert names - examples - names_of_the_package() == set()


PATH = re.compile(r"`((?:mmtrain|tests|docs|benchmarks|configs|sample_data)/[\w./]*)`")


@pytest.mark.parametrize("page", [*WRITTEN, ROOT / "CONTRIBUTING.md", Path(mmtrain.__file__)], ids=name_of)
def test_paths_in_sentences_exist(page):
    assert [path for path in PATH.findall(page.read_text(encoding="utf-8")) if not (ROOT / path).exists()] == []


SERVER = Path(mmtrain.__file__).parent / "serving" / "http" / "app.py"
TYPES_READ = {f"Content-Type: {name}" for name in ("application/json", "text/csv", "image/png")}


def make_targets():
    return re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("page", [page for page in WRITTEN if blocks(page, *PARSED)], ids=name_of)
def test_commands_for_other_machines_are_parsed(page):
    """Each is of mmtrain, with options that it has, or of make, pip or curl, with what this repository or a server has."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for line in commands(page, *PARSED):
        words = shlex.split(line)
        while words[0] in ("srun", "mmtrain") and words[1].startswith("-"):
            del words[1]  # an option of srun
        words = words[1:] if words[0] == "srun" else words
        if words[0] == "mmtrain":
            check_options(words[1:])
        elif words[0] == "make":
            assert words[1] in make_targets()
        elif words[0] == "pip":
            assert words[1] == "install"
            extras = re.findall(r"(?:mmtrain|\.)\[([a-z,]+)\]", line)
            assert {name for names in extras for name in names.split(",")} <= set(project["optional-dependencies"])
            assert all((ROOT / path).is_file() for path in re.findall(r"--constraint (\S+)", line))
        elif words[0] == "curl":
            address = next(word for word in words if word.startswith("localhost:8000/")).partition("/")[2].partition("?")[0]
            assert re.search(rf'(_add_rows\(app, server, "|app\.post\("/){address}"', SERVER.read_text(encoding="utf-8"))
            assert {word for word in words if word.startswith("Content-Type")} <= TYPES_READ
            assert all(json.loads(word) for word in words if word.startswith("{"))
        else:
            assert line in ("python3 -m venv .venv", ". .venv/bin/activate"), line


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_every_block_says_its_language(page):
    kinds = {kind for kind, _ in BLOCK.findall(page.read_text(encoding="utf-8"))}
    assert {kind for kind in kinds if not kind.startswith("{")} <= CHECKED


EXAMPLE = re.compile(r"Examples?: `(mmtrain [^`]+)`")


def help_pages():
    """The words of every command, with its help."""
    for name, command in typer.main.get_command(app).commands.items():
        if hasattr(command, "commands"):
            yield from ((f"{name} {inner}", one.help) for inner, one in command.commands.items())
        else:
            yield name, command.help


@pytest.mark.parametrize(("words", "text"), [*help_pages()], ids=lambda value: value[:20])
def test_the_help_of_every_command_has_an_example_that_it_accepts(words, text):
    (example,) = EXAMPLE.findall(text)
    assert example.startswith(f"mmtrain {words}")
    check_options(shlex.split(example.partition(">")[0])[1:])


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_yaml_has_no_mistake(page):
    for text in blocks(page, "yaml"):
        tree = yaml.safe_load(text)
        assert isinstance(tree, dict)
        tree = {"training": tree} if "trackers" in tree else tree
        if not set(tree).isdisjoint(Experiment.model_fields):
            # A block shows the sections that its page is about.
            mistakes = [error for error in schema_of_pages().iter_errors(tree) if error.validator != "required"]
            assert [f"{error.json_path}: {error.message}" for error in mistakes] == []


@cache
def schema_of_pages():
    jsonschema = pytest.importorskip("jsonschema")
    return jsonschema.Draft202012Validator(json_schema())


@pytest.mark.parametrize("page", [page for page in WRITTEN if blocks(page, "python")], ids=name_of)
def test_python_calls_what_the_package_has(page):
    for text in blocks(page, "python"):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "mmtrain":
                module = importlib.import_module(node.module)
                assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []
            elif isinstance(node, ast.Call) and re.fullmatch(r"mmtrain\.\w+", name := ast.unparse(node.func)):
                function = getattr(mmtrain, name.removeprefix("mmtrain."))
                inspect.signature(function).bind(*node.args, **{word.arg: word.value for word in node.keywords})


def test_every_command_and_name_is_in_the_reference():
    pages = reference()
    commands = pages["reference/commands.md"]
    assert [name for name in COMMANDS if f"## mmtrain {name}\n" not in commands] == []
    for kind in ALL_KINDS:
        page = pages[f"reference/{'experiment' if kind == SECTIONS else kind}.md"]
        assert [one.name for one in names_of_kind(kind) if one.name not in page] == []
    python = pages["reference/python.md"]
    assert [name for name in mmtrain.__all__ if f"## mmtrain.{name}\n" not in python] == []


def test_every_field_of_a_result_has_a_meaning():
    assert "|  |" not in reference()["reference/results.md"]


@pytest.mark.slow  # each page trains several times
@pytest.mark.parametrize("page", TUTORIALS, ids=name_of)
def test_the_commands_of_a_page_run_in_its_order(page, tmp_path):
    for folder in ("sample_data", "configs"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for line in commands(page):
        done = subprocess.run(line, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


@pytest.mark.slow  # ten seconds
def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("sphinx")
    source = tmp_path / "docs"
    shutil.copytree(DOCS, source, ignore=shutil.ignore_patterns("__pycache__", "reference"))
    words = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", str(source), str(tmp_path / "site")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert "//fonts." not in page
    assert "//cdn" not in page
