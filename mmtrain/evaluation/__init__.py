"""Scores of a part with confidence intervals, next to baselines, and further analyses."""
