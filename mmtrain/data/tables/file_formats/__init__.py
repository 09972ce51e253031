"""Formats of table files: text with separators, Parquet, JSON Lines, Excel, and DataFrames in memory."""
