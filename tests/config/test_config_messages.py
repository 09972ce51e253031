"""The mistakes a user can make in an experiment file, each with the whole text of its report."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny import write_experiment

from mmtrain.columns import roles
from mmtrain.columns.base import input_roles
from mmtrain.config import load
from mmtrain.errors import ConfigError, listed

CLINIC = """\
data: {table: patients.csv}
columns:
  scan: {role: image, size: [64, 64], augment: {flip: horizontal}}
  age: {role: numeric}
  sex: {role: categorical}
  note: {role: text}
  diagnosis: {role: target, task: binary}
branches:
  scan: {columns: [scan], architecture: cnn, filters: [16, 32]}
  table: {columns: [age, sex], architecture: mlp, units: [32]}
  note: {columns: [note]}
fusion: {method: gated, width: 32}
split: {method: stratified, validation: 0.15, test: 0.15}
training: {epochs: 30, early_stopping: {monitor: validation_auc, patience: 5}, schedule: {method: cosine}}
"""

ROLES = f"It is one of {listed(list(roles), 'or', most=99)}."
ROLE_MISSING = f"this key is missing. Add it: {ROLES[:1].lower()}{ROLES[1:]}"
DEEP = "clinic.yaml: lists and maps are nested too deeply, or an alias refers to itself. Fifty levels are allowed; a file needs five."
BINARY_SCORES = (
    "Their scores are validation_loss, validation_auc, validation_pr_auc, validation_accuracy, validation_balanced_accuracy, "
    "validation_f1, validation_sensitivity, validation_specificity, validation_log_loss and validation_brier."
)


def reported(folder: Path, text: str | bytes, *overrides: str) -> str:
    """What is reported for a file `clinic.yaml` with this text; empty when nothing is wrong."""
    path = folder / "clinic.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    try:
        load(path, overrides)
    except ConfigError as error:
        return str(error)
    return ""


def changed(old: str, new: str) -> str:
    """The clinic with one passage changed; the passage occurs once."""
    assert CLINIC.count(old) == 1, old
    return CLINIC.replace(old, new)


def test_clinic_without_a_mistake_is_not_reported(tmp_path):
    assert reported(tmp_path, CLINIC) == ""


MISSPELT = [
    # keys, at every depth
    ("data:", "dat:", "1: dat: unknown key. Did you mean 'data'?"),
    ("columns:\n", "colums:\n", "2: colums: unknown key. Did you mean 'columns'?"),
    ("branches:", "branchs:", "8: branchs: unknown key. Did you mean 'branches'?"),
    ("fusion:", "fussion:", "12: fussion: unknown key. Did you mean 'fusion'?"),
    ("split:", "splt:", "13: splt: unknown key. Did you mean 'split'?"),
    ("training:", "trainin:", "14: trainin: unknown key. Did you mean 'training'?"),
    ("table: patients", "tabel: patients", "1: data.tabel: unknown key. Did you mean 'table'?"),
    (
        "csv}",
        "csv, sheet: 1}",
        "1: data.sheet: unknown key. The keys here are table, images, format, missing_values, tables, allow_outside and cache.",
    ),
    ("csv}", "csv, cache: {foldr: x}}", "1: data.cache.foldr: unknown key. Did you mean 'folder'?"),
    ("{role: numeric}", "{rol: numeric}", "4: columns.age.rol: unknown key. Did you mean 'role'?"),
    (
        "role: numeric",
        "role: numeric, normalise: none",
        "4: columns.age.normalise: unknown key for the role `numeric`. Did you mean 'normalize'?",
    ),
    ("flip", "flp", "3: columns.scan.augment.flp: unknown key. Did you mean 'flip'?"),
    ("task:", "tsk:", "7: columns.diagnosis.tsk: unknown key. Did you mean 'task'?"),
    (
        "task: binary",
        "task: binary, postive: yes",
        "7: columns.diagnosis.postive: unknown key for the task `binary`. Did you mean 'positive'?",
    ),
    ("architecture: cnn", "architectur: cnn", "9: branches.scan.architectur: unknown key. Did you mean 'architecture'?"),
    ("filters", "filtres", "9: branches.scan.filtres: unknown key for the architecture `cnn`. Did you mean 'filters'?"),
    (
        "units",
        "filters",
        "10: branches.table.filters: unknown key for the architecture `mlp`. "
        "The keys here are columns, architecture, units, activation, normalization, residual, dropout, embedding_width, "
        "embedding_dropout and linear. It is a key of `cnn`, `cnn3d`, `image_resnet` and `text_cnn`.",
    ),
    (
        "method: stratified",
        "method: column, folds: 3",
        "13: split.folds: unknown key for the method `column`. "
        "The keys here are method, validation, test and seed. It is a key of `random`, `stratified` and `time`.",
    ),
    ("method: gated", "methd: gated", "12: fusion.methd: unknown key. Did you mean 'method'?"),
    ("width", "widht", "12: fusion.widht: unknown key for the method `gated`. Did you mean 'width'?"),
    ("validation: 0.15", "validaton: 0.15", "13: split.validaton: unknown key for the method `stratified`. Did you mean 'validation'?"),
    ("epochs", "epoch", "14: training.epoch: unknown key. Did you mean 'epochs'?"),
    ("patience", "patiance", "14: training.early_stopping.patiance: unknown key. Did you mean 'patience'?"),
    (
        "patience",
        "mode",
        "14: training.early_stopping.mode: unknown key. The keys here are monitor, direction, patience, min_delta and standard_errors.",
    ),
    (
        "method: cosine",
        "method: cosine, finl: 0",
        "14: training.schedule.finl: unknown key for the method `cosine`. Did you mean 'final'?",
    ),
    # names and options
    ("role: numeric", "role: numerical", "4: columns.age.role: there is no role 'numerical'. Did you mean 'numeric'?"),
    ("role: numeric", "role: boolean", f"4: columns.age.role: there is no role 'boolean'. {ROLES}"),
    ("binary", "binry", "7: columns.diagnosis.task: there is no task 'binry'. Did you mean 'binary'?"),
    ("cnn", "cn", "9: branches.scan.architecture: there is no architecture 'cn'. Did you mean 'cnn'?"),
    ("gated", "gate", "12: fusion.method: there is no method 'gate'. Did you mean 'gated'?"),
    ("cosine", "cosin", "14: training.schedule.method: there is no method 'cosin'. Did you mean 'cosine'?"),
    (
        "stratified",
        "startified",
        "13: split.method: there is no method 'startified'. Did you mean 'stratified'?",
    ),
    (
        "role: categorical",
        "role: categorical, encode: onehot",
        "5: columns.sex.encode: expected embedding or one_hot; found 'onehot'. Did you mean 'one_hot'?",
    ),
    (
        "epochs: 30",
        "optimizer: adm",
        "14: training.optimizer.method: there is no method 'adm'. Did you mean 'adam'?",
    ),
    (
        "epochs: 30",
        "optimizer: newton",
        "14: training.optimizer.method: there is no method 'newton'. "
        "It is one of adam, adamw, sgd, rmsprop, lion, muon, lamb or adafactor.",
    ),
    (
        "epochs: 30",
        "optimizer: {method: sgd, momentun: 0.8}",
        "14: training.optimizer.momentun: unknown key for the method `sgd`. Did you mean 'momentum'?",
    ),
    ("epochs: 30", "stages: [{epochs: 2}], epochs: 5", "14: training: `epochs` is 5, but the stages have 2. Leave `epochs` out."),
    (
        "epochs: 30",
        "stages: [{epochs: 2, unfreeze: [fusio]}]",
        "14: training.stages, entry 1, unfreeze, entry 1: there is no parameter group 'fusio'. Did you mean 'fusion'?",
    ),
]

WRONG_VALUES = [
    # types
    ("epochs: 30", "epochs: thirty", "14: training.epochs: expected a whole number; found 'thirty'."),
    ("epochs: 30", "epochs: 2.5", "14: training.epochs: expected a whole number; found '2.5'."),
    ("epochs: 30", "epochs: [30]", "14: training.epochs: expected a whole number; found a list."),
    ("epochs: 30", "deterministic: maybe", "14: training.deterministic: expected yes or no; found 'maybe'."),
    ("epochs: 30", "learning_rate: fast", "14: training.learning_rate: expected auto or a number; found 'fast'."),
    (
        "epochs: 30",
        'learning_rate: "0,1"',
        "14: training.learning_rate: expected auto or a number; found '0,1'. Write the decimal point as a dot: `0.1`.",
    ),
    (
        "epochs: 30",
        "learning_rate: 0,001",
        "14: training.learning_rate: 0 is out of range. It has to be more than 0.\n"
        "clinic.yaml:14: training.001: unknown key. If it is the end of the number before it, write the decimal point as a dot.",
    ),
    ("epochs: 30", f"epochs: {'x' * 61}", f"14: training.epochs: expected a whole number; found '{'x' * 57}...'."),
    ("validation_auc", "[validation_auc]", "14: training.early_stopping.monitor: expected a text; found a list."),
    ("epochs: 30", "learning_rate: nan", "14: training.learning_rate: expected auto or a finite number; found 'nan'."),
    ("epochs: 30", "learning_rate: inf", "14: training.learning_rate: expected auto or a finite number; found 'inf'."),
    (
        "epochs: 30",
        "class_weights: balance",
        "14: training.class_weights: expected none, balanced, effective or a map of keys and values; found 'balance'. "
        "Did you mean 'balanced'?",
    ),
    ("epochs: 30", "class_weights: {ill: lots}", "14: training.class_weights.ill: expected a number; found 'lots'."),
    (
        "task: binary",
        "task: binary, class_weights: {int: lots}",
        "7: columns.diagnosis.class_weights.int: expected a number; found 'lots'.",
    ),
    (
        "patients.csv",
        "~nosuchuser/t.csv",
        "1: data.table: '~nosuchuser' is not the home folder of a user of this machine. Write the path in full.",
    ),
    (
        "patients.csv",
        '"t\\0.csv"',
        "1: data.table: 't\\x00.csv' is not a path: paths cannot hold the character `\\0`. Remove it.",
    ),
    ("patients.csv", "[a.csv, b.csv]", "1: data.table: expected a path; found a list."),
    ("role: numeric", "role: [numeric]", f"4: columns.age.role: expected a text; found a list. {ROLES}"),
    # a list where a map belongs, and the reverse
    ("{role: numeric}", "numeric", "4: columns.age: expected a map of keys and values; found 'numeric'. Write `age: {role: numeric}`."),
    (
        "{role: numeric}",
        "[numeric]",
        "4: columns.age: expected a map of keys and values; found a list. For example `age: {role: numeric}`.",
    ),
    ("{role: numeric}", "", "4: columns.age: expected a map of keys and values; found nothing. For example `age: {role: numeric}`."),
    (
        "{flip: horizontal}",
        "horizontal",
        "3: columns.scan.augment: expected a map of keys and values; found 'horizontal'. "
        "Its keys are flip, rotate, shift, zoom, brightness, contrast, color, erase, shear, channel_shift, "
        "fill, fill_value, policy, operations and magnitude.",
    ),
    (
        "{columns: [age, sex], architecture: mlp, units: [32]}",
        "[age, sex]",
        "10: branches.table: expected a map of keys and values; found a list. For example `table: {columns: [scan], architecture: cnn}`.",
    ),
    ("{columns: [note]}", "{columns: note}", "11: branches.note.columns: expected a list; found 'note'. Write `columns: [note]`."),
    ("[16, 32]", "16", "9: branches.scan.filters: expected a list; found '16'. Write `filters: [16]`."),
    ("[64, 64]", "64", "3: columns.scan.size: expected a list; found '64'. Write `size: [64, 64]`."),
    ("[64, 64]", "{height: 64}", "3: columns.scan.size: expected a list; found a map."),
    (
        "{table: patients.csv}",
        "patients.csv",
        "1: data: expected a map of keys and values; found 'patients.csv'. "
        "Its keys are table, images, format, missing_values, tables, allow_outside and cache.",
    ),
    (
        "{method: gated, width: 32}",
        "[gated]",
        "12: fusion: expected a map of keys and values; found a list. For example `fusion: {method: gated}`.",
    ),
    # ranges, lengths and choices
    ("epochs: 30", "epochs: 0", "14: training.epochs: 0 is out of range. It has to be 1 or more."),
    ("epochs: 30", "learning_rate: 0", "14: training.learning_rate: 0 is out of range. It has to be more than 0."),
    ("epochs: 30", "class_weights: {ill: -1}", "14: training.class_weights.ill: -1 is out of range. It has to be 0 or more."),
    ("validation: 0.15", "validation: 15", "13: split.validation: 15 is out of range. It has to be less than 1."),
    ("{flip: horizontal}", "{rotate: 270}", "3: columns.scan.augment.rotate: 270 is out of range. It has to be 180 or less."),
    (
        "validation: 0.15",
        "validation: 0.6, test: 0.5",
        "13: split: validation 0.6 and test 0.5 leave nothing to train on. Together they have to stay below 1.\n"
        "clinic.yaml:13: split.test: the key is here a second time in this line. Remove one of the two.",
    ),
    (
        "test: 0.15",
        "test: 0.85",
        "13: split: validation 0.15 and test 0.85 leave nothing to train on. Together they have to stay below 1.",
    ),
    ("[64, 64]", "[0, 64]", "3: columns.scan.size, entry 1: 0 is out of range. It has to be 1 or more."),
    (
        "[64, 64]",
        "[64]",
        "3: columns.scan.size: expected 2 entries; found 1. Height and width in pixels that every image is brought to. "
        "A JPEG of twice the size or more is made smaller while it is decoded.",
    ),
    (
        "[64, 64]",
        "[64, 64, 3]",
        "3: columns.scan.size: expected 2 entries; found 3. Height and width in pixels that every image is brought to. "
        "A JPEG of twice the size or more is made smaller while it is decoded.",
    ),
    (
        "units: [32]",
        "units: []",
        "10: branches.table.units: expected at least 1 entry; found none. Widths of the dense layers.",
    ),
    ("[16, 32]", "[16, x]", "9: branches.scan.filters, entry 2: expected a whole number; found 'x'."),
    ("size: [64, 64]", "channels: 2", "3: columns.scan.channels: expected 1, 3 or 4; found '2'."),
    ("size: [64, 64]", "bits: 16", "3: columns.scan: `bits: 16` goes with `channels: 1`."),
    (
        "data:",
        "name: our clinic\ndata:",
        "1: name: 'our clinic' does not have the right form. "
        "Name of the run folder: letters, digits, `.`, `_` and `-`, beginning with a letter or a digit. Left out: the name of the file.",
    ),
    # missing keys
    ("{table: patients.csv}", "", "1: data: this key is missing. Add it: the table and the images."),
    (
        "{table: patients.csv}",
        "{images: scans}",
        "1: data.table: this key is missing. Add it: CSV, TSV, Parquet, Excel or JSON Lines file with a row per example, "
        "a folder or a pattern of several such as `parts/*.parquet`, or an address such as `s3://bucket/table.parquet`; "
        "a path is relative to this file.",
    ),
    ("{role: numeric}", "{normalize: none}", f"4: columns.age.role: {ROLE_MISSING}"),
    ("role: numeric", "role: ~", f"4: columns.age.role: {ROLE_MISSING}"),
    (
        ", task: binary",
        "",
        "7: columns.diagnosis.task: this key is missing. Add it: it is one of "
        "binary, count, gaussian, multiclass, multilabel, ordinal, quantiles, ranking, regression, survival or vector.",
    ),
    (
        "{columns: [note]}",
        "{architecture: mlp}",
        "11: branches.note.columns: this key is missing. Add it: keys under `columns` that this branch reads.",
    ),
]

BETWEEN_SECTIONS = [
    # branches and columns
    ("[age, sex]", "[age, sx]", "10: branches.table.columns, entry 2: there is no column 'sx'. Did you mean 'sex'?"),
    (
        "[age, sex]",
        "[age, sex, height]",
        "10: branches.table.columns, entry 3: there is no column 'height'. The input columns are scan, age, sex and note.",
    ),
    ("[age, sex]", "[age]", "5: columns.sex: no branch reads this column. Add it to the `columns` of a branch, or remove it."),
    (
        "[age, sex]",
        "[age, sex, note]",
        "11: branches.note.columns, entry 1: the column 'note' is read by the branch 'table' already. "
        "Name it once, or declare it twice: `note_2: {column: note, ...}`.",
    ),
    (
        "[age, sex]",
        "[age, sex, age]",
        "10: branches.table.columns, entry 3: the column 'age' is read by this branch already. "
        "Name it once, or declare it twice: `age_2: {column: age, ...}`.",
    ),
    (
        "[age, sex]",
        "[age, sex, diagnosis]",
        "10: branches.table.columns, entry 3: the column 'diagnosis' has the role `target`, which feeds no branch. "
        f"A branch reads {listed(input_roles())} columns.",
    ),
    (
        "{columns: [note]}",
        "{columns: [note], architecture: embedding_average}",
        "11: branches.note.columns, entry 1: `embedding_average` cannot read 'note', a text column with `vectorize: tfidf`. "
        "Put it into a branch with the architecture mlp, linear, resnet, dcn, realmlp or tabm, or set `vectorize: tokens`.",
    ),
    (
        "mlp, units: [32]",
        "cnn",
        "10: branches.table.columns, entry 1: `cnn` cannot read 'age', a numeric column. "
        "Put it into a branch with the architecture mlp, linear, resnet, dcn, realmlp, ft_transformer or tabm.\n"
        "clinic.yaml:10: branches.table.columns, entry 2: `cnn` cannot read 'sex', a categorical column. "
        "Put it into a branch with the architecture mlp, linear, resnet, dcn, realmlp, ft_transformer or tabm.",
    ),
    (
        "{role: numeric}",
        "{role: numeric, column: diagnosis}",
        "4: columns.age: the header 'diagnosis' is read by the target 'diagnosis' and by this input. "
        "Remove one of the two; a network that reads its answer learns nothing.",
    ),
    (
        "  age: {role: numeric}",
        "  age: {role: numeric}\n  scan_present: {role: id}",
        "5: columns.scan_present: the name is taken: it says for each row whether 'scan' is present. "
        "Choose another key and name the header: `other_name: {column: scan_present, ...}`.",
    ),
    (
        "  age: {role: numeric}",
        "  age: {role: numeric}\n  height/cm: {role: id}",
        "5: columns.height/cm: a key cannot be empty or hold a slash. "
        "Choose another key and name the header: `other_name: {column: height/cm, ...}`.",
    ),
    # roles
    (
        "  age: {role: numeric}",
        "  patient: {role: group}\n  age: {role: numeric}\n  visit: {role: group}",
        "6: columns.visit: a second column with the role `group`, after 'patient'. "
        "Only one column can have it; remove one of the two, or its role `group`.",
    ),
    (
        "  diagnosis: {role: target, task: binary}",
        "  diagnosis: {role: weight}",
        "2: columns: no column has the role `target`. Say what is to be predicted: `diagnosis: {role: target, task: binary}`.",
    ),
    # split and training
    (
        "test: 0.15}",
        "test: 0.15, repeats: 3}",
        "13: split.repeats: without folds, a repeat would be the same training again. "
        "Set `folds` as well, or `training.seeds` for trainings with other seeds.",
    ),
    (
        "method: stratified",
        "method: column",
        "13: split.method: `column` needs a column with the role `split`. Declare it under `columns`: `part: {role: split}`.",
    ),
    (
        "method: stratified",
        "method: time",
        "13: split.method: `time` needs a column with the role `time`. Declare it under `columns`: `date: {role: time}`.",
    ),
    (
        "  age: {role: numeric}",
        "  age: {role: numeric}\n  seen: {role: time}",
        "5: columns.seen: the role `time` is not used by the split method `stratified`. Set `split: {method: time}`, or remove the column.",
    ),
    (
        "  age: {role: numeric}",
        "  age: {role: numeric}\n  part: {role: split}",
        "5: columns.part: the role `split` is not used by the split method `stratified`. "
        "Set `split: {method: column}`, or remove the column.",
    ),
    (
        "validation_auc",
        "validation_aucc",
        "14: training.early_stopping.monitor: there is no score 'validation_aucc' for these targets. Did you mean 'validation_auc'?",
    ),
    (
        "validation_auc",
        "auc",
        "14: training.early_stopping.monitor: there is no score 'auc' for these targets. Did you mean 'validation_auc'?",
    ),
    (
        "validation_auc",
        "validation_mae",
        f"14: training.early_stopping.monitor: there is no score 'validation_mae' for these targets. {BINARY_SCORES}",
    ),
    (
        "validation_auc",
        '"validation_auc[ill]"',
        "14: training.early_stopping.monitor: there is no score 'validation_auc[ill]' for these targets. Did you mean 'validation_auc'?",
    ),
    (
        "patience: 5",
        "direction: minimize",
        "14: training.early_stopping.direction: `validation_auc` is better when it is higher. Set `direction: maximize`, or leave it out.",
    ),
    (
        "task: binary",
        "task: regression",
        "13: split.method: `stratified` needs a binary, multiclass, ordinal or survival target. Set `method: random`.\n"
        "clinic.yaml:14: training.early_stopping.monitor: there is no score 'validation_auc' for these targets. "
        "Their scores are validation_loss, validation_mae, validation_rmse, validation_r2 and validation_median_absolute_error.",
    ),
]

NO_YAML = [
    ("training:", "split: {}\ntraining:", "14: split: the key is here a second time, after line 13. Remove one of the two."),
    (
        "  sex:",
        "  age: {role: text}\n  sex:",
        "5: columns.age: the key is here a second time, after line 4. Remove one of the two.",
    ),
    ("epochs: 30", "epochs: 30, epochs: 31", "14: training.epochs: the key is here a second time in this line. Remove one of the two."),
    ("  age:", "\tage:", "4: the line is indented with a tab. Use spaces instead."),
    ("{role: numeric}", "{\trole: numeric}", "4: there is a tab between two words. Use spaces instead."),
    ("role: numeric", "role: 'numeric", "4: a quote is opened and never closed. Close it, or remove it."),
    ("role: numeric", 'role: "numeric', "4: a quote is opened and never closed. Close it, or remove it."),
    (
        "[age, sex]",
        "[age, sex",
        "10: the bracket `[` is opened and not closed properly. Check the commas and the closing `]`.",
    ),
    (
        "{role: numeric}",
        "{role: numeric",
        "4: the bracket `{` is opened and not closed properly. Check the commas and the closing `}`.",
    ),
    ("{role: numeric}", "{role: numeric}}", "4: a bracket is closed that was not opened. Remove it, or open it."),
    ("{role: numeric}", "{role:numeric}", "4: columns.age.role:numeric: unknown key. Put a blank after the colon: `role: numeric`."),
    ("age: {role", "age {role", "4: a colon is missing before the bracket. Write `age: {`."),
    ("age: {role", "age: years: {role", "4: there is a colon too many, or the line is indented too far. Quote a value that holds a colon."),
    (
        "  age:",
        "   age:",
        "4: the line is not in line with those above it. Indent keys of the same section alike, and quote values as a whole.",
    ),
    ("role: numeric", "role: @numeric", "4: a value cannot begin with this character. Quote the value."),
    (
        "role: numeric",
        "role: *numeric",
        "4: a value that begins with `*` is the alias of an anchor, and there is no such anchor. Quote it if it is text.",
    ),
    (
        "{role: numeric}",
        "!numeric {}",
        f"4: columns.age.role: {ROLE_MISSING}\n"
        "clinic.yaml:4: columns.age: the tag `!numeric` means nothing here. Remove it, or quote the value.",
    ),
    (
        "{role: numeric}",
        "{role: numeric, [a]: 1}",
        "4: columns.age: a key has to be one word or text, not a list or a map. Write `key: value`.",
    ),
    (
        "patients.csv",
        r'"tables\patients.csv"',
        "1: a backslash in double quotes begins an escape. Use single quotes, or write the backslash twice.",
    ),
    ("patients.csv", "patients\x07.csv", "1: the character U+0007 does not belong in a text file. Remove it."),
    ("fusion:", "---\nfusion:", "12: a second document begins here. Remove the line `---`; a file holds one experiment."),
]

ONE_MISTAKE = [*MISSPELT, *WRONG_VALUES, *BETWEEN_SECTIONS, *NO_YAML]


@pytest.mark.parametrize(("old", "new", "report"), ONE_MISTAKE)
def test_a_mistake_is_reported_with_its_line_and_cure_and_nothing_follows_from_it(tmp_path, old, new, report):
    assert reported(tmp_path, changed(old, new)) == f"clinic.yaml:{report}"


SEVERAL_PLACES = {
    "two images in one cnn": (
        """\
