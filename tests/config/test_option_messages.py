"""Options that contradict each other, each refused with the line of the section and the whole text of the message."""

import pytest

from mmtrain.config import load
from mmtrain.errors import ConfigError

IMAGE = "size: [8, 8], channels: 1"
INPUTS = [
    ("role: date, since: x", "`since` names the column itself. Name another column of dates, or leave `since` out."),
    ("role: date, time_zone: Mars", "'Mars' is not a time zone. Write a name such as Europe/Vienna or UTC."),
    ("role: date, format: year", "'year' is not a format. Write day_first, month_first, or a pattern such as '%d/%m/%Y'."),
    ("role: date, format: '%Q'", "'%Q' is not a format: 'Q' is a bad directive in format '%Q'. Write a pattern such as '%d/%m/%Y'."),
    ("role: image, size: [8, 8], channels: 4, window: [0, 9]", "`window` goes with `channels: 1` or `channels: 3`."),
    (f"role: images, columns: [a, a], {IMAGE}", "`columns` names a header twice."),
    (f"role: images, slice: [1, 1], {IMAGE}", "`slice` lists each slice once, as [10, 20, 30]."),
    ("role: sequence, step: 2", "`step` needs `time`, the header of the times that it divides."),
    ("role: sequence, columns: [a, b], time: b", "`columns` and `time` name each header once."),
    ("role: text, encoder: some, vectorize: tokens", "`encoder` needs `vectorize: pieces`; leave `vectorize` out."),
    ("role: text, encoder: some, model: other", "`encoder` reads the pieces of its own model; leave `model` out."),
    ("role: text, columns: [a]", "`columns` names two headers or more, each once; a single one is `column`."),
    (
        "role: text, vectorize: hashed, characters: [3]",
        "`characters` are the fewest and the most of a run, as [3, 5], or [] for none.",
    ),
    (
        "role: text, vectorize: pieces, model: some, max_length: 2",
        "`max_length` of pieces is at least 3: one of the text between those that begin and end it.",
    ),
]
TARGETS = [
    ("task: survival, time: e, event: e", "event: `time` and `event` name one column. Name the column of the outcome."),
    ("task: count, exposure: y", "exposure: `column` and `exposure` name one column. Name the column of the exposure."),
    (
        "task: quantiles, levels: [0.1, 0.1000000001]",
        "levels: two `levels` differ after six digits, and name one column of predictions. Leave one of them out.",
    ),
    ("task: ranking, group: y", "group: `column` and `group` name one column. Name the column of the group."),
    ("task: vector, columns: [a, a]", "columns: 'a' is listed twice. List it once."),
    (
        "task: binary, sample: balanced, class_weights: balanced",
        "sample: `class_weights` and `sample: balanced` both correct for how often classes occur. Leave one of them out.",
    ),
    (
        "task: binary, sample: balanced, loss: logit_adjusted",
        "sample: `loss: logit_adjusted` and `sample: balanced` both correct for how often classes occur. Leave one of them out.",
    ),
]
SECTIONS = [
    (
        "training: {early_stopping: {monitor: validation_auc, standard_errors: 1}}",
        "training.early_stopping: `standard_errors` is for `monitor: validation_loss`, not for validation_auc. Leave it out.",
    ),
    ("training: {clip_norm: 1, clip_value: 1}", "training: `clip_norm` and `clip_value` exclude each other. Leave one of them out."),
    (
        "training: {jit: on, deterministic: true}",
        "training: `jit` and `deterministic` exclude each other: XLA has no reproducible form of some operations. Leave one of them out.",
    ),
    (
        "training: {trackers: [{name: mlflow, tracking_uri: 'http://me:secret@host'}]}",
        "training.trackers, entry 1, tracking_uri: the password would be in the run folder, its report and all copies of them. "
        "Leave `tracking_uri` out, and set MLFLOW_TRACKING_URI in the environment.",
    ),
    (
        "evaluation: {threshold: {aim: cost}}",
        "evaluation.threshold: `aim: cost` and `cost` belong together. Write `{aim: cost, cost: {false_positive: 1, false_negative: 5}}`.",
    ),
]


def reported(folder, x="role: numeric", y="task: binary", more=""):
    path = folder / "a.yaml"
    path.write_text(f"data: {{table: t.csv}}\ncolumns:\n  x: {{{x}}}\n  y: {{role: target, {y}}}\n{more}\n")
    with pytest.raises(ConfigError) as caught:
        load(path)
    return str(caught.value)


@pytest.mark.parametrize(("options", "message"), INPUTS)
def test_options_of_an_input(tmp_path, options, message):
    assert reported(tmp_path, x=options) == f"a.yaml:3: columns.x: {message}"


@pytest.mark.parametrize(("options", "message"), TARGETS)
def test_options_of_a_target(tmp_path, options, message):
    assert reported(tmp_path, y=options) == f"a.yaml:4: columns.y.{message}"


@pytest.mark.parametrize(("section", "message"), SECTIONS)
def test_options_of_a_section(tmp_path, section, message):
    assert reported(tmp_path, more=section) == f"a.yaml:5: {message}"


def test_two_rankings_and_two_draws_exclude_each_other(tmp_path):
    ranking = "task: ranking, group: q"
    more = "  z: {role: target, task: ranking, group: q}\n  q: {role: group}"
    assert reported(tmp_path, y=ranking, more=more) == (
        "a.yaml:5: columns.z.group: the batches keep the groups of 'y' together already. Train the two in two experiments."
    )
    more = "  z: {role: target, task: binary, sample: balanced}"
    assert reported(tmp_path, y="task: binary, sample: balanced", more=more) == (
        "a.yaml:5: columns.z.sample: the rows of an epoch are drawn by the classes of 'y' already. Leave one of the two out."
    )


@pytest.mark.parametrize("address", ["s3://bucket/../t.csv", "https://host/a/../t.csv"])
def test_addresses_are_written_without_steps_back(tmp_path, address):
    path = tmp_path / "a.yaml"
    path.write_text(f"data: {{table: '{address}'}}\ncolumns: {{x: {{role: numeric}}, y: {{role: target, task: binary}}}}\n")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value) == "a.yaml:1: data.table: 't.csv' is not the address of a file. Write it without `..`."


def test_weights_of_single_branches_are_fitted(tmp_path):
    assert reported(tmp_path, more="ensemble: {single_branches: true}").splitlines()[0] == (
        "a.yaml:5: ensemble: `single_branches` needs weights: in a plain mean, weak branches count as much as all together. "
        "Set `weights: greedy`."
    )
