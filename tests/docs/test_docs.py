"""README and documentation: links lead somewhere, commands and experiments are accepted, and the reference is complete."""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import typer
import yaml

import mmtrain
from mmtrain.cli.app import app
from mmtrain.cli.options import COMMANDS
from mmtrain.commands.installation.reference import ALL_KINDS, SECTIONS, names_of_kind

ROOT = Path(mmtrain.__file__).parent.parent
DOCS = ROOT / "docs"
WRITTEN = [ROOT / "README.md", *sorted(path for path in DOCS.rglob("*.md") if "reference" not in path.parts)]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
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


def commands(page):
    """The command lines of a page, in its order."""
    return [line for text in blocks(page, "sh") for line in text.splitlines() if line]


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
        assert own, line
        for part in own:
            check_options(shlex.split(part.partition("<")[0])[1:])


def check_options(words):
    """Parse the words of a command line as the command would."""
    command = typer.main.get_command(app).commands[words[0]]
    command = command.commands[words.pop(1)] if hasattr(command, "commands") else command
    command.make_context(words[0], words[1:])


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
        assert isinstance(yaml.safe_load(text), dict)


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
