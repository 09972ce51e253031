"""From a file to encoded rows.

| room | holds |
|---|---|
| `tables` | a table, whatever its format: read, checked, in pieces |
| `images` | images, decoded once into a store |
| `splits` | `split.csv`, and a summary of each part |
| `drift` | summaries of training rows, and how later rows differ |
| `encode`, `encoded_column` | from cells to arrays, through the fitted columns |
| `counter_rng` | random numbers and the order of an epoch, as functions of seed, epoch and row |
| `cache` | the folder of stores and encoded columns |
"""
