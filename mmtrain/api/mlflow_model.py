"""Loader of the MLflow flavour `pyfunc` of a run, which the tracker `mlflow` uploads. MLflow calls it by its name.

The data of the model are a packed run, unpacked. The frame of a prediction has the raw columns of the training's table.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


class RunModel:
    """The model of a run as MLflow calls it."""

    def __init__(self, folder: Path) -> None:
        import mmtrain

        self._run = mmtrain.load(folder)

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002
        """Predict raw rows, with a probability per class; row i in is row i out. See `TrainedRun.predict` for the columns."""
        return self._run.predict(model_input, proba=True)


def _load_pyfunc(path: str) -> RunModel:
    """Return the model for the packed run in the folder `path`."""
    return RunModel(Path(path))
