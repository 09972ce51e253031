"""Architectures for texts."""
