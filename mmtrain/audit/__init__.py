"""Audit of a table and its images: faults that would invalidate a study, as `inspect-data` reports them.

The values of a table are read once; a check is a function from values to findings. `checks` and `images.checks` call all of them.

| module | holds |
|---|---|
| `column_usage` | role and purpose of each column |
| `coded_table` | the cells of a table as codes of their different values, read once |
| `column_values` | the cells of every column as fingerprints and numbers; `read_values` reads them |
| `pairs` | distinct pairs of codes, codes with several values |
| `ranked_numbers` | the numbers of a column, sorted once |
| `row_metadata` | part of the split, group and class of every row |
| `label_index` | rows of each class or label |
| `target_view` | the targets as binary or numeric questions, without the test rows |
| `hypothesis_tests` | tests of a difference, corrected for their number (Holm) |
| `finding` | the result of a check |

| folder | checks |
|---|---|
| `leakage/` | columns, texts, orders, empty cells, duplicate rows and splits that reveal the target; shifts between parts |
| `quality/` | class balance, rare categories, constants, ids, outliers, units, texts, spellings, dates |
| `images/` | damaged, duplicate and badly exposed images, and files that reveal the target |
| `profiling/` | contents of an undescribed table, and the probable roles of its columns |
"""

from mmtrain.audit.finding import Finding, Level

__all__ = ["Finding", "Level"]
