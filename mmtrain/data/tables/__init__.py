"""Tables as files and in memory: what each format gives, what is wrong with a cell, rows piece by piece."""
