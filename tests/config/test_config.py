"""What a sound experiment file means: values, defaults, precedence, the resolved file and the schema for editors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest
import yaml
from pydantic import BaseModel, Field, ValidationError

from mmtrain.branches import Features, architectures, branch
from mmtrain.columns import InputColumn, role, roles
from mmtrain.config import Experiment, json_schema, load, to_yaml
from mmtrain.config.monitors import monitored
from mmtrain.errors import ConfigError
from mmtrain.fusions import fusion, fusions
from mmtrain.metrics import binary_scores, multiclass_scores, multilabel_scores, regression_scores
from mmtrain.metrics.score import EACH_LABEL
from mmtrain.optim import losses, optimizers, schedules
from mmtrain.splits import split_methods
from mmtrain.synonyms import WORDS_OF
from mmtrain.targets import BinaryTarget, MulticlassTarget, MultilabelTarget, RegressionTarget, SurvivalTarget, tasks
from mmtrain.trackers import trackers

CLINIC = """\
name: clinic
data:
  table: ../sample_data/patients.csv
  images: ../sample_data/scans
columns:
  scan: {role: image, size: [64, 64], channels: 1, augment: {flip: horizontal, rotate: 10}}
  age: {role: numeric, normalize: standard}
  sex: {role: categorical}
  note: {role: text, vectorize: tfidf, max_tokens: 5000}
  patient: {role: group}
  diagnosis: {role: target, task: binary, positive: malignant}
branches:
  scan: {columns: [scan], architecture: cnn, filters: [16, 32, 64]}
  demographics: {columns: [age, sex], architecture: mlp, units: [32]}
  note: {columns: [note], architecture: mlp, units: [32]}
fusion: {method: concatenate, units: [64], dropout: 0.3}
split: {method: stratified, validation: 0.15, test: 0.15, seed: 7}
training: {epochs: 30, batch_size: 32, optimizer: adam, learning_rate: 0.001, class_weights: balanced,
           early_stopping: {monitor: validation_auc, patience: 5}}
"""

SMALL = """\
data: {table: patients.csv}
columns:
  age: {role: numeric}
  ill: {role: target, task: binary}
