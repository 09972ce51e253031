"""Checks for leakage: columns, texts, rows or splits that give the target away."""
