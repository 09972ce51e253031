"""Scores of classes, levels and labels."""
