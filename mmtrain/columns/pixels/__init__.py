"""Columns of images: one, several per row, the slices of a scan, or the spectrogram of a recording."""
