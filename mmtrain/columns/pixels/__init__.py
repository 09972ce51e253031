"""Columns of images: one, several per row, or the slices of a scan."""
