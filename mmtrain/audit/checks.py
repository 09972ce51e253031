"""Registry of the checks of a table's values.

A check is a function `(values, rows) -> list[Finding]`: `values` are the columns as the experiment reads them, `rows` say which
row belongs to which split and group. In a file of your own:

    >>> @audit_check
    ... def impossible_ages(values, rows):
    ...     ages = next((column.numbers for column in values.columns if column.header == "age"), None)
    ...     if ages is None or not (ages > 120).any():
    ...         return []
    ...     return [Finding("warning", "impossible_ages", "age", "ages above 120.", "They are typing errors.", "Correct them.")]
    >>> "impossible_ages" in audit_checks
    True
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
from mmtrain.registry import Registry

AuditCheck = Callable[[TableValues, RowMetadata], Sequence[Finding]]

audit_checks: Registry[AuditCheck] = Registry("audit check")


def audit_check(function: AuditCheck) -> AuditCheck:
    """Register a function as an audit check of its name. Raises ValueError when the name is taken."""
    return audit_checks.add(function.__name__, function)


# Findings of one level are shown in this order.
for _check in (
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
):
    audit_check(_check)


def table_findings(values: TableValues, rows: RowMetadata) -> list[Finding]:
    """Return the findings of all registered checks."""
    return [finding for _, check in audit_checks.items() for finding in check(values, rows)]
