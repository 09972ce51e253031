"""Architectures for numbers and categories, with the encodings that they share."""
