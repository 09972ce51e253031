"""What a person sees on a terminal: bars and live tables in place, sentences broken at the ends of words, nothing too wide."""

import numpy as np
import PIL.Image
import pytest
from terminal import Terminal, run_on_terminal
from tiny import write_experiment, write_table

from mmtrain.cli.installation.reference import _first_sentence
from mmtrain.cli.views import console
from mmtrain.cli.views.console import line, show_problems
from mmtrain.cli.views.training_progress import Display
from mmtrain.errors import ConfigError, Problem
from mmtrain.training.listeners.events import EpochEnded, Started, Stepped, StopAsked

WIDTHS = (80, 120)


def standard_error(width, monkeypatch):
    """A terminal in the place of standard error, with the console that writes to it."""
    made = Terminal(width)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm-256color")
    made.console = console._Plain(file=made.file, highlight=False)
    monkeypatch.setattr(console, "err", lambda: made.console)
    return made


@pytest.fixture(params=WIDTHS)
def terminal(request, monkeypatch):
    made = standard_error(request.param, monkeypatch)
    yield made
    made.close()


def shown(terminal):
    """What stands on the screen, once it was seen that nothing was escaped and nothing too wide."""
    terminal.file.flush()
    terminal.settle()
    assert "\\r" not in terminal.raw
    assert "\\x1b" not in terminal.raw
    assert terminal.too_wide() == []
    return [text for text in terminal.screen if text]


def test_bars_leave_one_line_each(terminal, monkeypatch):
    seconds = iter(range(1000))
    monkeypatch.setattr("time.perf_counter", lambda: next(seconds))
    display = Display(terminal.console, quiet=False)
    for done in (16, 1_000_000, 10_000_000):
        display.images(done, 10_000_000, done * 3000)
    for done in (16, 20, 40):
        display.checked(done, 40, done * 3000)
        if done == 20:
            display.say("Said in the middle of it.")
    display.close()
    screen = shown(terminal)
    assert [text.split("  ")[0] for text in screen] == [
        "decoding images: 10,000,000 of 10,000,000",
        "Said in the middle of it.",
        "checking images: 40 of 40",
    ]
    assert any(text.startswith("decoding images: 1,000,000 of 10,000,000  3,000 MB") and "━" in text for text in terminal.seen)


def test_bar_that_was_not_ended_is_taken_away(terminal, monkeypatch):
    seconds = iter(range(1000))
    monkeypatch.setattr("time.perf_counter", lambda: next(seconds))
    display = Display(terminal.console, quiet=False)
    display.images(16, 100, 1)
    display.close()
    assert shown(terminal) == []
    assert any("━" in text for text in terminal.seen)


def test_live_view_of_a_training_fits(terminal):
    display = Display(terminal.console, quiet=False)
    monitor = "validation_a_rather_long_target_balanced_accuracy"
    display.event(Started(epochs=1000, steps=40, rows=64_000_000, monitor=monitor, direction="maximize"))
    for epoch in (1, 2):
        display.event(Stepped(epoch, 3, 48_000_000, 123456.789))
        display.event(StopAsked(1))
        scores = {"train_loss": 123456.789, "validation_loss": 0.25, monitor: 0.5}
        display.event(EpochEnded(epoch, scores, 0.001, 1000.0, 640_000.0, epoch == 1, 1))
    display.close()
    assert "Stopping after this step, with a checkpoint." in shown(terminal)


LONG = (
    "The network is scored on images that it was trained on, so the scores are too good: leave the copies out, or give their rows one "
    "value in a `group` column of the table, then go on with it: mmtrain fit --resume 'runs/my clinic/1' --table t.csv"
)


def test_sentence_is_broken_at_the_ends_of_words_and_a_command_is_not(terminal):
    line(terminal.console, LONG)
    screen = shown(terminal)
    assert " ".join(screen) == LONG
    assert screen[-1] == "mmtrain fit --resume 'runs/my clinic/1' --table t.csv"
    assert all(len(text) > terminal.width - 60 for text in screen[:-2])


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a" * 70 + " " + "b" * 30, ["a" * 70, "b" * 30]),
        ("a" * 70 + " `b c " + "d" * 20 + "`", ["a" * 70, "`b c " + "d" * 20 + "`"]),
        ("    " + "a b " * 40, ["    " + ("a b " * 19).rstrip(), "    " + ("a b " * 19).rstrip(), "    a b a b"]),
        ("部" * 30 + " " + "位" * 30, ["部" * 30, "位" * 30]),
        ("/" + "p" * 100 + " gone", ["/" + "p" * 100, "gone"]),
        ("short\n\nlines", ["short", "", "lines"]),
    ],
)
def test_lines_of_eighty_columns(text, lines, monkeypatch):
    made = standard_error(80, monkeypatch)
    line(made.console, text)
    made.close()
    assert made.screen[: len(lines)] == lines


