"""Predictions of a table by a trained run: what is read, the predictor, and columns that follow from other rows."""