data: {table: a.csv}
columns:
  left: {role: image}
  right: {role: image}
  label: {role: target, task: binary}
branches:
  eyes: {columns: [left, right], architecture: cnn}
""",
        "clinic.yaml:7: branches.eyes.columns: `cnn` reads 1 column; found 2. Give every column a branch of its own.",
    ),
    "no input": (
        """\
data: {table: a.csv}
columns:
  label: {role: target, task: binary}
""",
        f"clinic.yaml:2: columns: no column feeds the network. Give at least one column the role {listed(input_roles(), 'or')}.",
    ),
    "no column": (
        """\
data: {table: a.csv}
columns: {}
""",
        "clinic.yaml:2: columns: expected at least 1 entry; found none. "
        "The role of each column of the table; columns not named are not used.",
    ),
    "columns as a list": (
        """\
data: {table: a.csv}
columns: [age, label]
branches:
  table: {columns: [age]}
""",
        "clinic.yaml:2: columns: expected a map of keys and values; found a list. "
        "For example `columns: {age: {role: numeric}, diagnosis: {role: target, task: binary}}`.",
    ),
    "a part column and a method without use for it": (
        """\
data: {table: a.csv}
columns:
  age: {role: numeric}
  part: {role: split}
  price: {role: target, task: regression}
""",
        "clinic.yaml:4: columns.part: the role `split` is not used by the split method `random`. "
        "Set `split: {method: column}`, or remove the column.",
    ),
    "a score without its target": (
        """\