"""


def loaded(folder: Path, text: str, *overrides: str, name: str = "clinic.yaml") -> Experiment:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return load(path, overrides)


def test_clinic_is_read_as_it_is_written(tmp_path):
    experiment = loaded(tmp_path / "configs", CLINIC)
    assert experiment.data.table == tmp_path / "sample_data" / "patients.csv"
    assert experiment.data.images_folder.path == tmp_path / "sample_data" / "scans"
    assert list(experiment.inputs) == ["scan", "age", "sex", "note"]
    assert list(experiment.targets) == ["diagnosis"]
    assert experiment.columns["scan"].augment.rotate == 10.0
    assert experiment.branches["scan"].filters == (16, 32, 64)
    assert experiment.fusion.dropout == 0.3
    assert experiment.training.class_weights == "balanced"


# What plain scalars mean: (a change of the small file, where the value arrives, the value)
SCALARS: list[tuple[str, str, Callable[[Experiment], object], object]] = [
    ("task: binary", "task: binary, positive: 010", lambda it: it.targets["ill"].positive, "010"),
    ("task: binary", "task: binary, positive: 1", lambda it: it.targets["ill"].positive, "1"),
    ("task: binary", "task: binary, positive: 1.0", lambda it: it.targets["ill"].positive, "1.0"),
    ("task: binary", "task: binary, positive: no", lambda it: it.targets["ill"].positive, "no"),
    ("task: binary", "task: binary, positive: Yes", lambda it: it.targets["ill"].positive, "Yes"),
    ("task: binary", "task: binary, positive: on", lambda it: it.targets["ill"].positive, "on"),
    ("task: binary", "task: binary, positive: true", lambda it: it.targets["ill"].positive, "true"),
    ("task: binary", "task: binary, positive: 2024-01-01", lambda it: it.targets["ill"].positive, "2024-01-01"),
    ("task: binary", "task: binary, positive: 12:30:00", lambda it: it.targets["ill"].positive, "12:30:00"),
    ("task: binary", "task: binary, positive: 'null'", lambda it: it.targets["ill"].positive, "null"),
    ("task: binary", "task: binary, positive: null", lambda it: it.targets["ill"].positive, None),
    ("task: binary", "task: binary, positive: ~", lambda it: it.targets["ill"].positive, None),
    ("task: binary", "task: binary, positive:", lambda it: it.targets["ill"].positive, None),
    ("task: binary", "task: binary, class_weights: {no: 1, 010: 2}", lambda it: it.targets["ill"].class_weights, {"no": 1.0, "010": 2.0}),
    ("csv}", "csv, missing_values: [NA, -9, no, 0]}", lambda it: it.data.missing_values, ("NA", "-9", "no", "0")),
    ("csv}", "csv, allow_outside: yes}", lambda it: it.data.allow_outside, True),
    ("csv}", "csv, allow_outside: on}", lambda it: it.data.allow_outside, True),
    ("csv}", "csv, allow_outside: true}", lambda it: it.data.allow_outside, True),
    ("csv}", "csv, allow_outside: no}", lambda it: it.data.allow_outside, False),
    ("csv}", "csv, allow_outside: Off}", lambda it: it.data.allow_outside, False),
    ("csv}", "csv}\ntraining: {epochs: 010}", lambda it: it.training.epochs, 10),
    ("csv}", "csv}\ntraining: {epochs: 30.0}", lambda it: it.training.epochs, 30),
    ("csv}", "csv}\ntraining: {epochs: '30'}", lambda it: it.training.epochs, 30),
    ("csv}", "csv}\ntraining: {epochs: ~}", lambda it: it.training.epochs, 30),
    ("csv}", "csv}\ntraining: {epochs: }", lambda it: it.training.epochs, 30),
    ("csv}", "csv}\ntraining:", lambda it: it.training.epochs, 30),
    ("csv}", "csv}\ntraining: {learning_rate: 1e-3}", lambda it: it.training.learning_rate, 0.001),
    ("csv}", "csv}\ntraining: {learning_rate: 1E-3}", lambda it: it.training.learning_rate, 0.001),
    ("csv}", "csv}\ntraining: {learning_rate: .5}", lambda it: it.training.learning_rate, 0.5),
    ("csv}", "csv}\ntraining: {early_stopping: {patience: null}}", lambda it: it.training.early_stopping.patience, None),
    ("csv}", "csv}\ntraining: {schedule: cosine}", lambda it: it.training.schedule.method, "cosine"),
    ("csv}", "csv}\nfusion: gated", lambda it: it.fusion.method, "gated"),
    ("csv}", "csv}\nname: 2024", lambda it: it.name, "2024"),
    ("  age:", "  yes: {role: numeric}\n  age:", lambda it: list(it.inputs), ["yes", "age"]),
    ("  age:", "  1: {role: numeric}\n  age:", lambda it: list(it.inputs), ["1", "age"]),
    ("  age:", "  dose [mg]: {role: numeric}\n  age:", lambda it: it.columns["dose [mg]"].column, "dose [mg]"),
    ("  age:", "  Größe: {role: numeric}\n  age:", lambda it: list(it.inputs), ["Größe", "age"]),
    ("  age:", "  eye: {role: image, channels: 1, bits: 16}\n  age:", lambda it: it.columns["eye"].image_cells.layout.bits, 16),
    ("  age:", "  eye: {role: image, channels: '4'}\n  age:", lambda it: it.columns["eye"].channels, 4),
    ("task: binary", "!!str task: !!str binary", lambda it: it.targets["ill"].task, "binary"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "value", "expected"), SCALARS, ids=[new.replace("\n", " ") for _, new, _, _ in SCALARS])
def test_a_scalar_means_what_its_key_is_for(tmp_path, old, new, value, expected):
    assert SMALL.count(old) == 1
    found = value(loaded(tmp_path, SMALL.replace(old, new)))
    assert found == expected
    assert type(found) is type(expected)


def test_an_alias_repeats_what_its_anchor_holds(tmp_path):
    text = SMALL.replace("age: {role: numeric}", "age: &number {role: numeric, normalize: minmax}\n  weight_kg: *number")
    experiment = loaded(tmp_path, text)
    assert experiment.columns["weight_kg"].model_dump() == {
        "role": "numeric",
        "column": "weight_kg",
        "normalize": "minmax",
        "clip": 0.0,
        "missing": "median",
        "constant": 0.0,
        "embed": "auto",
    }
    assert experiment.columns["age"].column == "age"


def test_a_merged_map_gives_way_to_what_is_written_out(tmp_path):
    lines = [
        "age: &number {role: numeric, normalize: minmax, missing: mask}",
        "size: &dropping {missing: drop}",
        "weight_kg: {normalize: none, <<: [*dropping, *number]}",
    ]
    text = SMALL.replace("age: {role: numeric}", "\n  ".join(lines)).replace("missing: drop}", "missing: drop, role: numeric}")
    column = loaded(tmp_path, text).columns["weight_kg"]
    assert (column.role, column.normalize, column.missing) == ("numeric", "none", "drop")


def test_overrides_win_over_the_file_which_wins_over_defaults(tmp_path):
    text = SMALL + "training: {epochs: 7, batch_size: 8}\n"
    training = loaded(tmp_path, text, "training.batch_size=16").training
    assert (training.learning_rate, training.epochs, training.batch_size) == (0.001, 7, 16)


OVERRIDES: list[tuple[tuple[str, ...], Callable[[Experiment], object], object]] = [
    (("training.epochs=3", "training.epochs=4"), lambda it: it.training.epochs, 4),
    (("training.early_stopping.patience=2",), lambda it: it.training.early_stopping.patience, 2),
    (("columns.age={role: numeric, normalize: none}",), lambda it: it.columns["age"].normalize, "none"),
    (("columns.age.normalize=minmax",), lambda it: it.columns["age"].normalize, "minmax"),
    (("columns.dose={role: numeric}",), lambda it: list(it.inputs), ["age", "dose"]),
    (("fusion=gated",), lambda it: it.fusion.method, "gated"),
    (("fusion.units=[8, 4]",), lambda it: it.fusion.units, (8, 4)),
    (("columns.ill.positive=a=b",), lambda it: it.targets["ill"].positive, "a=b"),
    (("columns.ill.positive=010",), lambda it: it.targets["ill"].positive, "010"),
    (("training.epochs=",), lambda it: it.training.epochs, 30),
    ((" training.epochs = 5 ",), lambda it: it.training.epochs, 5),
]


@pytest.mark.parametrize(("overrides", "value", "expected"), OVERRIDES, ids=[" ".join(given) for given, _, _ in OVERRIDES])
def test_an_override_sets_one_value(tmp_path, overrides, value, expected):
    assert value(loaded(tmp_path, SMALL, *overrides)) == expected


def test_an_override_goes_below_a_section_that_the_file_left_empty(tmp_path):
    assert loaded(tmp_path, SMALL + "training:\n", "training.epochs=3").training.epochs == 3


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path):
    assert loaded(tmp_path, "\ufeff" + SMALL).data.table == tmp_path / "patients.csv"


def test_branches_left_out_are_one_per_image_one_per_text_and_one_for_the_rest(tmp_path):
    text = """\
