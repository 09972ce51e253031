"""From a file to encoded rows.

| room | holds |
|---|---|
| `tables` | a table, whatever its format: read, checked, in pieces |
| `images` | images, decoded once into a store |
| `splits` | `split.csv`, calibration rows, what each part holds, and the order in which rows are visited |
| `drift` | what training rows look like, and how later rows differ |
| `encode`, `encoded_column` | from cells to arrays, through the fitted columns |
| `counter_rng` | random numbers as functions of seed, epoch and row |
| `cache` | the folder of stores and encoded columns |
"""
