"""Attributions: what in a row speaks for an answer of the trained network, and how much.

| module | does |
|---|---|
| `explained_output` | which raw value of the network is explained |
| `hooks` | opens the network where its inputs become real numbers |
| `integrated_gradients` | integrated gradients along the way from a baseline to the row, and how complete they are |
| `grad_cam` | where in an image a convolutional branch looks |
| `baseline` | what a row is compared with |
| `explainer` | one row after the other |
| `column_attributions` | attributions by column, word and region of an image |
| `attribution` | what is found of a row, as plain values |
| `row_selection` | which rows are worth explaining |
| `figure` `heatmaps` `token_plot` | an image per row |
| `files` | tables of all rows |

Explained is the raw value of a target: of a class its logit, which adds up, and not its probability, which does not; of a
regression the number in its unit.
"""
