"""The space of a search: keys and values are checked by the experiment's own rules, and become experiments of trials."""

import pytest
import yaml
from tiny import write_experiment

from mmtrain import config
from mmtrain.config.yaml_source import Origin
from mmtrain.errors import ConfigError
from mmtrain.pipeline.search.experiment_tree import choice_at, sections_of
from mmtrain.pipeline.search.proposal import propose_space
from mmtrain.pipeline.search.space import Setting, load_space, search_score

EXPERIMENT = """
columns: {age: {role: numeric}, sex: {role: categorical}, scan: {role: image, size: [8, 8]}, y: {role: target, task: binary}}
branches: {scan: {columns: [scan], filters: [8]}, table: {columns: [age, sex], architecture: mlp, residual: true}}
training: {early_stopping: {monitor: validation_auc}}
"""


def space_of(tmp_path, space, *overrides, tree=EXPERIMENT):
    values = yaml.safe_load(tree) | {"tune": {"space": yaml.safe_load(space)}}
    origin = Origin(write_experiment(tmp_path / "a.yaml", values), overrides)
    experiment = config.load(origin.path, overrides)
    return load_space(origin, experiment.tune.space, experiment)


def problems_of(tmp_path, space, *overrides):
    with pytest.raises(ConfigError) as caught:
        space_of(tmp_path, space, *overrides)
    text = (tmp_path / "a.yaml").read_text().splitlines()
    assert all(problem.where.startswith("a.yaml:") for problem in caught.value.problems)
    for problem in caught.value.problems:
        number, key = problem.where.split(": ", 1)
        assert key.removeprefix("tune.space.").removeprefix("tune.") in text[int(number.split(":")[1]) - 1] or "score" in key
    return [f"{problem.where.split('tune.')[-1].removeprefix('space.')}: {problem.what} {problem.fix}" for problem in caught.value.problems]


REFUSED = [
    (
        "training.learning_rat: {low: 0.1, high: 1}",
        "training.learning_rat: unknown key. Did you mean 'learning_rate'?",
    ),
    (
        "branches.table.dropout: {low: 0, high: 2}",
        "branches.table.dropout: high: 2 is out of range. It has to be less than 1.",
    ),
    (
        "training.batch_size: {low: 0, high: 2}",
        "training.batch_size: low: 0 is out of range. It has to be more than 0.",
    ),
    (
        "training.batch_size: {low: 0.5, high: 2}",
        "training.batch_size: low: expected auto or a whole number; found '0.5'. ",
    ),
    (
        "branches.table.normalization: [none, layr]",
        "branches.table.normalization: choice 2: expected layer, batch or none; found 'layr'. Did you mean 'layer'?",
    ),
    (
        "branches.table.members: [2, 4]",
        "branches.table.members: unknown key for the architecture `mlp`. The keys here are",
    ),
    ("branches.tabel.dropout: [0.1, 0.2]", "branches.tabel.dropout: there is no branch 'tabel'. Did you mean 'table'?"),
    ("columns.age: [1, 2]", "columns.age: this is a whole column. Name one of its options, `columns.age.OPTION`."),
    ("branches.table: [mlp, mpl]", "branches.table: choice 2: there is no architecture 'mpl'. Did you mean 'mlp'?"),
    ("fusoin.dropout: [0.1, 0.2]", "fusoin.dropout: a search varies the sections branches, columns, fusion and training, not `fusoin`. "),
    ("split.seed: [1, 2]", "split.seed: a search varies the sections branches, columns, fusion and training, not `split`. Leave it out."),
    ("training.minutes: [1, 2]", "training.minutes: a search cannot vary it: trials have the epochs of the experiment"),
    ("training.seed: [1, 2]", "training.seed: a search cannot vary it: another seed changes a score at random"),
    ("training.callbacks: [[], [a]]", "training.callbacks: a search cannot vary it: trials have no callbacks. Leave it out."),
    ("training.trackers: [[], [a]]", "training.trackers: a search cannot vary it: trials have no trackers."),
    ("training.tensorboard: [true, false]", "training.tensorboard: a search cannot vary it: trials write no logs of TensorBoard."),
    (
        "training.early_stopping.monitor: [validation_auc, validation_loss]",
        "training.early_stopping.monitor: a search cannot vary it: trials with another monitored score cannot be compared.",
    ),
    (
        "training.early_stopping.direction: [minimize, maximize]",
        "training.early_stopping.direction: a search cannot vary it: it follows from the monitored score.",
    ),
    ("columns.age.missing: [drop, median]", "columns.age.missing: `missing` decides which rows and labels there are"),
    (
        "columns.scan.size: [[8, 8], [16, 16]]",
        "columns.scan.size: images are decoded once for all trials. Only options of `columns.scan.augment` can be varied.",
    ),
]


@pytest.mark.parametrize(("space", "message"), REFUSED)
def test_a_setting_that_the_experiment_would_refuse_is_reported_with_its_line(tmp_path, space, message):
    (problem,) = problems_of(tmp_path, f"{{{space}}}")
    assert problem.startswith(message)