data: {table: a.csv}
columns:
  scan: {role: image}
  age: {role: numeric}
  note: {role: text}
  letter: {role: text, vectorize: tokens}
  sex: {role: categorical}
  patient: {role: group}
  ill: {role: target, task: binary}
"""
    found = {key: (part.columns, part.architecture) for key, part in loaded(tmp_path, text).branches.items()}
    assert found == {
        "scan": (("scan",), "cnn"),
        "note": (("note",), "mlp"),
        "letter": (("letter",), "embedding_average"),
        "table": (("age", "sex"), "mlp"),
    }


def test_the_branch_of_the_rest_takes_a_name_that_no_column_has(tmp_path):
    text = SMALL.replace("  age:", "  table: {role: image}\n  age:")
    assert {key: part.columns for key, part in loaded(tmp_path, text).branches.items()} == {"table": ("table",), "table_": ("age",)}


@pytest.mark.parametrize(
    ("column", "architecture"),
    [
        ("{role: image}", "cnn"),
        ("{role: numeric}", "mlp"),
        ("{role: categorical}", "mlp"),
        ("{role: text}", "mlp"),
        ("{role: text, vectorize: tokens}", "embedding_average"),
    ],
)
def test_an_architecture_left_out_follows_the_kind_of_the_column(tmp_path, column, architecture):
    text = SMALL.replace("{role: numeric}", column) + "branches: {only: {columns: [age]}}\n"
    assert loaded(tmp_path, text).branches["only"].architecture == architecture


@pytest.mark.parametrize(
    ("column", "given", "architecture"),
    [
        ("{role: image}", "resnet", "image_resnet"),
        ("{role: image}", "image_resnet", "image_resnet"),
        ("{role: image}", "cnn", "cnn"),
        ("{role: text, vectorize: tokens}", "cnn", "text_cnn"),
        ("{role: text, vectorize: tokens}", "gru", "text_gru"),
        ("{role: text, vectorize: tokens}", "transformer", "text_transformer"),
        ("{role: text}", "resnet", "resnet"),
        ("{role: numeric}", "resnet", "resnet"),
    ],
)
def test_the_name_of_an_architecture_may_lack_the_prefix_of_the_kind(tmp_path, column, given, architecture):
    text = SMALL.replace("{role: numeric}", column) + f"branches: {{only: {{columns: [age], architecture: {given}}}}}\n"
    assert loaded(tmp_path, text).branches["only"].architecture == architecture


def test_a_prefix_left_out_does_not_change_other_mistakes(tmp_path):
    text = SMALL.replace("{role: numeric}", "{role: image}") + "branches: {only: {columns: [age], architecture: gru}}\n"
    with pytest.raises(ConfigError, match="there is no architecture 'gru'"):
        loaded(tmp_path, text)


@pytest.mark.parametrize(
    ("targets", "method"),
    [
        (["binary"], "stratified"),
        (["multiclass"], "stratified"),
        (["regression"], "random"),
        (["multilabel"], "random"),
        (["regression", "binary"], "stratified"),
    ],
)
def test_a_split_method_left_out_follows_the_targets(tmp_path, targets, method):
    text = "data: {table: a.csv}\ncolumns:\n  age: {role: numeric}\n"
    text += "".join(f"  answer{number}: {{role: target, task: {task}}}\n" for number, task in enumerate(targets))
    assert loaded(tmp_path, text).split.method == method


@pytest.mark.parametrize(
    ("task", "monitor", "direction"),
    [
        ("binary", "validation_loss", "minimize"),
        ("binary", "train_loss", "minimize"),
        ("binary", "validation_auc", "maximize"),
        ("binary", "validation_pr_auc", "maximize"),
        ("binary", "validation_log_loss", "minimize"),
        ("binary", "validation_brier", "minimize"),
        ("multiclass", "validation_macro_f1", "maximize"),
        ("multilabel", "validation_hamming_loss", "minimize"),
        ("multilabel", '"validation_auc[a_b loss]"', "maximize"),
        ("regression", "validation_mae", "minimize"),
        ("regression", "validation_r2", "maximize"),
    ],
)
def test_the_direction_of_a_monitor_is_known_from_its_score(tmp_path, task, monitor, direction):
    text = SMALL.replace("binary", task) + f"training: {{early_stopping: {{monitor: {monitor}}}}}\n"
    assert loaded(tmp_path, text).training.early_stopping.direction == direction


def test_a_monitor_left_out_is_the_validation_loss(tmp_path):
    stopping = loaded(tmp_path, SMALL).training.early_stopping
    assert (stopping.monitor, stopping.direction, stopping.patience) == ("validation_loss", "minimize", None)


def test_scores_to_watch_are_named_by_part_and_by_target_where_there_are_several():
    one = {"ill": BinaryTarget(column="ill")}
    two = {**one, "price": RegressionTarget(column="price")}
    assert monitored(one)["validation_auc"] == "auc"
    assert monitored(two)["validation_ill_auc"] == "auc"
    hazard = SurvivalTarget(column="death", time="t", event="d")
    assert monitored({"death": hazard})["validation_integrated_brier"] == "integrated_brier"
    assert "validation_integrated_brier" not in monitored({"death": hazard.model_copy(update={"method": "cox"})})
    assert monitored(two)["validation_price_mae"] == "mae"
    assert {name for name in monitored(two) if name.endswith("loss")} == {
        "validation_loss",
        "train_loss",
        "validation_ill_loss",
        "train_ill_loss",
        "validation_ill_log_loss",
        "validation_price_loss",
        "train_price_loss",
    }


def test_scores_to_watch_are_those_that_are_computed():
    codes, halves = np.array([0, 1]), np.full((2, 2), 0.5)
    computed = {
        BinaryTarget: binary_scores(codes, np.array([0.2, 0.8]), classes=("a", "b"), threshold=0.5),
        MulticlassTarget: multiclass_scores(codes, halves, classes=("a", "b")),
        MultilabelTarget: multilabel_scores(np.eye(2), halves, labels=("a", "b")),
        RegressionTarget: regression_scores(codes, codes),
    }
    names = {task: {score.name for score in scores} for task, scores in computed.items()}
    labels = {f"{score}[{label}]" for score in EACH_LABEL for label in ("a", "b")}
    # Those of the other tasks are computed in tests/metrics/test_target_metrics.py.
    stated = {task: {metric.name for metric in task.metrics} for _, task in tasks.items() if task in computed}
    assert names == {**stated, MultilabelTarget: {*stated[MultilabelTarget], *labels}}


@pytest.mark.parametrize(
    ("file", "name"),
    [("skin.yaml", "skin"), ("run 3, final.yaml", "run-3-final"), (".hidden", "hidden"), ("größe.yaml", "gr-e"), ("_.yaml", "experiment")],
)
def test_a_name_left_out_is_that_of_the_file(tmp_path, file, name):
    assert loaded(tmp_path, SMALL, name=file).name == name


def test_a_cache_folder_is_relative_to_the_file(tmp_path):
    text = SMALL.replace("csv}", "csv, cache: {folder: ../cache}}")
    assert loaded(tmp_path / "configs", text).data.cache.folder == tmp_path / "cache"


def test_an_absolute_path_stays_and_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    data = loaded(tmp_path, SMALL.replace("table: patients.csv", "table: /data/a.csv, images: ~/scans")).data
    assert (data.table, data.images) == (Path("/data/a.csv"), tmp_path / "home" / "scans")


def test_an_experiment_cannot_be_changed(tmp_path):
    experiment = loaded(tmp_path, SMALL)
    with pytest.raises(ValidationError, match="frozen"):
        experiment.training.epochs = 3  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        experiment.training = experiment.training  # type: ignore[misc]


NASTY = SMALL.replace("task: binary", "task: binary, positive: 'no', class_weights: {'null': 1e-7, '010': 3, '~': 1, 'é: {': 2}").replace(
    "csv}", "csv, missing_values: ['', 'null', '~', '=', '<<', '2024-01-01', ' x ', \"a\\tb\"]}"
)


@pytest.mark.parametrize("text", [CLINIC, SMALL, NASTY, SMALL + "training: {schedule: plateau}\nfusion: attention\n"])
def test_the_resolved_file_read_from_another_folder_gives_the_same_experiment(tmp_path, text):
    experiment = loaded(tmp_path / "configs", text)
    run = tmp_path / "elsewhere" / "runs" / "7"
    resolved = to_yaml(experiment, run)
    assert loaded(run, resolved, name="config.yaml") == experiment
    assert str(tmp_path) not in resolved


def test_the_resolved_file_writes_every_default_out(tmp_path):
    resolved = yaml.safe_load(to_yaml(loaded(tmp_path, SMALL), tmp_path / "run"))
    assert resolved["data"] == {
        "table": "../patients.csv",
        "format": dict.fromkeys(["separator", "decimal", "thousands", "skip_lines", "quote", "escape", "encoding", "sheet"]),
        "images": None,
        "missing_values": [],
        "allow_outside": False,
        "cache": {"folder": None, "verify": "stat", "disk": None, "memory": 1_000_000_000},
    }
    assert resolved["branches"] == {
        "table": {
            **{"columns": ["age"], "architecture": "mlp", "units": [64], "activation": "relu", "normalization": "none", "residual": False},
            **{"dropout": 0.0, "embedding_width": 0, "embedding_dropout": 0.0, "linear": None},
        }
    }
    assert resolved["split"] == {"method": "stratified", "validation": 0.15, "test": 0.15, "folds": None, "repeats": 1, "seed": 0}
    assert resolved["training"]["early_stopping"] == {
        "monitor": "validation_loss",
        "direction": "minimize",
        "patience": None,
        "min_delta": 0.0,
        "standard_errors": 0.0,
    }


# The schema for editors


def accepts(schema: dict[str, Any], value: object, root: dict[str, Any]) -> bool:
    """Whether a JSON Schema allows a value; of the keywords, those that the experiment's schema has."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]] | {key: item for key, item in schema.items() if key != "$ref"}
    if "anyOf" in schema and not any(accepts(choice, value, root) for choice in schema["anyOf"]):
        return False
    kinds = schema.get("type", [])
    if kinds and not any(_is(kind, value) for kind in ([kinds] if isinstance(kinds, str) else kinds)):
        return False
    if value not in schema.get("enum", [value]) or value != schema.get("const", value):
        return False
    if isinstance(value, dict):
        inside = schema.get("properties", {})
        rest = schema.get("additionalProperties", {})
        return set(schema.get("required", [])) <= set(value) and all(
            rest is not False if key not in inside and isinstance(rest, bool) else accepts(inside.get(key, rest), item, root)
            for key, item in value.items()
        )
    if isinstance(value, list):
        first = schema.get("prefixItems", [])
        counted = schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))
        return counted and all(
            accepts(first[number] if number < len(first) else schema.get("items", {}), item, root) for number, item in enumerate(value)
        )
    if isinstance(value, int | float) and not isinstance(value, bool):
        low, high = schema.get("minimum", value), schema.get("maximum", value)
        inner = schema.get("exclusiveMinimum", -np.inf) < value < schema.get("exclusiveMaximum", np.inf)
        return bool(low <= value <= high and inner)
    return True


