"""Checks of a table and its images for what would spoil a study: what `inspect-data` finds.

Facts of the rows are read once; a check is a function from facts to findings. `checks` and `images.checks` call them all.

| module | holds |
|---|---|
| `column_usage` | what each column is for |
| `coded_table` | the cells of a table as codes of their different values, read once |
| `column_values` | the cells of every column as fingerprints and numbers; `read_values` reads them |
| `pairs` | distinct pairs of codes, codes with several values |
| `ranked_numbers` | the numbers of a column, sorted once |
| `row_metadata` | split, group and class of every row |
| `label_index` | which rows have which class or label |
| `target_view` | the targets as binary or numeric questions, without the test rows |
| `hypothesis_tests` | tests of a difference, corrected for their number (Holm) |
| `finding` | what every check gives |

| folder | checks |
|---|---|
| `leakage/` | columns, texts, orders, empty cells, duplicate rows and splits that give the target away; shifts between splits |
| `quality/` | class balance, rare categories, constants, ids, outliers, units, texts, spellings, dates |
| `images/` | damaged, duplicate and badly exposed images, and files that give the target away |
| `profiling/` | what is in a table that nobody has described yet, and which roles its columns probably have |
"""

from mmtrain.audit.finding import Finding, Level

__all__ = ["Finding", "Level"]