def test_all_mistakes_of_a_space_are_reported_at_once(tmp_path):
    space = "{training.epochs: [0, 2], branches.table.units: [[8], []], fusion.method: [gated, nothing]}"
    assert [problem.split(":")[0] for problem in problems_of(tmp_path, space)] == [
        "training.epochs",
        "branches.table.units",
        "fusion.method",
    ]


def test_losses_of_different_units_are_not_compared(tmp_path):
    overrides = ["training.early_stopping.monitor=validation_loss"]
    (problem,) = problems_of(tmp_path, "{training.class_weights: [none, balanced]}", *overrides)
    assert "validation_loss is optimized, and training.class_weights changes its unit, so that trials cannot be compared. " in problem
    assert problem.endswith("Set `tune.score` to another score of validation rows.")
    space_of(tmp_path, "{training.class_weights: [none, balanced]}", *overrides, "tune.score=validation_auc")


def test_ranges_are_of_whole_numbers_where_the_setting_takes_no_others(tmp_path):
    space = space_of(tmp_path, "{training.epochs: {low: 2, high: 9}, fusion.dropout: {low: 0, high: 0.5}}")
    assert [setting.whole for setting in space.settings] == [True, False]


@pytest.mark.parametrize(
    ("setting", "value", "number"),
    [
        (Setting("a", low=0.123456, high=10.0), 0.123456, 0.123456),  # rounded to .123, it would be below the range
        (Setting("a", low=0.1, high=0.98765), 0.98765, 0.98765),  # rounded to .9877, above it
        (Setting("a", low=0.1, high=0.98765), 0.45678, 0.4568),
        (Setting("a", low=1e-5, high=1.0, log=True), 0.000123456, 0.0001235),
        (Setting("a", low=0.5, high=3.0), 2.0, 2),
        (Setting("a", low=1e8, high=1e10), 2e9, 2e9),
    ],
)
def test_numbers_have_four_digits_and_stay_within_their_range(setting, value, number):
    assert setting.number(value) == number
    assert type(setting.number(value)) is type(number)


@pytest.mark.parametrize(("rate", "known"), [(0.01, True), (1.0, True), (0.0099, False), (1.01, False)])
def test_the_ends_of_a_range_belong_to_it(tmp_path, rate, known):
    space = space_of(tmp_path, "{training.learning_rate: {low: 0.01, high: 1}}", f"training.learning_rate={rate}")
    assert dict(space.values) == ({"training.learning_rate": rate} if known else {})


def test_epochs_are_varied_where_stages_that_tune_an_encoder_follow_from_them(tmp_path):
    branch = "branches.scan={columns: [scan], architecture: pretrained, tune: lora}"
    space = space_of(tmp_path, "{training.epochs: {low: 5, high: 20}}", branch, "training.epochs=10")
    for epochs, stages in ((5, [4, 1]), (20, [16, 4])):
        training = space.trial_experiment({"training.epochs": epochs}).training
        assert (training.epochs, [stage.epochs for stage in training.stages]) == (epochs, stages)


def test_the_choices_of_every_section_are_found_without_a_list_of_them(tmp_path):
    assert choice_at(("training", "optimizer")).tag == "method"
    assert choice_at(("branches", "scan")).tag == "architecture"
    assert choice_at(("columns", "y", "loss")).tag == "method"  # of a target, which is chosen by its role and its task
    assert choice_at(("training", "early_stopping")) is None
    assert choice_at(("training", "batch_size")) is None
    assert {"adam", "sgd"} <= set(sections_of(("training", "optimizer", "method")))
    assert sections_of(("training", "optimizer", "momentum")) == {}


def test_the_values_of_the_file_are_known_where_the_space_includes_them(tmp_path):
    space = space_of(tmp_path, "{training.learning_rate: {low: 0.01, high: 1}, fusion.units: [[64], [8]], fusion: [gated, concatenate]}")
    assert dict(space.values) == {"fusion.units": [64], "fusion.method": "concatenate"}


def test_a_trial_has_its_values_and_those_of_the_file(tmp_path):
    space = space_of(tmp_path, "{training.learning_rate: {low: 0.0001, high: 1}, branches.table.units: [[64], [8, 4]]}")
    trial = space.trial_experiment({"training.learning_rate": 0.0123, "branches.table.units": [8, 4]})
    assert (trial.training.learning_rate, trial.branches["table"].units, trial.branches["table"].residual) == (0.0123, (8, 4), True)
    assert trial.columns == space.experiment.columns


def test_options_of_another_architecture_are_left_out(tmp_path):
    space = space_of(
        tmp_path, "{branches.table.architecture: [mlp, tabm], branches.table.members: [2, 4], branches.table.units: [[8], [9]]}"
    )
    members = next(setting for setting in space.settings if setting.key == "branches.table.members")
    assert [space.applies(members, {"branches.table.architecture": name}) for name in ("mlp", "tabm")] == [False, True]
    # `residual` of the file is an option of mlp; units that the file leaves out are those of tabm.
    trial = space.trial_experiment({"branches.table.architecture": "tabm", "branches.table.members": 2})
    assert (trial.branches["table"].members, trial.branches["table"].units) == (2, (192, 192))


