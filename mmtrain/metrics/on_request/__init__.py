"""Metrics that a target has where its option `extra_metrics` names them, next to those of its task.

`declared.py` lists them; the functions that compute them import NumPy, which the experiment file does without.
"""
