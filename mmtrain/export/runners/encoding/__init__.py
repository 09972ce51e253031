"""Encoders of `encode.py`, one module for each role of a column; an export has those of its columns.

`encoder(column, context)` takes the entry of a column in columns.json, and returns a function from the cells of a row, one for each header,
and the folder of the images to the encoded values and their presence. They import nothing of mmtrain but each other.
"""
