"""Every family of findings on the cells of a table."""

from __future__ import annotations

from mmtrain.data.findings.categories import categories
from mmtrain.data.findings.cells import Sheet
from mmtrain.data.findings.classes import classes
from mmtrain.data.findings.cohort import Cohort
from mmtrain.data.findings.copies import copies
from mmtrain.data.findings.equal_columns import equal_columns
from mmtrain.data.findings.finding import Finding
from mmtrain.data.findings.inputs import inputs
from mmtrain.data.findings.leaks import leaks
from mmtrain.data.findings.shift import shift
from mmtrain.data.findings.sides import sides
from mmtrain.data.findings.spellings import spellings
from mmtrain.data.findings.texts import texts

FAMILIES = (copies, equal_columns, sides, spellings, leaks, classes, categories, inputs, texts, shift)
"""In the order in which findings of one level are told."""


def table_findings(sheet: Sheet, cohort: Cohort) -> list[Finding]:
    """Everything that the cells, the answers and the parts say."""
    return [finding for family in FAMILIES for finding in family(sheet, cohort)]
