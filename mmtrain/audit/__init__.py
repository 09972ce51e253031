"""What `inspect-data` finds: faults of a table and of its pictures that spoil a study.

Two floors: facts of the rows, read in one pass, and families of findings on them. A family is one function of facts that gives
findings; `table` and `pictures` call them all.

| facts | |
|---|---|
| `uses` | what each column is for |
| `cells` | the cells of every column as fingerprints and numbers; `dates`, `scripts` read those of a kind |
| `cohort` | part, group and class of every row |
| `labels` | which rows have which class or label |
| `answers` | the targets as questions: one answer, or one for each label; without the test part |
| `unused` | columns that the experiment does not use, but that say something of its rows |
| `significance` | tests of a difference, corrected for their number |
| `foretold` | how well one column alone foretells the answer |

| families on a table | |
|---|---|
| `copies` | the same row or text twice |
| `redundant_columns` | the same column twice |
| `sides` | groups on two sides, parts that look back in time |
| `leaks` | columns that tell the answer; `orders`: ids that do, `holes`: empty cells that do |
| `classes` | rare classes and labels |
| `categories` | rare and unseen categories |
| `inputs` | constants, ids, outliers, mixed types; `units`: two units in one column |
| `texts` | texts without words, boilerplate, other scripts, telling words and numbers |
| `shift` | columns that differ between given parts |

`pictures` lists the modules of pictures. `policies` counts what becomes of empty cells; `finding` is what all of them give.
"""

from mmtrain.audit.finding import Finding, Level

__all__ = ["Finding", "Level"]
