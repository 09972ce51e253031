"""A run that is exported: its models under the names of the export, and the rows on which the export is checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mmtrain.artifacts.run_folder import Run
from mmtrain.config import Experiment
from mmtrain.data import encode
from mmtrain.data.arrays import Arrays
from mmtrain.export import check, contract
from mmtrain.export.base import Array, ExportableModel, Format, plain_names
from mmtrain.pipeline.groups.ensemble import end_to_end, predict_rows
from mmtrain.pipeline.groups.export_members import GroupColumns
from mmtrain.pipeline.prepare import LoadedData, keep_rows


@dataclass(frozen=True)
class ExportSubject:
    """The run to be exported, and the rows for the check."""

    run: Run
    experiment: Experiment
    fitted: encode.Fitted
    data: LoadedData
    """The rows of `checked` and `calibrating`."""
    arrays: Arrays
    checked: Array
    """Positions of validation rows."""
    calibrating: Array
    """Positions of training rows; empty unless the export is quantized to int8."""
    columns: GroupColumns | None = None
    """The columns of a group, if the export takes encoded ones."""

    def exportable(self, chosen: Format) -> tuple[ExportableModel, dict[str, Array]]:
        """Return models, names and calibration rows, as writers of formats take them, and the predictions of the rows for the check."""
        return self._group(chosen) if self.run.is_group else self._single(chosen)

    def _single(self, chosen: Format) -> tuple[ExportableModel, dict[str, Array]]:
        """Return what `exportable` does, for a run with one model."""
        from mmtrain.export.freeze import as_float32
        from mmtrain.model import model_file
        from mmtrain.model.network_inputs import by_column

        whole, original = model_file.of_run(self.run, self.experiment.branches, self.fitted)
        predictor = as_float32(original)
        single = by_column(predictor, self.fitted) if chosen.inputs == "encoded" else predictor
        exportable = ExportableModel(
            source=self.run / "model.keras",
            whole=whole,
            fitted=self.fitted,
            predictor=single,
            mixed=predictor is not original,
            calibration=self._calibration(),
            **self._names(chosen),
        )
        return exportable, model_file.predict(original, self.arrays, self.checked)

    def _group(self, chosen: Format) -> tuple[ExportableModel, dict[str, Array]]:
        """Return what `exportable` does, for a group of trainings, whose members become one model."""
        from mmtrain.export.freeze import as_float32

        whole = end_to_end(self.run, self.fitted)
        mixed = any(as_float32(member) is not member for member in whole.predictor.members)
        exportable = ExportableModel(
            source=None,
            whole=whole,
            fitted=self.fitted,
            predictor=None if self.columns is None else self.columns.network(),
            mixed=mixed,
            calibration=self._calibration(),
            **self._names(chosen),
        )
        expected, _ = predict_rows(self.run, self.fitted, self.data, self.checked, lambda _: None, own_table=True)
        return exportable, expected

    def _calibration(self) -> list[dict[str, Array]]:
        """Return the rows for int8, a batch of one row each, as converters take calibration data."""
        return [self.arrays.columns(self.calibrating[at : at + 1]) for at in range(len(self.calibrating))]

    def _names(self, chosen: Format) -> dict[str, Any]:
        """Return the names in the export of its inputs and outputs."""
        labels = contract.labels(chosen.inputs, self.fitted)
        # One call for inputs and outputs, so that no name occurs twice.
        names = plain_names([*labels, *self.fitted.targets])
        return {"inputs": {label: names[label] for label in labels}, "outputs": {key: names[key] for key in self.fitted.targets}}

    def given_rows(self, chosen: Format, exportable: ExportableModel) -> dict[str, Array]:
        """Return the rows for the check, by the names of the export."""
        if chosen.inputs == "encoded":
            rows = self.arrays.columns(self.checked)
        else:
            experiment, table = self.experiment, keep_rows(self.data, self.checked).table
            rows = check.raw_rows(experiment.inputs, experiment.data.images_folder, self.fitted, table)
            check.check_images(self.fitted, rows, {key: present[self.checked] for key, present in self.arrays.present.items()})
        return {name: rows[label] for label, name in exportable.inputs.items()}
