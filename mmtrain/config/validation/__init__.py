"""Validation of the tree of an experiment: rules between sections, and messages for every mistake at once."""
