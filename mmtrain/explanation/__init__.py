"""Explanation of single predictions: how much each column, word and image region of a row contributes to an output of the network.

| module | does |
|---|---|
| `selection` | selects the rows to explain, and the raw output of the network that is explained |
| `hooks` | puts hooks into the network where its inputs become real numbers |
| `gradients` | integrated gradients, with their completeness error, and Grad-CAM |
| `attribution` | attributions by column, word and region of an image, as plain values |
| `explainer` | explains one row after the other, relative to a baseline |
| `figure` `heatmaps` `token_plot` | draw a figure per row |
| `files` | writes tables of all rows |

The explained output is the raw value of a target: the logit of a class, to which attributions can add up, instead of its probability; for
a regression the number in its unit.
"""
