"""Reports a person reads: `report.write` makes `report.html` with its plots and CSV files, and `model_card.md`, after fit and evaluate.

`report_data` reads the run folder. `wording` puts numbers into words, `plots` draws, `plot_style` has the one style and saves,
`plot_selection` says which plots a target gets, `diagram` draws the network. `sections` has the order of the page; the sections
themselves are made out of `blocks` by `cohort`, `training`, `results` (with `baselines`, `decisions`, `input_importance` and
`subgroups`), `worst_predictions`, `limits` and `background`. `report.html` with `report.css` shows blocks, `model_card.md` the same
blocks in Markdown, `csv_tables` writes them in full.

A new part of the report is a function that returns a `Section`, and its place in `sections.sections`. Every text in a block is
escaped where it is shown; what is markup is made by us (`Plot.markup`).
"""
