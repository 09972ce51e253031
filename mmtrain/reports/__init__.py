"""Reports a person reads: `report.write` makes `report.html` and `plots/*.png` of a run.

`contents` reads the run folder, `words` puts numbers into words, `plots` draws, `drawing` has the one style and saves,
`cohort`, `training`, `results` and `background` make the sections out of `blocks`, and `report.html` with `report.css` shows blocks. What
`results` has of each target comes from `baselines`, `decisions`, `inputs`, `subgroups` and `most_wrong`.
A new part of the report is a function that returns a `Section`, and its place in `report.sections`.
"""
