"""Sections of the experiment file, one class each; `Experiment` has them all."""
