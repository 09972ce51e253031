"""Every family of findings on the cells of a table."""

from __future__ import annotations

from mmtrain.audit.column_values import TableValues
from mmtrain.audit.finding import Finding
from mmtrain.audit.leakage.duplicate_rows import duplicate_findings
from mmtrain.audit.leakage.split_leakage import split_leakage
from mmtrain.audit.leakage.split_shift import split_shift
from mmtrain.audit.leakage.target_leakage import target_leakage
from mmtrain.audit.quality.class_balance import class_balance
from mmtrain.audit.quality.column_quality import column_quality
from mmtrain.audit.quality.near_spellings import spellings
from mmtrain.audit.quality.rare_categories import rare_categories
from mmtrain.audit.quality.redundant_columns import redundant_columns
from mmtrain.audit.quality.text_quality import text_quality
from mmtrain.audit.row_metadata import RowMetadata

CHECK_FAMILIES = (
    duplicate_findings,
    redundant_columns,
    split_leakage,
    spellings,
    target_leakage,
    class_balance,
    rare_categories,
    column_quality,
    text_quality,
    split_shift,
)
"""In the order in which findings of one level are told."""


def table_findings(sheet: TableValues, cohort: RowMetadata) -> list[Finding]:
    """Everything that the cells, the answers and the parts say."""
    return [finding for family in CHECK_FAMILIES for finding in family(sheet, cohort)]