def test_decisions_of_the_device_are_frozen_but_for_settings_of_the_space(tmp_path):
    space = space_of(tmp_path, "{training.batch_size: [16, 64]}", "training.learning_rate=auto", "fusion=auto")
    decided = space.experiment.decided(batch_size=32, learning_rate=0.02, jit="on", steps_per_call=16)
    frozen = space.frozen(decided)
    trial = frozen.trial_experiment({"training.batch_size": 64})
    assert (trial.training.open_settings, trial.training.batch_size, trial.training.learning_rate) == ([], 64, 0.02)
    assert (trial.training.jit, trial.training.steps_per_call) == ("on", 16)
    assert trial.fusion.trial == decided.fusion.trial or not trial.fusion.trial


def test_the_decision_to_tune_an_encoder_holds_for_all_trials(tmp_path):
    space = space_of(tmp_path, "{training.epochs: [10, 20]}", "branches.scan={columns: [scan], architecture: pretrained, tune: auto}")
    scan = space.experiment.branches["scan"].model_copy(update={"tune": "lora"})
    decided = space.experiment.model_copy(update={"branches": {**space.experiment.branches, "scan": scan}})
    trial = space.frozen(decided).trial_experiment({"training.epochs": 20})
    assert (trial.branches["scan"].tune, [stage.epochs for stage in trial.training.stages]) == ("lora", [16, 4])


def test_the_score_is_that_which_chooses_the_epoch_unless_another_is_given(tmp_path):
    space = space_of(tmp_path, "{training.epochs: [2, 3]}", "training.early_stopping.monitor=train_loss")
    assert search_score(space.experiment) == "validation_loss"
    assert search_score(space_of(tmp_path, "{training.epochs: [2, 3]}").experiment) == "validation_auc"
    assert search_score(space_of(tmp_path, "{training.epochs: [2, 3]}", "tune.score=validation_brier").experiment) == "validation_brier"


def test_a_proposed_space_is_valid_and_varies_what_the_branches_have(tmp_path):
    experiment = config.load(write_experiment(tmp_path / "a.yaml", EXPERIMENT))
    space = propose_space(experiment)
    assert list(space) == [
        "training.learning_rate",
        "fusion.dropout",
        "branches.scan.dropout",
        "branches.scan.filters",
        "branches.table.dropout",
        "branches.table.units",
    ]
    loaded = load_space(Origin(tmp_path / "a.yaml"), space, experiment)
    # The file's own values are among them, so that the first trial teaches the sampler.
    assert list(loaded.values) == list(space)


@pytest.mark.parametrize(
    ("tune", "message"),
    [
        ("score: validation_acu", "tune.score: there is no score 'validation_acu' for these targets. Did you mean 'validation_auc'?"),
        ("score: train_loss", "tune.score: train_loss is a score of training rows, which the largest network always wins."),
        ("pruner: medain", "tune.pruner: expected median, hyperband or none; found 'medain'. Did you mean 'median'?"),
        ("space: {training.epochs: {low: 5, high: 2}}", "`low` is 5 and `high` is 2. Give `low` the smaller number."),
        ("space: {fusion.dropout: {low: 0, high: 1, scale: log}}", "`scale: log` needs numbers above 0, and `low` is 0."),
        ("space: {training.epochs: [5]}", "a search needs two or more choices. Add one, or leave the key out."),
        ("space: {training.epochs: {lwo: 1, high: 2}}", "tune.space.training.epochs.lwo: unknown key. Did you mean 'low'?"),
    ],
)
def test_mistakes_of_the_section_are_reported(tmp_path, tune, message):
    tree = yaml.safe_load(EXPERIMENT) | {"tune": yaml.safe_load(f"{{{tune}}}")}
    with pytest.raises(ConfigError) as caught:
        config.load(write_experiment(tmp_path / "a.yaml", tree))
    assert message in str(caught.value)


def test_an_override_of_the_space_is_a_dotted_key(tmp_path):
    path = write_experiment(tmp_path / "a.yaml", EXPERIMENT)
    space = config.load(path, ["tune.space.training.epochs=[2, 3]", "tune.space.fusion.dropout={low: 0, high: 0.5}"]).tune.space
    assert space["training.epochs"] == (2, 3)
    assert (space["fusion.dropout"].low, space["fusion.dropout"].high) == (0, 0.5)


def test_the_resolved_file_keeps_a_search_and_has_none_without(tmp_path):
    path = write_experiment(tmp_path / "a.yaml", EXPERIMENT)
    assert "tune" not in yaml.safe_load(config.to_yaml(config.load(path), tmp_path))
    searched = config.load(path, ["tune.space.training.epochs=[2, 3]"])
    (tmp_path / "b.yaml").write_text(config.to_yaml(searched, tmp_path))
    assert config.load(tmp_path / "b.yaml").tune == searched.tune