data: {table: a.csv}
columns:
  age: {role: numeric}
  ill: {role: target, task: binary}
  price: {role: target, task: regression}
training: {early_stopping: {monitor: validation_auc}}
""",
        "clinic.yaml:6: training.early_stopping.monitor: there is no score 'validation_auc' for these targets. "
        "Did you mean 'validation_ill_auc'?",
    ),
    "a label that the file does not list": (
        """\
data: {table: a.csv}
columns:
  age: {role: numeric}
  places: {role: target, task: multilabel, labels: [beach, town]}
training: {early_stopping: {monitor: "validation_auc[beech]"}}
""",
        "clinic.yaml:5: training.early_stopping.monitor: there is no score 'validation_auc[beech]' for these targets. "
        "Did you mean 'validation_auc[LABEL]'?",
    ),
}


@pytest.mark.parametrize(("text", "report"), SEVERAL_PLACES.values(), ids=SEVERAL_PLACES)
def test_a_mistake_between_places_is_reported_at_one_of_them(tmp_path, text, report):
    assert reported(tmp_path, text) == report


FOLLOW_UPS = {
    "a misspelt target is not a missing one": (
        [("task: binary", "task: binry"), ("validation_auc", "validation_accuracy")],
        ["7: columns.diagnosis.task: there is no task 'binry'. Did you mean 'binary'?"],
    ),
    "a column with a misspelt role is neither unknown to its branch nor unfit for it": (
        [("role: image", "role: imag")],
        ["3: columns.scan.role: there is no role 'imag'. Did you mean 'image'?"],
    ),
    "what a text becomes is unknown while its option is wrong": (
        [("role: text", "role: text, vectorize: token"), ("[note]", "[note], architecture: embedding_average")],
        ["6: columns.note.vectorize: expected tfidf, hashed, tokens or pieces; found 'token'. Did you mean 'tokens'?"],
    ),
    "a branch with a wrong option still reads its columns": (
        [("units: [32]", "units: [0]")],
        ["10: branches.table.units, entry 1: 0 is out of range. It has to be 1 or more."],
    ),
    "a branch with misspelt columns leaves none unread": (
        [("{columns: [note]}", "{colums: [note], units: [8]}")],
        ["11: branches.note.colums: unknown key for the architecture `mlp`. Did you mean 'columns'?"],
    ),
    "options are not measured by the architecture that stands in for a misspelt key": (
        [("architecture: mlp, units: [32]", "architectur: linear, units: 3")],
        ["10: branches.table.architectur: unknown key. Did you mean 'architecture'?"],
    ),
    "the default method does not stand in for a misspelt key": (
        [("method: stratified", "metod: column"), ("  sex: {role: categorical}", "  sex: {role: split}"), ("[age, sex]", "[age]")],
        ["13: split.metod: unknown key. Did you mean 'method'?"],
    ),
    "the default monitor does not stand in for a misspelt key": (
        [("monitor: validation_auc", "montor: validation_auc, direction: maximize")],
        ["14: training.early_stopping.montor: unknown key. Did you mean 'monitor'?"],
    ),
    "the default split does not stand in for a misspelt section": (
        [
            ("split: {method: stratified, validation: 0.15, test: 0.15}", "splt: {method: column}"),
            ("  sex: {role: categorical}", "  sex: {role: split}"),
            ("[age, sex]", "[age]"),
        ],
        ["13: splt: unknown key. Did you mean 'split'?"],
    ),
    "the score of a misspelt target is not unknown": (
        [
            ("  diagnosis:", "  price: {role: target, task: regresion}\n  diagnosis:"),
            ("validation_auc", "validation_price_mae"),
        ],
        ["7: columns.price.task: there is no task 'regresion'. Did you mean 'regression'?"],
    ),
    "a text that is too short": (
        [
            ("task: binary", "task: multilabel, separator: ''"),
            ("method: stratified, ", ""),
            ("validation_auc", "validation_loss"),
        ],
        ["7: columns.diagnosis.separator: '' has the wrong length. It has to be 1 or more characters long."],
    ),
    "a share out of range is not added up": (
        [("test: 0.15", "test: 1.5")],
        ["13: split.test: 1.5 is out of range. It has to be less than 1."],
    ),
    "an input that looks like a target is one mistake": (
        [("[age, sex]", "[age, diagnosis]")],
        [
            "5: columns.sex: no branch reads this column. Add it to the `columns` of a branch, or remove it.",
            "10: branches.table.columns, entry 2: the column 'diagnosis' has the role `target`, which feeds no branch. "
            f"A branch reads {listed(input_roles())} columns.",
        ],
    ),
}


@pytest.mark.parametrize(("changes", "report"), FOLLOW_UPS.values(), ids=FOLLOW_UPS)
def test_what_is_broken_causes_no_reports_elsewhere(tmp_path, changes, report):
    text = CLINIC
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    assert reported(tmp_path, text) == "\n".join(f"clinic.yaml:{line}" for line in report)


NO_SUCH_TARGET = [
    ("threshold: {aim: youden}", "threshold", "price", "binary"),
    ("calibration: temperature", "calibration", "price", "binary, multiclass, multilabel or ordinal"),
    ("conformal: 0.9", "conformal", "labels", "binary, count, gaussian, multiclass, ordinal, quantiles, regression or vector"),
]
WITH_TARGET = """\
data: {{table: patients.csv}}
columns: {{age: {{role: numeric}}, price: {{role: target, task: {task}}}}}
evaluation: {{{option}}}
"""


@pytest.mark.parametrize(("option", "key", "target", "tasks"), NO_SUCH_TARGET)
def test_what_is_fitted_on_validation_rows_needs_a_target_it_goes_with(tmp_path, option, key, target, tasks):
    wrong, right = ("multilabel", "multiclass") if target == "labels" else ("regression", "binary")
    assert reported(tmp_path, WITH_TARGET.format(task=wrong, option=option)) == (
        f"clinic.yaml:3: evaluation.{key}: `{key}` needs a target with the task {tasks}. Leave it out, or add such a target."
    )
    assert reported(tmp_path, WITH_TARGET.format(task=right, option=option)) == ""
    assert reported(tmp_path, WITH_TARGET.format(task="regresion", option=option)) == (
        "clinic.yaml:2: columns.price.task: there is no task 'regresion'. Did you mean 'regression'?"
    )


THRESHOLDS = [
    ("{aim: yuden}", "threshold.aim: 'yuden' does not have the right form. f1: the highest F1; youden: the highest sensitivity plus "),
    ("{aim: sensitivity>=2}", "threshold.aim: 'sensitivity>=2' does not have the right form. f1: the highest F1; "),
    (
        "{aim: cost}",
        "threshold: `aim: cost` and `cost` belong together. Write `{aim: cost, cost: {false_positive: 1, false_negative: 5}}`.",
    ),
    ("{aim: f1, cost: {false_negative: 2}}", "threshold: `aim: cost` and `cost` belong together. "),
    ("{aim: cost, cost: {false_negative: 0}}", "threshold.cost.false_negative: 0 is out of range. It has to be more than 0."),
    ("youden", "threshold: expected a map of keys and values; found 'youden'. For example `threshold: {aim: youden}`."),
]


@pytest.mark.parametrize(("given", "report"), THRESHOLDS)
def test_aim_that_is_none_is_told(tmp_path, given, report):
    found = reported(tmp_path, WITH_TARGET.format(task="binary", option=f"threshold: {given}"))
    assert found.startswith(f"clinic.yaml:3: evaluation.{report}")
    assert found.count("\n") == 0


SEVEN = """\
dat: {table: patients.csv}
columns:
  scan: {role: imag}
  age: {role: numeric, normalise: standard}
  patient: {role: group}
  visit: {role: group}
  diagnosis: {role: target, task: binary}
