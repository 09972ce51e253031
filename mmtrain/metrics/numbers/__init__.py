"""Scores of numbers: means, quantiles, distributions, counts and vectors."""
