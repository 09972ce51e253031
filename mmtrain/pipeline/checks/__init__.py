"""Checks before a command does its work: experiment and data, packages and callbacks, subgroups, labels of a scored table."""
