"""What `inspect-data` finds: faults of a table and of its pictures that spoil a study.

Two floors: facts of the rows, read in one pass, and families of findings on them. A family is one function of facts that gives
findings; `table` and `pictures` call them all.

| facts | |
|---|---|
| `cells` | the cells of every column as fingerprints and numbers; `dates`, `scripts` read those of a kind |
| `cohort` | part, group and class of every row |
| `answers` | the targets, without the test part |
| `unused` | columns that the experiment does not use, but that say something of its rows |
| `significance` | tests of a difference, corrected for their number |
| `foretold` | how well one column alone foretells the answer |

| families on a table | |
|---|---|
| `copies` | the same row or text twice |
| `equal_columns` | the same column twice |
| `sides` | groups on two sides, parts that look back in time |
| `leaks` | columns, ids and empty cells that tell the answer |
| `classes` | rare and unseen classes and categories |
| `inputs` | constants, ids, outliers, mixed types; `units`: two units in one column |
| `texts` | texts without words, boilerplate, other scripts, telling words |
| `shift` | columns that differ between given parts |

`pictures` lists the modules of pictures. `policies` counts what becomes of empty cells; `finding` is what all of them give.
"""

from mmtrain.data.findings.finding import Finding, Level

__all__ = ["Finding", "Level"]
