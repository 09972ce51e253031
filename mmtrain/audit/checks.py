"""Every family of findings on the cells of a table."""

from __future__ import annotations

from mmtrain.audit.column_values import Sheet
from mmtrain.audit.finding import Finding
from mmtrain.audit.leakage.duplicate_rows import copies
from mmtrain.audit.leakage.split_leakage import sides
from mmtrain.audit.leakage.split_shift import shift
from mmtrain.audit.leakage.target_leakage import leaks
from mmtrain.audit.quality.class_balance import classes
from mmtrain.audit.quality.column_quality import inputs
from mmtrain.audit.quality.near_spellings import spellings
from mmtrain.audit.quality.rare_categories import categories
from mmtrain.audit.quality.redundant_columns import equal_columns
from mmtrain.audit.quality.text_quality import texts
from mmtrain.audit.row_metadata import Cohort

FAMILIES = (copies, equal_columns, sides, spellings, leaks, classes, categories, inputs, texts, shift)
"""In the order in which findings of one level are told."""


def table_findings(sheet: Sheet, cohort: Cohort) -> list[Finding]:
    """Everything that the cells, the answers and the parts say."""
    return [finding for family in FAMILIES for finding in family(sheet, cohort)]
