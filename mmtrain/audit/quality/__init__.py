"""Checks of data quality: class balance, missing values, units, dates, texts and categories."""
