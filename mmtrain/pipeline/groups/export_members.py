"""Exports of a group of trainings to formats that take encoded columns: every member reads columns as it has learned to encode them.

A column that several members encode alike, such as an image, is one input of the export; any other is one input for each way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mmtrain.artifacts.run_folder import Run
from mmtrain.config import Experiment
from mmtrain.data import encode
from mmtrain.data.arrays import Arrays
from mmtrain.input_layout import presence_of
from mmtrain.pipeline.groups.ensemble import class_places, counting_members, mixtures
from mmtrain.pipeline.prepare import LoadedData
from mmtrain.pipeline.restore import restore_training


@dataclass(frozen=True, eq=False)
class GroupColumns:
    """The columns of all members, each way of encoding one of them under a name of its own."""

    members: tuple[Run, ...]
    fitted: encode.Fitted
    """Columns by these names, and the targets of the group."""
    columns: dict[str, str]
    """The column of the experiment by name."""
    names: tuple[dict[str, str], ...]
    """For each member, the name by column."""
    weights: dict[str, list[float]] | None = None
    """By target, the weights of the members; None for the plain mean."""

    @classmethod
    def of(cls, run: Run, labels: encode.Fitted) -> GroupColumns:
        """Return the columns of the members that count in predictions of a group; its targets are those of `labels`."""
        members, weights = counting_members(run)
        known: dict[str, Any] = {}
        columns: dict[str, str] = {}
        names = []
        for member in members:
            name_of = {}
            # A single branch has its own columns only.
            for key, column in restore_training(member)[1].columns.items():
                name = next((one for one, origin in columns.items() if origin == key and known[one] == column), "")
                if not name:
                    # The first one keeps the name of the column.
                    name = key if key not in columns else f"{key} of {member.name}"
                    known[name], columns[name] = column, key
                name_of[key] = name
            names.append(name_of)
        return cls(tuple(members), labels.model_copy(update={"columns": known}), columns, tuple(names), weights)

    def experiment(self, experiment: Experiment) -> Experiment:
        """Return the experiment with these names of input columns."""
        declared = {name: experiment.columns[key] for name, key in self.columns.items()}
        others = {key: column for key, column in experiment.columns.items() if key not in experiment.inputs}
        return experiment.model_copy(update={"columns": {**declared, **others}})

    def encode(self, experiment: Experiment, data: LoadedData) -> Arrays:
        """Return the rows of a table as all members encode them, by name; `experiment` has these names."""
        stores = {name: data.stores[key] for name, key in self.columns.items() if key in data.stores}
        return encode.encode(experiment.columns, self.fitted, data.table, stores, cache=experiment.data.cache)

    def network(self) -> Any:
        """Return the networks of all members as one."""
        from mmtrain.export.freeze import as_float32
        from mmtrain.export.group_network import GroupNetwork
        from mmtrain.model import model_file
        from mmtrain.model.network_inputs import by_column

        networks, labels, targets = [], [], []
        for member, names in zip(self.members, self.names, strict=True):
            experiment, fitted, _ = restore_training(member)
            networks.append(by_column(as_float32(model_file.of_run(member, experiment.branches, fitted)[1]), fitted))
            labels.append({of(key): of(name) for key, name in names.items() for of in (str, presence_of)})
            targets.append(fitted.targets)
        places = class_places(self.fitted.targets, targets)
        widths = {key: target.units for key, target in self.fitted.targets.items()}
        return GroupNetwork(networks, labels, places, widths, self.weights, mixtures(self.fitted.targets))
