"""Fitted columns and what they learn: words, hashes, pieces, transforms of numbers, cycles of dates."""