def _is(kind: str, value: object) -> bool:
    types: dict[str, type | tuple[type, ...]] = {
        "object": dict,
        "array": list,
        "string": str,
        "boolean": bool,
        "null": type(None),
        "integer": int,
        "number": (int, float),
    }
    return isinstance(value, types[kind]) and not (isinstance(value, bool) and kind in ("integer", "number"))


@pytest.fixture(scope="module")
def schema():
    """The schema of a file, without what a user registers."""
    return json_schema()


@pytest.mark.parametrize(
    "text",
    [
        CLINIC,
        SMALL,
        SMALL + "fusion: gated\ntraining: {schedule: cosine}\n",
        SMALL + "branches: {table: {columns: [age], units: [8]}}\n",
        SMALL + "training: {optimizer: sgd, momentum: 0.9}\n",
        SMALL.replace("task: binary", "task: binary, positive: 1").replace("csv}", "csv, missing_values: [NA, -9]}"),
    ],
)
def test_the_schema_accepts_a_sound_file(schema, text):
    assert accepts(schema, yaml.safe_load(text), schema)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name:", "nam:"),
        ("  table:", "  tabel:"),
        ("role: numeric", "rol: numeric"),
        ("role: numeric", "role: numerical"),
        ("normalize", "normalise"),
        ("flip", "flp"),
        ("task: binary", "tsk: binary"),
        ("task: binary, ", ""),
        ("task: binary", "task: binry"),
        ("positive", "postive"),
        ("architecture: cnn", "architecture: cn"),
        ("architecture: cnn, filters", "architecture: cnn, filtres"),
        ("architecture: cnn, filters", "architecture: mlp, filters"),
        ("method: concatenate", "method: concat"),
        ("dropout: 0.3", "dropout: 1.3"),
        ("epochs: 30", "epochs: 0"),
        ("optimizer: adam", "optimizer: adm"),
        ("monitor", "montor"),
        ("size: [64, 64]", "size: [64]"),
    ],
)
def test_the_schema_refuses_a_mistake(schema, old, new):
    assert CLINIC.count(old) == 1, old
    assert not accepts(schema, yaml.safe_load(CLINIC.replace(old, new)), schema)


