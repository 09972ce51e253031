"""Sections on one target: scores, baselines, postprocessing, inputs, subgroups and worst predictions."""
