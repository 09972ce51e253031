"""From a file to encoded rows, and what is found in them on the way.

| room | holds |
|---|---|
| `tables` | a table, whatever its format: read, checked, in pieces |
| `pictures` | pictures, decoded once into a store |
| `splits` | `split.csv`, calibration rows, what each part holds, and the order in which rows are visited |
| `surveys` | what is in a table that nobody has described yet |
| `findings` | faults that spoil a study |
| `changes` | what training rows look like, and how later rows differ |
| `encode`, `encoded_column` | from cells to arrays, through the fitted columns |
| `chances` | numbers that look like chance, as functions |
| `cache` | the folder of stores and encoded columns |
| `archive`, `manifest` | a packed run: what may be in it, and that it is whole |
"""
