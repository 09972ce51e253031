"""mmtrain: train one Keras model on a table of images, numbers, categories and text, from a short YAML file.

This page is the architecture: how data flow, what may import what, and what each word means.

# The path of the data

Data flow in one direction. `fit` in `mmtrain/commands/fit.py` is this path as code, with the same step numbers.

| step | call | result | files in the run folder |
|---|---|---|---|
| 1 | `config.load(path, overrides)` | a frozen, validated `Experiment` | `config.yaml` |
| 2 | `read_tolerantly(table, columns)`, `store.attach(...)` | a checked table and its decoded images | `data.json` |
| 3 | `experiment.split.plan(rows)` | a `SplitPlan` of `Partition`s, disjoint by group | `split.csv` |
| 4 | `encode.fit(columns, table, training rows)` | fitted columns and targets | `columns.json`, `statistics.json` |
| 5 | `encode_table(...)` | arrays: numbers, categories, each other column; row i of each is row i of the table | (cache, outside the run) |
| 6 | `assemble_training(table)` | settings for this device, and `Models`: network, predictor, end_to_end | `network.json` |
| 7 | `train(run, data)`: the loop over `Batches.epoch(number)` | the best weights | `metrics.jsonl`, `checkpoints/`, `model.keras` |
| 8 | `fit_and_save_postprocessing(run, data, evaluation)`, inside `train` | calibration, threshold, conformal bound | `decisions.json` |
| 9 | `finish(run)` | the report for a person | `report.html`, `plots/`, `epochs.csv`, `model_card.md` |

Steps 1 to 3 are `load_checked`, which reports every mistake of the file and of the data at once. `check` ends there. `evaluate` scores
the best weights next to baselines (`metrics.json`, `predictions_<part>.csv`, `scores_<part>.csv`), and it alone scores the test part.

# The tree of runs

A run has a numbered folder. A further training on its table (a branch alone, a fold, another seed, a trial) is a child run below it:
`run.child("baselines/scan")`, `run.child("folds/0")`. `train_child(run, plan, table)` in `mmtrain/pipeline/child_run.py` trains it with
steps 4 to 8 of the main run, on the table that is encoded already. Runs and children are locked, interrupted and resumed by the same
functions.

An experiment with folds or seeds is a **group** (`mmtrain/pipeline/groups/run_group.py`): its run has no model, and its **members** are
child runs with all files of a run, so that commands take them. A plan with folds has one partition per fold, whose `test` rows are those
that the fold is scored on; outer test rows belong to the plan, and no partition has them. `predictions_oof.csv` and
`cross_validation.json` follow from the files of finished members alone (`mmtrain/pipeline/groups/results.py`).

# Floors

A module imports only from floors below its own; import-linter checks it (`pyproject.toml`). The tier is the cost of importing: 0 the
standard library and Typer, 1 pydantic and YAML, 2 numpy and pandas, 3 TensorFlow. A mistake is reported in the cheapest tier that can
know it: a misspelt key in tier 1, a word in a numeric column in tier 2.

| floor | packages | tier |
|---|---|---|
| `api/` | the Python API: `mmtrain.fit` and the others, result objects, scikit-learn estimators | 0-2 |
| `cli/` | one module per command, in the folders of `commands/`: options, printing, exit codes | 0 |
| `commands/` | one function per command; read these first; `fitting/` has the parts of `fit` | 2, TensorFlow inside |
| `serving/` | requests over HTTP: rows, batches, addresses, the page | 2, TensorFlow inside |
| `pipeline/` | steps of commands: validate, encode, train a run or a group, search, distill, restore, predict | 2, TensorFlow inside |
| `training/` `evaluation/` `audit/` `reports/` `export/` `explanation/` | training, scores, checks of data, reports, exports | 2-3 |
| `model/` `batches.py` | the network; batches by row index | 3 |
| `data/` `artifacts/` | tables, encoding, image store, drift; the run folder and one class for each result | 2 |
| `config/` | the experiment file, with line numbers | 1 |
| `columns/` `targets/` `branches/` `fusions/` `splits/` `optim/` `metrics/` `trackers/` | what experiments can name | 1-2 |
| `encoders/` | pretrained networks from local files: families, readers of weights | 1-3 |
| `registry.py` `result_model.py` `specs/` `input_layout.py` `image_decoding/` `layers/` `system/` | registries, tensors, layers | 1-3 |
| `text/` | words and pieces of texts, word vectors, spelling, dates | 1-2 |
| `errors.py` `synonyms.py` | `Problem` and the errors; other words for keys and values | 0 |

`config/`, `commands/`, `serving/`, `pipeline/` and `api/` know the whole experiment. Below them a function takes the section or the values
it uses.

# Words

An **encoder** is a pretrained network; while the one that a branch begins with is frozen, or where a column has one (`encoder`), training
and `evaluate` read its cached features. A **stage** of the training may **tune** the encoder of a branch: then it reads the column, and
adapters or blocks change, which the saved model has merged.
An **experiment** is a validated YAML file. A **column** has a **role**; with what training rows taught it, it is a **fitted column**.
Encoded it is a tensor of a **kind**, described by a **spec**. A column may read several headers, and cells of **second tables**: the list
of those with the key of the row. The columns of some kinds are a **stack**: one array, one input of the network. A **branch** computes a
feature vector from columns, the **fusion** one vector from all branches, a **target** with its **task** the prediction. A **split** is a
plan of **partitions**; a partition assigns rows to uses: train, validation, calibration, test. A training leaves a **run**, perhaps with
**child runs**; **workers** are processes that share one training, a device each; a **search** (`mmtrain tune`) is a run of **trials**. A
**student** (`mmtrain distill`) is a run that has learned the predictions of its **teacher**, a run or a group. A **problem** is something
that the user must fix.

# Promises, in this order

1. Right: one row index drives every input; what is learned from data is learned from training rows; row i in is row i out.
2. Honest: grouped splits, baselines next to the model; the test part is scored by `evaluate` only, and each time is recorded.
3. Legible: every mistake in one screen: where it is, what was found, what would be right.
4. Fast: an image is decoded once, a text is tokenized once to fit and once to encode; the next batch is gathered during a step.
5. Open: a new column type is one file, a new branch or fusion one function.
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mmtrain.with_keras import register_layers

register_layers()

if TYPE_CHECKING:
    from mmtrain.api.commands import compare as compare
    from mmtrain.api.commands import evaluate as evaluate
    from mmtrain.api.commands import explain as explain
    from mmtrain.api.commands import export as export
    from mmtrain.api.commands import load as load
    from mmtrain.api.commands import predict as predict
    from mmtrain.api.cross_validation import cross_validate as cross_validate
    from mmtrain.api.estimators import Classifier as Classifier
    from mmtrain.api.estimators import Regressor as Regressor
    from mmtrain.api.experiments import check as check
    from mmtrain.api.experiments import distill as distill
    from mmtrain.api.experiments import fit as fit
    from mmtrain.api.experiments import init as init
    from mmtrain.api.experiments import inspect_data as inspect_data
    from mmtrain.api.experiments import resume as resume
    from mmtrain.api.tuning import tune as tune
    from mmtrain.errors import ConfigError as ConfigError
    from mmtrain.errors import DataError as DataError
    from mmtrain.errors import MmtrainError as MmtrainError
    from mmtrain.errors import RunError as RunError

    __version__: str

_API = {
    **dict.fromkeys(("check", "distill", "fit", "init", "inspect_data", "resume"), "mmtrain.api.experiments"),
    **dict.fromkeys(("compare", "evaluate", "explain", "export", "load", "predict"), "mmtrain.api.commands"),
    "cross_validate": "mmtrain.api.cross_validation",
    **dict.fromkeys(("Classifier", "Regressor"), "mmtrain.api.estimators"),
    "tune": "mmtrain.api.tuning",
    **dict.fromkeys(("ConfigError", "DataError", "MmtrainError", "RunError"), "mmtrain.errors"),
}
"""Where the names of the API come from."""
__all__ = sorted(_API)  # noqa: PLE0605 (one list, not two)


def __getattr__(name: str) -> Any:
    """The API, imported when asked for: it would cost every command 1 s, and the version 0.15 s."""
    if name in _API:
        from importlib import import_module

        return getattr(import_module(_API[name]), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("mmtrain")
    raise AttributeError(f"module 'mmtrain' has no attribute {name!r}")


def __dir__() -> list[str]:
    """The API and nothing else; rooms are imported by their own names."""
    return [*__all__, *(name for name in globals() if name.startswith("__") and name.endswith("__") and name != "__all__"), "__version__"]


class _FrontDoor(ModuleType):
    """`import mmtrain.export` would put the package of that name in the place of the function `mmtrain.export`."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _API and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _FrontDoor