def test_the_schema_accepts_the_resolved_file(tmp_path):
    schema = json_schema()
    assert accepts(schema, yaml.safe_load(to_yaml(loaded(tmp_path, CLINIC), tmp_path)), schema)


def test_the_schema_has_every_option_of_every_registered_name():
    parts = json_schema()["$defs"]
    sections = [
        *(entry.section for _, entry in architectures.items()),
        *(entry.section for _, entry in fusions.items()),
        *(tasks[name] for name in tasks),
        *(column for name, column in roles.items() if name != "target"),
        *(entry.section for registry in (optimizers, schedules, split_methods) for _, entry in registry.items()),
    ]
    options = [(section.__name__, option) for section in sections for option in section.model_fields]
    assert len(sections) >= 4 + 7 + 4 + 9 + 4 + 4
    assert len(options) >= 120
    assert [f"{section}.{option}" for section, option in options if option not in parts[section]["properties"]] == []


def test_every_key_of_the_fixed_sections_is_described():
    def sections(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
        yield model
        for field in model.model_fields.values():
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                yield from sections(field.annotation)

    found = [
        *sections(Experiment),
        *(entry.section for registry in (optimizers, schedules, split_methods) for _, entry in registry.items()),
    ]
    undescribed = [
        f"{section.__name__}.{key}"
        for section in found
        for key, field in section.model_fields.items()
        if not field.description and key != "method"
    ]
    assert undescribed == []
    assert len(found) >= 11


def test_every_key_of_the_schema_is_described():
    schema = json_schema()
    sections = {"Experiment": schema, **schema["$defs"]}
    keys = [(f"{name}.{key}", value) for name, section in sections.items() for key, value in section.get("properties", {}).items()]
    assert [key for key, value in keys if not value.get("description")] == []
    assert len(keys) >= 150


def test_the_schema_names_its_dialect_and_requires_only_what_has_no_default():
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["required"] == ["data", "columns"]
    assert schema["$defs"]["Data"]["required"] == ["table"]
    assert schema["$defs"]["CnnBranch"]["required"] == ["columns"]
    assert schema["$defs"]["BinaryTarget"]["required"] == ["role", "task"]


REQUIRED = {"ranking": {"group": "q"}, "survival": {"time": "t", "event": "d"}, "vector": {"columns": ["a", "b"]}}
"""Options that a task cannot do without."""
COLUMNS = {
    "number": {"role": "numeric"},
    "scan": {"role": "image"},
    "note": {"role": "text", "vectorize": "tokens"},
    "pulse": {"role": "sequence"},
    "y": {"role": "target", "task": "binary"},
}
NAMED: dict[str, tuple[Iterable[str], Callable[[str], list[dict[str, Any]]]]] = {
    "role": (
        roles,
        lambda word: [{"columns": {**COLUMNS, "other": {"role": word, "task": "binary"} if word == "target" else {"role": word}}}],
    ),
    "task": (tasks, lambda word: [{"columns": {**COLUMNS, "y": {"role": "target", "task": word, **REQUIRED.get(word, {})}}}]),
    "architecture": (
        architectures,
        lambda word: [{"branches": {"a": {"columns": [key], "architecture": word}}} for key in ("number", "scan", "note", "pulse")],
    ),
    "architecture alone": (architectures, lambda word: [{"branches": word}]),
    "fusion": (fusions, lambda word: [{"fusion": word}]),
    "fusion method": (fusions, lambda word: [{"fusion": {"method": word}}]),
    "split": (split_methods, lambda word: [{"split": word}]),
    "optimizer": (optimizers, lambda word: [{"training": {"optimizer": word}}]),
    "schedule": (schedules, lambda word: [{"training": {"schedule": word}}]),
    "loss": (losses, lambda word: [{"columns": {**COLUMNS, "y": {**COLUMNS["y"], "loss": word}}}]),
    "tracker": (trackers, lambda word: [{"training": {"trackers": [word]}}]),
}
"""Kinds of names: those that are registered, and the experiments that have a word in their place."""


@pytest.mark.parametrize("kind", NAMED)
def test_schema_and_loader_know_the_same_words(tmp_path, kind):
    names, experiments = NAMED[kind]
    usual = [word for name in names for word in (*WORDS_OF.get(name, "").split(), name.rpartition("_")[2], f"{name}x")]
    words = list(dict.fromkeys([*names, *usual]))
    schema, known = json_schema(), []
    for word in words:
        trees = [{"data": {"table": "t.csv"}, "columns": COLUMNS, **tree} for tree in experiments(word)]
        in_schema = any(accepts(schema, tree, schema) for tree in trees)
        assert (word, in_schema) == (word, any(_knows(tmp_path, tree, word) for tree in trees))
        known += [word] * in_schema
    assert set(names) <= set(known) < set(words)


def _knows(folder, tree, word):
    """Whether the loader has no other fault to find with an experiment than how the word goes with the rest."""
    try:
        loaded(folder, yaml.safe_dump(tree))
    except ConfigError as error:
        return f"{word!r}" not in str(error) or "there is no" not in str(error)
    return True


def test_schema_knows_architectures_without_the_prefix_of_their_kind():
    parts = json_schema()["$defs"]
    assert parts["TextGruBranch"]["properties"]["architecture"]["enum"] == ["text_gru", "gru"]
    assert parts["ImageResnetBranch"]["properties"]["architecture"]["enum"] == ["image_resnet", "resnet"]
    assert parts["CnnBranch"]["properties"]["architecture"]["const"] == "cnn"


# What a user registers


@pytest.fixture
def wave() -> Iterator[None]:
    """A branch, a fusion and a role of a user's own, for the time of a test."""

    @branch("vector", name="wave")
    def wave_branch(inputs: dict[str, Any], *, length: Annotated[int, Field(ge=2)] = 8) -> Any:
        """Waves."""
        return Features(next(iter(inputs.values())).tensor)

    @fusion
    def interfere(features: dict[str, Any], present: dict[str, Any], *, phase: float = 0.5) -> Any:
        """Waves meet."""
        return next(iter(features.values()))

    @role("angle")
    class Angle(InputColumn):
        """Degrees."""

        role: Literal["angle"] = "angle"
        full_turn: float = Field(360.0, gt=0)

        @property
        def kind(self) -> Literal["vector"]:
            return "vector"

        def fit(self, cells):
            raise AssertionError("reading the file must not fit anything")

    yield
    architectures.remove("wave")
    fusions.remove("interfere")
    roles.remove("angle")


WAVES = """\
data: {table: a.csv}
columns:
  wind: {role: angle, full_turn: 400}
  rain: {role: target, task: regression}
branches:
  wind: {columns: [wind], architecture: wave, length: 4}
fusion: {method: interfere, phase: 0.25}
"""


def test_what_a_user_registers_is_read_like_the_rest(tmp_path, wave):
    experiment = loaded(tmp_path, WAVES)
    assert experiment.columns["wind"].full_turn == 400.0
    assert experiment.branches["wind"].length == 4
    assert experiment.fusion.phase == 0.25
    assert loaded(tmp_path / "run", to_yaml(experiment, tmp_path / "run")) == experiment
    schema = json_schema()
    assert accepts(schema, yaml.safe_load(WAVES), schema)
    assert schema["$defs"]["WaveBranch"]["properties"]["length"]["minimum"] == 2


def test_a_role_that_a_user_registers_gets_a_branch_by_its_kind(tmp_path, wave):
    text = WAVES.partition("branches:")[0]
    assert {key: part.columns for key, part in loaded(tmp_path, text).branches.items()} == {"table": ("wind",)}


def test_mistakes_in_what_a_user_registered_are_reported_like_the_rest(tmp_path, wave):
    text = WAVES.replace("full_turn", "full_trun").replace("length: 4", "length: 1").replace("phase: 0.25", "phase: much")
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text)
    assert str(caught.value).splitlines() == [
        "clinic.yaml:3: columns.wind.full_trun: unknown key for the role `angle`. Did you mean 'full_turn'?",
        "clinic.yaml:6: branches.wind.length: 1 is out of range. It has to be 2 or more.",
        "clinic.yaml:7: fusion.phase: expected a number; found 'much'.",
    ]


