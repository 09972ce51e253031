"""Reports for people: `report.write` makes `report.html` with its plots and CSV files, and `model_card.md`, after fit and evaluate.

| module | does |
|---|---|
| `report_data` | reads the run folder into `ReportData`, which every section takes |
| `sections` | orders the page and writes its summary |
| `cohort` `training` `limits` | sections on rows, training (with columns, experiment and versions), and limits |
| `target_results/` | sections on one target: scores, baselines, postprocessing, inputs, subgroups, worst predictions |
| `figures/` | plots in one style, the selection of plots for a target, the diagram of the network |
| `wording` | numbers, times and comparisons in words |
| `blocks` | building blocks of a section: paragraphs, tables, plots |
| `report` `model_card` `csv_tables` | show the sections as HTML and as Markdown, and write all numbers as CSV |
| `pages/` | pages of a group, of a search, of a leaderboard, and of `inspect-data --html` |

A new part of the report is a function that returns a `Section`, called in `sections.sections`. Every text in a block is escaped when
it is rendered; only markup that mmtrain generates is not (`Plot.markup`).
"""
