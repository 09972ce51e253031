"""Run folders: numbered, written whole, found again, and refused when they are not what was written."""

import errno
import json
import os
import re
import threading

import pytest

from mmtrain.artifacts import runs
from mmtrain.artifacts.atomic_files import atomic_write, disk_errors, file_hash
from mmtrain.artifacts.run_folder import FORMAT, Run
from mmtrain.artifacts.runs import create, find
from mmtrain.errors import RunError, UsageError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_runs_are_numbered_and_latest_points_to_the_newest(tmp_path):
    made = [create("clinic", tmp_path / "runs") for _ in range(3)]
    assert [str(run) for run in made] == ["clinic/1", "clinic/2", "clinic/3"]
    assert names(tmp_path / "runs" / "clinic") == ["1", "2", "3", "latest"]
    assert os.readlink(tmp_path / "runs" / "clinic" / "latest") == "3"
    assert (tmp_path / "runs" / "clinic" / "latest" / "run.json").is_file()


def test_new_run_says_what_it_is(tmp_path):
    run = create("clinic", tmp_path)
    facts = run.read_json("run.json")
    assert list(facts) == ["format", "name", "state", "started"]
    assert (facts["format"], facts["name"], facts["state"], run.state) == (FORMAT, "clinic", "running", "running")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", facts["started"])


def test_numbers_go_on_after_the_largest_and_nothing_is_overwritten(tmp_path):
    for name in ("2", "7", "notes", "²"):
        (tmp_path / "clinic" / name).mkdir(parents=True)
        (tmp_path / "clinic" / name / "mine.txt").write_text("kept")
    (tmp_path / "clinic" / "8").write_text("a file of somebody else")
    assert str(create("clinic", tmp_path)) == "clinic/9"
    assert (tmp_path / "clinic" / "7" / "mine.txt").read_text() == "kept"
    assert (tmp_path / "clinic" / "8").read_text() == "a file of somebody else"


