"""What a sound table is told for all that: names spelled in two ways, rounded ids, and what split words were taken for."""

from __future__ import annotations

from mmtrain.audit.column_usage import column_usages
from mmtrain.audit.column_values import sheet_of_names
from mmtrain.audit.finding import by_kind
from mmtrain.audit.label_index import index_labels
from mmtrain.audit.quality.near_spellings import is_spelled, spellings
from mmtrain.audit.row_metadata import RowMetadata, part_codes
from mmtrain.config import Experiment
from mmtrain.data.tables.table import Table
from mmtrain.splits.plan import Partition


def notices(experiment: Experiment, table: Table, partition: Partition) -> list[str]:
    """One line each, the same as `inspect-data` finds."""
    uses = [use for use in column_usages(experiment.columns) if is_spelled(use) or use.purpose == "assigning"]
    sheet = sheet_of_names(table.path.name, len(table), [(use, table.cells(use.header)) for use in uses])
    cohort = RowMetadata(len(table), part_codes(partition, len(table)), targets=tuple(index_labels(sheet)))
    kinds = by_kind(spellings(sheet, cohort))
    return [f"{kind.level}: {table.path.name}: {' '.join(filter(None, kind.line('')[:3]))}" for kind in kinds]