def test_what_a_user_registered_is_gone_once_removed(tmp_path):
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, WAVES)
    assert [problem.what for problem in caught.value.problems] == [
        "there is no role 'angle'.",
        "there is no architecture 'wave'.",
        "there is no method 'interfere'.",
    ]
    assert "WaveBranch" not in json_schema()["$defs"]


def test_an_architecture_alone_is_that_of_the_branch_of_all_the_rest(tmp_path):
    text = SMALL.replace("age: {role: numeric}", "age: {role: numeric}\n  sex: {role: categorical}\n  scan: {role: image, size: [8, 8]}")
    found = loaded(tmp_path, text + "branches: tabm\n").branches
    assert {key: (part.columns, part.architecture) for key, part in found.items()} == {
        "scan": (("scan",), "cnn"),
        "table": (("age", "sex"), "tabm"),
    }
    assert accepts(json_schema(), {**yaml.safe_load(text), "branches": "tabm"}, json_schema())
    assert not accepts(json_schema(), {**yaml.safe_load(text), "branches": "tabn"}, json_schema())
    with pytest.raises(ConfigError, match=r"there is no architecture 'tabn'\. Did you mean 'tabm'\?"):
        loaded(tmp_path, text + "branches: tabn\n")
    with pytest.raises(ConfigError, match="branches"):
        loaded(tmp_path, SMALL.replace("age: {role: numeric}", "scan: {role: image, size: [8, 8]}") + "branches: tabm\n")
