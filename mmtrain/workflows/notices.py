"""What a sound table is told for all that: names spelled in two ways, rounded ids, and what split words were taken for."""

from __future__ import annotations

import numpy as np

from mmtrain.columns.split_words import PARTS
from mmtrain.config import Experiment
from mmtrain.data.findings.cells import sheet_of_names
from mmtrain.data.findings.cohort import Cohort
from mmtrain.data.findings.finding import by_kind
from mmtrain.data.findings.labels import labels_of
from mmtrain.data.findings.spellings import is_spelled, spellings
from mmtrain.data.findings.uses import uses_of
from mmtrain.data.splits.parts import Parts
from mmtrain.data.tables.table import Table


def notices(experiment: Experiment, table: Table, parts: Parts) -> list[str]:
    """One line each, the same as `inspect-data` finds."""
    uses = [use for use in uses_of(experiment.columns) if is_spelled(use) or use.role == "split"]
    sheet = sheet_of_names(table.path.name, len(table), [(use, table.cells(use.header)) for use in uses])
    codes = np.zeros(len(table), dtype=np.int8)
    for code, part in enumerate(PARTS):
        codes[parts[part]] = code
    cohort = Cohort(len(table), codes, targets=tuple(labels_of(sheet)))
    kinds = by_kind(spellings(sheet, cohort))
    return [f"{kind.level}: {table.path.name}: {' '.join(filter(None, kind.line('')[:3]))}" for kind in kinds]