branches:
  table: {columns: [age, sx], architecture: mlp, dropout: lots}
training: {epochs: 30, epochs: 31}
"""

SEVEN_REPORTS = [
    "seven.yaml:1: dat: unknown key. Did you mean 'data'?",
    "seven.yaml:3: columns.scan.role: there is no role 'imag'. Did you mean 'image'?",
    "seven.yaml:4: columns.age.normalise: unknown key for the role `numeric`. Did you mean 'normalize'?",
    "seven.yaml:6: columns.visit: a second column with the role `group`, after 'patient'. "
    "Only one column can have it; remove one of the two, or its role `group`.",
    "seven.yaml:9: branches.table.columns, entry 2: there is no column 'sx'. The input columns are scan and age.",
    "seven.yaml:9: branches.table.dropout: expected a number; found 'lots'.",
    "seven.yaml:10: training.epochs: the key is here a second time in this line. Remove one of the two.",
]


def test_seven_mistakes_are_reported_at_once_in_file_order_without_the_heavy_libraries(tmp_path):
    (tmp_path / "seven.yaml").write_text(SEVEN)
    program = """
import sys
from pathlib import Path
from mmtrain.config import load
from mmtrain.errors import ConfigError
try:
    load(Path("seven.yaml"))
except ConfigError as error:
    print(error)
