"""The status of rows that are predicted."""

import numpy as np

from mmtrain.columns.cells import CellWarning
from mmtrain.data.prediction_chunks import Chunk


class Remarks:
    """Of two rows, as `Chunk` holds them."""

    remarks = (
        ("seen", CellWarning(np.array([0]), "'soon' is not a date", "Write a date.")),
        ("seen", CellWarning(np.array([0]), "'soon' is not a date", "Write a date.")),
        ("age", CellWarning(np.array([0]), "missing, imputed")),
    )

    def __len__(self):
        return 2


def test_a_remark_of_two_columns_on_one_header_is_made_once():
    assert Chunk.status(Remarks()).tolist() == ["seen: 'soon' is not a date; age: missing, imputed", "ok"]
