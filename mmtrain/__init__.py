"""mmtrain: train one Keras model on a table of images, numbers, categories and text, from a short YAML file.

This page is the plan of the house.

# The path of the data

One direction, no way back; `mmtrain/commands/fit.py` is this path as code.

| step | call | gives | kept in the run folder |
|---|---|---|---|
| 1 | `config.load(path, overrides)` | `Experiment`, frozen | `config.yaml` |
| 2 | `table.read(...)`, `store.attach(...)` | a checked table and its image stores | `data.json` |
| 3 | `experiment.split.plan(rows)` | `SplitPlan` of `Partition`s, disjoint by group | `split.csv` |
| 4 | `encode.fit(experiment, table, training rows)` | fitted columns and targets | `columns.json`, `statistics.json` |
| 5 | `encode.encode(...)` | `Arrays`: one row index over all of them | (cache, outside the run) |
| 6 | `Batches.epoch(number)` | `{column, column_present}`, targets, weights | |
| 7 | `assemble(experiment, fitted)` | `Network`: core, predictor, whole | `model.keras` |
| 8 | `loop.train(...)` | events, best weights | `metrics.jsonl`, `checkpoints/` |
| 9 | `fit_and_save_postprocessing(run, material)` | calibration, threshold, conformal bound, of validation rows | `decisions.json` |
| 10 | `evaluate(run, options)` | scores next to a baseline | `metrics.json`, `predictions_<part>.csv`, `most_wrong_<part>.json` |
| 11 | `report.write(run, ...)`, after 9 and 10 | what a person reads | `report.html`, `plots/`, `scores_<part>.csv`, `model_card.md` |

# Floors

A module imports only from floors below its own; import-linter keeps it (`pyproject.toml`). The tier says what importing
costs: 0 the standard library and Typer, 1 pydantic and YAML, 2 numpy and pandas, 3 TensorFlow. What can be known in a cheap
tier is refused there: a misspelt key in tier 1, a word in a numeric column in tier 2.

| floor | rooms | tier |
|---|---|---|
| `api/` | the Python front door: `mmtrain.fit` and the others, their results, estimators | 0-2 |
| `cli/` | one file per command: declarations, printing, exit codes | 0 |
| `commands/` | one plain function per command; read these first | 2, TensorFlow inside |
| `pipeline/` | what commands share: load, validate, build, train a run, train a single branch, predictor | 2, TensorFlow inside |
| `training/` `evaluation/` `audit/` `reports/` `export/` `explanation/` | training, scores, checks, reports, exports, single rows | 2-3 |
| `model/` `batches.py` | the network; batches by row index | 3 |
| `data/` `artifacts/` | tables, encoding, image store, drift; the run folder and the schema of its files | 2 |
| `config/` | the experiment file, with line numbers | 1 |
| `columns/` `targets/` `branches/` `fusion.py` `splits/` `optim/` `metrics/` | what a YAML file can name, one file each | 1-2 |
| `registry.py` `specs.py` `image_decoding/` `layers/` `system/` | options, tensors, one image, Keras layers, the machine | 1-3 |
| `text/` | spelling, words, dates | 1-2 |
| `errors.py` `synonyms.py` | `Problem` and the three errors; usual words for what is meant | 0 |

# Words

An **experiment** is the validated YAML. A **column** has a **role**; what training rows taught it is a **fitted column**. Encoded
it is a tensor of a **kind**, described by a **spec**. A **branch** makes one feature vector of columns, a **fusion** one vector of
branches, a **target** with its **task** the answer. A **split** is a plan of **partitions**, each of which says what rows are
**used** for: train, validation, calibration or test. Training rows are visited in an **order**. A training
leaves a **run**. What a user must fix is a **problem**.

# Promises, in this order

1. Right: one row index drives every input; what is learned from data is learned from training rows; row i in is row i out.
2. Honest: grouped splits, baselines next to the model, the test part scored only by `evaluate` and every time recorded.
3. Legible: every mistake in one screen: where, what was found, what would be right.
4. Fast: an image is decoded once, a text split once to learn its words and once to encode it; batches are gathered while the
   step before them runs.
5. Open: a new column type is one file, a new branch or fusion one function.
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mmtrain.with_keras import register_layers

register_layers()

if TYPE_CHECKING:
    from mmtrain.api.commands import check as check
    from mmtrain.api.commands import compare as compare
    from mmtrain.api.commands import evaluate as evaluate
    from mmtrain.api.commands import explain as explain
    from mmtrain.api.commands import export as export
    from mmtrain.api.commands import fit as fit
    from mmtrain.api.commands import init as init
    from mmtrain.api.commands import inspect_data as inspect_data
    from mmtrain.api.commands import load as load
    from mmtrain.api.commands import predict as predict
    from mmtrain.api.commands import resume as resume
    from mmtrain.api.estimators import Classifier as Classifier
    from mmtrain.api.estimators import Regressor as Regressor
    from mmtrain.errors import ConfigError as ConfigError
    from mmtrain.errors import DataError as DataError
    from mmtrain.errors import MmtrainError as MmtrainError
    from mmtrain.errors import RunError as RunError

    __version__: str

_API = {
    **dict.fromkeys(
        ("check", "compare", "evaluate", "explain", "export", "fit", "init", "inspect_data", "load", "predict", "resume"),
        "mmtrain.api.commands",
    ),
    **dict.fromkeys(("Classifier", "Regressor"), "mmtrain.api.estimators"),
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
