"""Scores of a part, and the baselines beside them."""
