"""Baselines of scikit-learn on the columns of a table: gradient boosting and a linear model."""
