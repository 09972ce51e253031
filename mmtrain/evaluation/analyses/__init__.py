"""Analyses of predictions next to the scores: importance, subgroups, missing inputs, worst rows."""