print(sorted({"numpy", "pandas", "tensorflow", "keras", "PIL", "sklearn", "pyarrow", "matplotlib"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [*SEVEN_REPORTS, "[]"]
    assert len(SEVEN_REPORTS) == 7


OVERRIDES = [
    ("training.epochs=lots", "--set training.epochs: expected a whole number; found 'lots'."),
    ("training.epoch=3", "--set training.epoch: unknown key. Did you mean 'epochs'?"),
    ("columns.age={role: numric}", "--set columns.age.role: there is no role 'numric'. Did you mean 'numeric'?"),
    ("columns.age.role=numric", "--set columns.age.role: there is no role 'numric'. Did you mean 'numeric'?"),
    ("fusion=gate", "--set fusion.method: there is no method 'gate'. Did you mean 'gated'?"),
    (
        "split.test=0.9",
        "clinic.yaml:13: split: validation 0.15 and test 0.9 leave nothing to train on. Together they have to stay below 1.",
    ),
    (
        "foo.bar=1",
        "--set foo: unknown key. The keys here are name, data, columns, branches, fusion, split, training, evaluation, ensemble and tune.",
    ),
    ("epochs", "--set epochs: an override is written key.sub=value. For example `--set training.epochs=5`."),
    ("=3", "--set =3: an override is written key.sub=value. For example `--set training.epochs=5`."),
    ("training..epochs=3", "--set training..epochs=3: an override is written key.sub=value. For example `--set training.epochs=5`."),
    ("training.epochs=[1", "--set training.epochs: '[1' is not a YAML value. Quote it, or check its brackets."),
    (
        "fusion={method: add, method: gated}",
        "--set fusion.method: the key is here a second time. Remove one of the two.",
    ),
    (
        "branches.table.columns.0=sex",
        "--set branches.table.columns.0: `branches.table.columns` has no keys below it: it is ['age', 'sex']. "
        "Set `branches.table.columns` as a whole.",
    ),
]


@pytest.mark.parametrize(("override", "report"), OVERRIDES)
def test_a_mistake_in_an_override_names_the_override(tmp_path, override, report):
    assert reported(tmp_path, CLINIC, override) == report


def test_mistakes_in_overrides_come_after_those_of_the_file_in_the_order_given(tmp_path):
    text = changed("gated", "gate")
    assert reported(tmp_path, text, "training.epochs=lots", "epochs", "split.seed=-1") == "\n".join(
        [
            "clinic.yaml:12: fusion.method: there is no method 'gate'. Did you mean 'gated'?",
            "--set training.epochs: expected a whole number; found 'lots'.",
            "--set epochs: an override is written key.sub=value. For example `--set training.epochs=5`.",
            "--set split.seed: -1 is out of range. It has to be 0 or more.",
        ]
    )


WHOLE_FILES = {
    "empty": ("", "clinic.yaml: the file is empty. `mmtrain init TABLE` writes one to begin with."),
    "comments only": ("# later\n", "clinic.yaml: the file is empty. `mmtrain init TABLE` writes one to begin with."),
    "a list": (
        "# columns\n- age\n- sex\n",
        "clinic.yaml:2: an experiment file is a map of keys and values. It begins with keys like `data:` and `columns:`.",
    ),
    "a text": ("age\n", "clinic.yaml:1: an experiment file is a map of keys and values. It begins with keys like `data:` and `columns:`."),
    "Latin-1": (
        "data: {table: a.csv}\ncolumns: {gr\u00f6\u00dfe: {role: numeric}}\n".encode("latin-1"),
        "clinic.yaml:2: the byte 0xF6 is not UTF-8 text. Save the file as UTF-8.",
    ),
    "UTF-16": ("data: {}".encode("utf-16"), "clinic.yaml:1: the byte 0xFF is not UTF-8 text. Save the file as UTF-8."),
    "an alias of itself": ("data: &a {table: *a}\n", DEEP),
    "a map that merges itself": ("data: &a {<<: *a}\n", DEEP),
    "sixty levels": ("data: " + "[" * 60 + "]" * 60 + "\n", DEEP),
    "ten thousand levels": ("data: " + "[" * 10_000 + "]" * 10_000 + "\n", DEEP),
    "ten to the ninth values": (
        "\n".join(["a0: &a0 [" + "x, " * 10 + "]", *(f"a{n + 1}: &a{n + 1} [" + f"*a{n}, " * 10 + "]" for n in range(9))]),
        "clinic.yaml: the file holds more than 100,000 values, aliases written out. Check its anchors and aliases.",
    ),
    "a map merged too often": (
        "\n".join(["a0: &a0 {x: 1}", *(f"a{n + 1}: &a{n + 1} {{<<: [" + f"*a{n}, " * 10 + "]}" for n in range(9))]),
        "clinic.yaml: the file holds more than 100,000 values, aliases written out. Check its anchors and aliases.",
    ),
}


@pytest.mark.parametrize(
    ("text", "report"),
    [pytest.param(*values, id=name, marks=[pytest.mark.slow] * (name == "ten thousand levels")) for name, values in WHOLE_FILES.items()],
)
def test_a_file_that_is_no_experiment_is_refused_at_once(tmp_path, text, report):
    begin = time.monotonic()
    assert reported(tmp_path, text) == report
    assert time.monotonic() - begin < 10  # under 2 s each; written out, the large ones would take hours


def test_a_file_that_does_not_exist_is_named_with_its_path(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "clinc.yaml")
    assert str(caught.value) == (
        f"{tmp_path}/clinc.yaml: the file does not exist. Give the path of an experiment file; `mmtrain init TABLE` writes one."
    )


@pytest.mark.parametrize("name", ["t.csv", "t.TSV.gz", "t.parquet"])
def test_a_table_is_refused_with_the_way_to_an_experiment_file(tmp_path, name):
    (tmp_path / name).write_text("x,y\n1,2\n")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / name)
    assert str(caught.value) == (
        f"{tmp_path}/{name}: this is a table, not an experiment file. `mmtrain init {tmp_path}/{name}` writes one for it."
    )


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path)
    assert str(caught.value) == f"{tmp_path}: this is a folder. Give the path of an experiment file."


@pytest.mark.parametrize(
    ("columns", "sections", "report"),
    [
        (
            "y: {role: target, task: regression}",
            "training: {class_weights: balanced}",
            "clinic.yaml:4: training.class_weights: `class_weights` needs a target with classes or labels, and numbers have none. "
            "Leave it out; a column with the role `weight` gives each row a weight.",
        ),
        (
            "y: {role: target, task: regression}",
            "training: {class_weights: {a: 2}}",
            "clinic.yaml:4: training.class_weights: `class_weights` needs a target with classes or labels, and numbers have none. "
            "Leave it out; a column with the role `weight` gives each row a weight.",
        ),
        ("y: {role: target, task: regression}", "training: {class_weights: none}", ""),
        ("y: {role: target, task: regression}, z: {role: target, task: binary}", "training: {class_weights: balanced}", ""),
        ("y: {role: target, task: multilabel}", "training: {class_weights: balanced}", ""),
        (
            "y: {role: target, task: regression}, z: {role: target, task: binary, class_weights: none}",
            "training: {class_weights: balanced}",
            "clinic.yaml:4: training.class_weights: `class_weights` has no effect here: every target with classes (z) has `class_weights` "
            "of its own. Leave out one of the two.",
        ),
        ("y: {role: target, task: binary, decision: {prior: balanced}}", "", ""),
        (
            "y: {role: target, task: binary, decision: {prior: balanced}}",
            "evaluation: {threshold: {aim: youden}}",
            "clinic.yaml:3: columns.y.decision: `decision` and `evaluation.threshold` both say from which probability on the positive "
            "class is predicted. Leave one of them out.",
        ),
        ("y: {role: target, task: binary}", "training: {momentum: 0.5, optimizer: sgd}", ""),
        (
            "y: {role: target, task: binary}, c: {role: categorical, encode: one_hot, embedding_width: 3}",
            "",
            "clinic.yaml:3: columns.c.embedding_width: `embedding_width` has no effect with `encode: one_hot`, which learns no vectors. "
            "Leave it out, or set `encode: embedding`.",
        ),
        ("y: {role: target, task: binary}, c: {role: categorical, encode: one_hot}", "", ""),
        (
            "y: {role: target, task: binary}",
            "fusion: {balance: ogm}",
            "clinic.yaml:4: fusion.balance: `balance` compares the branches by heads of their own. "
            "Set `auxiliary` as well, to 0.3 for example.",
        ),
        ("y: {role: target, task: binary}", "fusion: {balance: none}", ""),
        *(
            (
                "y: {role: target, task: binary}",
                f"fusion: {{{option}: 0.3}}",
                f"clinic.yaml:4: fusion.{option}: `{option}` has no effect with a single branch. "
                "Leave it out, or give columns branches of their own.",
            )
            for option in ("auxiliary", "modality_dropout")
        ),
        ("y: {role: target, task: binary}, note: {role: text}", "fusion: {auxiliary: 0.3, modality_dropout: 0.1}", ""),
        ("y: {role: target, task: binary}", "fusion: {auxiliary: 0, absent: learned}", ""),
    ],
)
def test_an_option_that_nothing_takes_is_refused(tmp_path, columns, sections, report):
    assert reported(tmp_path, f"data: {{table: t.csv}}\ncolumns:\n  {{x: {{role: numeric}}, {columns}}}\n{sections}\n") == report


@pytest.mark.parametrize("key", ["name", "type"])
def test_a_method_under_another_key_is_the_only_mistake(tmp_path, key):
    """Its options are those of the method that was meant, not of the default."""
    columns = "columns: {x: {role: numeric}, y: {role: target, task: binary}}\n"
    path = write_experiment(tmp_path / "a.yaml", f"{columns}training: {{optimizer: {{{key}: sgd, momentum: 0.9}}}}")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert [(problem.where.split(": ")[1], problem.what, problem.fix) for problem in caught.value.problems] == [
        (f"training.optimizer.{key}", "unknown key.", "Did you mean 'method'?")
    ]
