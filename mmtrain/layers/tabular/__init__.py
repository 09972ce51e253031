"""Layers for tables. Each treats all columns at once, padded where columns differ: operations do not grow with the number of columns."""
