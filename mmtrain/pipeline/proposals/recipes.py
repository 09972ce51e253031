"""Branches, fusion and training that `init` and the scikit-learn estimators choose by the kinds of inputs and the number of rows.

The evidence for every number is in benchmarks/LOG.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mmtrain.columns.base import role_class
from mmtrain.columns.input_column import InputColumn

ROWS_OF_TRAINING = 800_000
"""Rows of all epochs together from which a large table has fewer epochs: 16 of adult take about 75 CPU s."""

ROWS_OF_SMALL_TRAINING, MOST_EPOCHS = 30_000, 60
"""Rows of all epochs together up to which a small table has more epochs than 30, and the most it has."""

SMALLEST_ROWS = 300
"""Rows below which batches have 16 rows in place of 32, so that an epoch has more than a few steps."""

LOWEST_RATE = 0.002
"""Learning rate of the small batches of small tables, which have a few hundred steps."""

ROWS_OF_DECAY, MOST_DECAY = 1_000, 3.0
"""The weight decay is the first divided by the rows of the table, at most the second. On 332 rows (Pima.te of R's MASS, one split) the
log loss was .676 without, .486 with 1 and .446 with 3; that of logistic regression was .452."""

IMAGES_OF_TRAINING = 180_000
"""Images of all epochs together, between `EPOCHS_OF_IMAGES`: about 2.5 CPU ms each at 64 x 64 pixels."""
EPOCHS_OF_IMAGES = (15, 40)
"""Fewest and most epochs with images."""

PLAIN_TRAINING: Mapping[str, Any] = {
    **{"epochs": 30, "batch_size": 32},
    "early_stopping": {"monitor": "validation_loss", "patience": 5},
}
"""Training of texts, and of branches that nothing is known of."""

ENCODED_IMAGES: Mapping[str, Any] = {"size": [224, 224], "resize": "crop"}
"""Options of images that a pretrained encoder reads: the size that most were trained at. On clothing with EfficientNet-Lite0, 160 pixels
gave .851."""

AUXILIARY = 1.0
"""`fusion.auxiliary` of several branches. On womens_reviews the AUC of validation rows was .9581, without auxiliary losses .9569, with 0.3
.9575; on emoji without images (four seeds) the log loss .770, .781 and .770.
An epoch of two texts and a table took 1.1 to 1.2 times as long."""

TABLE_OF_TEXTS = "tabm"
"""`branches` of numbers or categories next to texts. On three inner splits of forbes, which has a name in each row, R2 was .72, .77 and .65
with an mlp for the table and .78, .85 and .82 with this."""


TABULAR = {"numbers", "names", "dates", "vectors"}
"""Contents that branches for tables read."""


def recipe_for(roles: Iterable[str], rows: int) -> dict[str, Any]:
    """Return the sections `fusion`, `training` and, where it is not the default, `branches` of an experiment.

    `roles` are those of its inputs, and `rows` those of its table. The options of each section are in the order in which they are written.
    """
    classes = [role_class(role) for role in roles]
    contents = {one.content for one in classes}
    rows = max(1, rows)
    if contents <= TABULAR:
        # No layers behind the branch, so that its linear path stays linear.
        return {"branches": "tabm", "fusion": {"units": []}, "training": _table_training(rows)}
    alone = sum(issubclass(one, InputColumn) and one.own_branch for one in classes)
    several = alone + (alone < len(classes)) > 1
    fusion = {"units": [], "auxiliary": AUXILIARY} if several else {"units": []}
    if "images" in contents:
        return {"fusion": fusion, "training": _image_training(rows)}
    table = {"branches": TABLE_OF_TEXTS} if several and contents <= {*TABULAR, "texts"} and contents != {"texts"} else {}
    return {**table, "fusion": fusion, "training": PLAIN_TRAINING}


def _table_training(rows: int) -> dict[str, Any]:
    # The power of two below a hundredth of the rows. The learning rate grows with the square root of the batch size.
    size = min(256, max(16 if rows < SMALLEST_ROWS else 32, 2 ** max(0, (rows // 100).bit_length() - 1)))
    most = min(MOST_EPOCHS, max(30, ROWS_OF_SMALL_TRAINING // rows))
    return {
        "epochs": min(most, max(5, ROWS_OF_TRAINING // rows)),
        "batch_size": size,
        "learning_rate": float(f"{max(LOWEST_RATE, 0.001 * (size / 32) ** 0.5):.2g}"),
        "schedule": "cosine",
        "weight_decay": float(f"{min(MOST_DECAY, ROWS_OF_DECAY / rows):.1g}"),
        "early_stopping": {"monitor": "validation_loss"},
    }


def _image_training(rows: int) -> dict[str, Any]:
    fewest, most = EPOCHS_OF_IMAGES
    return {
        "epochs": min(most, max(fewest, IMAGES_OF_TRAINING // rows)),
        "batch_size": 32,
        "learning_rate": 0.003,
        "schedule": {"method": "cosine", "warmup_epochs": 1},
        # A schedule with a known end is trained to it: no patience.
        "early_stopping": {"monitor": "validation_loss"},
    }