def test_runs_made_at_the_same_moment_get_numbers_of_their_own(tmp_path):
    made = []
    threads = [threading.Thread(target=lambda: made.append(create("clinic", tmp_path).folder.name)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made, key=int) == [str(number) for number in range(1, 9)]


def test_folder_that_cannot_be_made_is_a_problem(tmp_path):
    (tmp_path / "runs").write_text("a file in the way")
    with pytest.raises(RunError) as caught:
        create("clinic", tmp_path / "runs")
    assert str(caught.value) == (
        f"{tmp_path}/runs/clinic: the run folder cannot be made: Not a directory. Give another folder with --output."
    )


# Files


def test_file_is_written_whole_or_not_at_all(tmp_path):
    run = create("clinic", tmp_path)
    run.write_text("plots/a.txt", "old")
    with pytest.raises(UnicodeEncodeError):
        run.write_text("plots/a.txt", "new \ud800")
    with pytest.raises(ValueError, match="not JSON compliant"):
        run.write_json("plots/a.txt", {"loss": float("nan")})
    with pytest.raises(ZeroDivisionError), atomic_write(run / "plots" / "a.txt") as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert (run / "plots" / "a.txt").read_text() == "old"
    assert names(run / "plots") == ["a.txt"]
    run.write_text("plots/a.txt", "new")
    assert (run / "plots" / "a.txt").read_text() == "new"
    assert names(run / "plots") == ["a.txt"]


def test_what_a_killed_process_leaves_is_not_taken_for_the_file(tmp_path):
    run = create("clinic", tmp_path)
    (run / ".model.keras.0a1b2c3d.tmp").write_text("half")
    run.write_text("model.keras", "whole")
    assert (run / "model.keras").read_text() == "whole"


def test_replacing_takes_away_a_folder_that_was_left_half_written(tmp_path):
    with pytest.raises(ZeroDivisionError), atomic_write(tmp_path / "best") as temporary:
        temporary.mkdir()
        (temporary / "weights").write_text("half")
        raise ZeroDivisionError
    assert names(tmp_path) == []


def test_facts_are_changed_one_by_one(tmp_path):
    run = create("clinic", tmp_path)
    run.update(seed=3, state="failed")
    run.update(seed=4)
    facts = run.read_json("run.json")
    assert (facts["name"], facts["seed"], run.state) == ("clinic", 4, "failed")


def test_no_change_is_lost_when_several_are_made_at_once(tmp_path):
    """Each thread opens the run by itself, as a process would."""
    folder = create("clinic", tmp_path).folder
    together = threading.Barrier(8)

    def look(number):
        together.wait()
        for _ in range(10):
            Run(folder).change("run.json", lambda known: {**known, "looks": [*known.get("looks", []), number]})

    threads = [threading.Thread(target=look, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Run(folder).read_json("run.json")["looks"]) == 80
    assert names(folder) == ["run.json"]


def test_lines_are_appended(tmp_path):
    run = create("clinic", tmp_path)
    run.append_line("metrics.jsonl", {"epoch": 1, "auc": None})
    run.append_line("metrics.jsonl", {"epoch": 2, "auc": 0.5})
    assert (run / "metrics.jsonl").read_text() == '{"epoch": 1, "auc": null}\n{"epoch": 2, "auc": 0.5}\n'


def test_only_what_cannot_be_written_is_told_so(tmp_path):
    image = tmp_path / "images" / "a.png"
    with pytest.raises(FileNotFoundError), disk_errors(tmp_path / "out"):
        image.read_bytes()
    with pytest.raises(RunError, match="cannot be written: no space left on device"), disk_errors(tmp_path / "out"):
        raise OSError(errno.ENOSPC, "No space left on device")  # as of `file.write`, which does not know the name


@pytest.mark.parametrize(
    ("write", "file"),
    [
        (lambda run: run.write_text("plots/a.png", ""), "plots/a.png"),
        (lambda run: run.append_line("plots/a.png", {}), "plots/a.png"),
    ],
)
def test_file_that_cannot_be_written_is_a_problem(tmp_path, write, file):
    run = create("clinic", tmp_path)
    (run / "plots").write_text("a file in the way")
    with pytest.raises(RunError) as caught:
        write(run)
    text = str(caught.value)
    assert text.startswith(f"{run.folder}/{file}: the file cannot be written: ")
    assert text.endswith(". Make room, or choose another folder.")


@pytest.mark.parametrize(
    ("content", "what"), [(None, "is missing from the run"), ("{", "is damaged"), ("", "is damaged"), ("é", "is damaged")]
)
def test_file_that_cannot_be_read_is_a_problem(tmp_path, content, what):
    run = create("clinic", tmp_path)
    if content is not None:
        (run / "data.json").write_text(content, encoding="latin-1")
    with pytest.raises(RunError) as caught:
        run.read_json("data.json")
    assert str(caught.value) == f"{run.folder}/data.json: the file {what}. Train again, or restore the folder."


# Finding a run


@pytest.fixture
def output(tmp_path):
    """Runs clinic/1, shop/1, clinic/2 and shop/2, made in this order."""
    for place, (name, number) in enumerate([("clinic", 1), ("shop", 1), ("clinic", 2), ("shop", 2)]):
        run = create(name, tmp_path / "runs")
        assert run.folder.name == str(number)
        run.update(started=f"2026-01-0{place + 1}T00:00:00.000+00:00")
    return tmp_path / "runs"


@pytest.mark.parametrize(
    ("which", "found"),
    [
        (None, "shop/2"),
        ("clinic", "clinic/2"),
        ("clinic/1", "clinic/1"),
        ("clinic/latest", "clinic/2"),
        ("{output}/shop/1", "shop/1"),
        ("{output}/clinic", "clinic/2"),
        ("{output}/clinic/", "clinic/2"),
    ],
)
def test_run_is_found_by_what_a_person_writes(output, which, found):
    run = find(which and which.format(output=output), output)
    assert str(run) == found
    assert run.folder == (output / found).resolve()


def test_latest_run_is_the_one_that_began_last_not_the_one_touched_last(output):
    Run(output / "clinic" / "1").update(evaluations=[{"part": "test"}])
    assert str(find(None, output)) == "shop/2"


def test_tenth_run_is_later_than_the_ninth(tmp_path):
    for _ in range(10):
        create("clinic", tmp_path)
    assert str(find("clinic", tmp_path)) == "clinic/10"


def test_run_folder_without_its_description_is_passed_over(output):
    (output / "clinic" / "3").mkdir()
    assert str(find("clinic", output)) == "clinic/2"


def test_folder_of_images_that_has_the_name_of_the_run_is_passed_over(output, tmp_path, monkeypatch):
    (tmp_path / "clinic" / "5").mkdir(parents=True)
    (tmp_path / "clinic" / "5" / "image.png").write_text("")
    monkeypatch.chdir(tmp_path)
    assert str(find("clinic", output)) == "clinic/2"


def test_run_is_found_by_the_name_of_its_experiment_file_with_blanks(output, tmp_path):
    (tmp_path / "runs" / "clinic").rename(tmp_path / "runs" / "the-clinic")
    assert str(find("the clinic", output)) == "the-clinic/2"


@pytest.mark.parametrize(
    ("which", "problem"),
    [
        ("clinik", "clinik: there is no such run. Did you mean 'clinic'?"),
        ("zzz", "zzz: there is no such run. The runs in {output} are called clinic and shop."),
        ("clinic/9", "clinic/9: there is no such run. Did you mean 'clinic'?"),
    ],
)
def test_unknown_run_is_told_with_what_there_is(output, which, problem):
    with pytest.raises(UsageError) as caught:
        find(which, output)
    assert str(caught.value) == problem.format(output=output)


def test_without_any_run_the_way_to_one_is_told(tmp_path):
    with pytest.raises(UsageError) as caught:
        find(None, tmp_path)
    assert str(caught.value) == f"{tmp_path}: the folder holds no runs. Train one with `mmtrain fit CONFIG`, or name its folder."
    with pytest.raises(UsageError) as caught:
        find("clinic", tmp_path / "nowhere")
    assert str(caught.value) == (
        f"clinic: there is no such run. There are no runs under {tmp_path}/nowhere: "
        "train one with `mmtrain fit CONFIG`, or name another folder with --output."
    )


# Opening a run


def test_sealed_files_may_not_change(tmp_path):
    run = create("clinic", tmp_path)
    for name in ("a.txt", "b.txt", "c.txt"):
        run.write_text(name, name)
    run.seal("a.txt", "b.txt")
    run.seal("c.txt")
    assert run.read_json("run.json")["files"]["a.txt"] == file_hash(run / "a.txt")
    assert runs.open_run(run.folder).folder == run.folder
    run.write_text("a.txt", "changed")
    with pytest.raises(RunError) as caught:
        find("clinic", tmp_path)
    assert str(caught.value) == f"{run.folder}: a.txt changed after the training. Restore the folder, or train again."
    (run / "c.txt").unlink()
    with pytest.raises(RunError) as caught:
        find("clinic", tmp_path)
    assert str(caught.value) == f"{run.folder}: a.txt and c.txt changed after the training. Restore the folder, or train again."


@pytest.mark.parametrize(
    ("version", "who", "fix"),
    [(FORMAT + 1, "a newer", "Update mmtrain."), (FORMAT - 1, "an older", "Train again, or open it with the version that made it.")],
)
def test_run_of_another_format_is_refused(tmp_path, version, who, fix):
    run = create("clinic", tmp_path)
    run.update(format=version, versions={"mmtrain": "9.1"})
    with pytest.raises(RunError) as caught:
        find("clinic", tmp_path)
    what = f"the run was made by {who} mmtrain (9.1): its folder has format {version}, and this version reads format {FORMAT}."
    assert str(caught.value) == f"{run.folder}: {what} {fix}"


def test_hash_of_a_file_is_its_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert file_hash(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_damaged_description_of_a_run_is_a_problem(tmp_path):
    run = create("clinic", tmp_path)
    (run / "run.json").write_text(json.dumps({"format": FORMAT})[:-2])
    with pytest.raises(RunError) as caught:
        find("clinic", tmp_path)
    assert str(caught.value) == f"{run.folder}/run.json: the file is damaged. Train again, or restore the folder."
