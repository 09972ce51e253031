"""Scores of each kind of target, from the truth and the predictions; import them from here.

| target      | function            | scores                                                                                 |
|-------------|---------------------|----------------------------------------------------------------------------------------|
| binary      | `binary_scores`     | auc pr_auc accuracy balanced_accuracy f1 sensitivity specificity log_loss brier        |
| multi-class | `multiclass_scores` | accuracy balanced_accuracy macro_f1 weighted_f1 macro_auc log_loss                     |
| multi-label | `multilabel_scores` | macro_auc macro_pr_auc macro_f1 subset_accuracy hamming_loss log_loss, then each label |
| number      | `regression_scores` | mae rmse r2 median_absolute_error                                                      |

A score that is undefined for the rows is None with the reason in words, never 0 and never NaN. Log loss is in nats, of probabilities
clipped to 1e-7 and 1 - 1e-7. Wrong arrays (shape, NaN, outside 0 to 1) raise `ValueError`.

`<target>_scorer` computes the same scores for many bootstrap draws at once, from the count of each row in each draw; the scores of a
part are those of the one draw that has every row once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmtrain.metrics.labels.binary import binary_scorer, binary_scores
    from mmtrain.metrics.labels.classification import confusion_matrix
    from mmtrain.metrics.labels.multiclass import multiclass_scorer, multiclass_scores
    from mmtrain.metrics.labels.multilabel import multilabel_scorer, multilabel_scores
    from mmtrain.metrics.numbers.regression import regression_scorer, regression_scores
    from mmtrain.metrics.registered_metrics import metric
    from mmtrain.metrics.score import METRICS, Score, higher_is_better

__all__ = [
    "METRICS",
    "Score",
    "binary_scorer",
    "binary_scores",
    "confusion_matrix",
    "higher_is_better",
    "metric",
    "multiclass_scorer",
    "multiclass_scores",
    "multilabel_scorer",
    "multilabel_scores",
    "regression_scorer",
    "regression_scores",
]

_MODULES = {
    name: module
    for module, names in {
        "labels.binary": ("binary_scorer", "binary_scores"),
        "labels.classification": ("confusion_matrix",),
        "labels.multiclass": ("multiclass_scorer", "multiclass_scores"),
        "labels.multilabel": ("multilabel_scorer", "multilabel_scores"),
        "numbers.regression": ("regression_scorer", "regression_scores"),
        "registered_metrics": ("metric",),
        "score": ("METRICS", "Score", "higher_is_better"),
    }.items()
    for name in names
}


def __getattr__(name: str) -> Any:
    """Import a function at its first use: the experiment file needs the names of metrics, not NumPy."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