def test_place_of_a_problem_stays_in_one_piece(terminal):
    place = f"data of someone/my data/{'folder/' * 4}patients.csv:12: age"
    show_problems(ConfigError([Problem(place, "the cell is not a number " * 4 + ".", "Write one.")]), as_json=False)
    assert any(place in text for text in shown(terminal))


def test_text_for_other_programs_is_one_line(monkeypatch, capsys):
    line(console.err(), LONG)
    show_problems(ConfigError([Problem("my file.yaml", LONG)]), as_json=False)
    assert capsys.readouterr().err.splitlines()[::2] == [LONG, f"my file.yaml: {LONG}"]


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """An experiment whose images take a moment to decode."""
    folder = tmp_path_factory.mktemp("terminal")
    (folder / "scans").mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (500, 500, 3), dtype=np.uint8)
    rows = []
    for row in range(400):
        PIL.Image.fromarray(np.roll(noise, row, axis=0) // (1 + row % 2)).save(folder / "scans" / f"{row}.jpg")
        rows.append({"scan": f"scans/{row}.jpg", "age": row, "note": "words in it" if row % 2 else "others", "ill": row % 2})
    write_table(folder / "table.csv", rows)
    columns = {"scan": {"role": "image", "size": [16, 16]}, "age": {"role": "numeric"}, "note": {"role": "text"}}
    columns["ill"] = {"role": "target", "task": "binary"}
    write_experiment(folder / "a.yaml", {"columns": columns, "training": {"epochs": 2, "batch_size": 32}})
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
def test_every_command_fits_the_terminal(scans, tmp_path, width):
    commands = [
        ["check", scans / "a.yaml"],
        ["inspect-data", scans / "a.yaml"],
        ["fit", scans / "a.yaml", "--dry-run"],
        ["fit", scans / "a.yaml"],
        ["evaluate"],
        ["explain"],
        ["export", "--format", "keras"],
        ["predict", "a", scans / "table.csv", "-o", "p.csv"],
    ]
    for number, command in enumerate(commands):
        cache = tmp_path / f"cache{number}"  # so that each decodes the images
        code, made = run_on_terminal(*command, folder=tmp_path, width=width, MMTRAIN_CACHE=str(cache))
        assert code == 0, made.raw
        assert "\\r" not in made.raw
        assert "\\x1b" not in made.raw
        assert [text for text in made.too_wide() if "/" not in text] == []  # a path may be wider
        if command[0] != "predict":
            assert any("decoding images" in text and "━" in text for text in made.seen), made.raw


HELP_WIDTH = 80


@pytest.fixture(scope="module")
def help_texts():
    """The help of every command as a terminal of 80 columns shows it."""
    from io import StringIO

    import typer
    from typer import rich_utils

    from mmtrain.cli.app import app

    texts = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rich_utils, "MAX_WIDTH", HELP_WIDTH)
        for name, command in typer.main.get_command(app).commands.items():
            inner = getattr(command, "commands", None)
            for words, one in [(f"{name} {key}", value) for key, value in inner.items()] if inner else [(name, command)]:
                patch.setattr("sys.stdout", shown := StringIO())
                one.format_help(typer.Context(one, info_name=words), None)
                texts[words] = shown.getvalue()
    return texts


def test_help_fits_into_eighty_columns_and_leaves_room_for_sentences(help_texts):
    assert len(help_texts) > 20
    for words, text in help_texts.items():
        assert [line for line in text.splitlines() if len(line) > HELP_WIDTH] == [], words
        starts = [line.find(help_of_help) for line in text.splitlines() if (help_of_help := "Show this message") in line]
        assert all(start <= 50 for start in starts), (words, text)


def test_help_keeps_what_stands_in_brackets(help_texts):
    assert "mmtrain[tune]" in help_texts["tune"]


def test_lists_show_whole_first_sentences():
    purpose = "Steps that lie 1, 2, 4, ... apart (Bai et al. 2018). The mean of the rest."
    assert _first_sentence(purpose) == "Steps that lie 1, 2, 4, ... apart (Bai et al. 2018)."


def test_lists_keep_what_stands_in_brackets(capsys):
    from mmtrain.cli.app import run

    assert run(["list", "columns", "image"]) == 0
    listed = capsys.readouterr().out
    assert (
        "window  [number, number]; or auto, percentile; default: auto\n    Values between black and white. [low, high]: in the unit"
        in listed
    )
    assert run(["list", "columns"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["name", "purpose"]
