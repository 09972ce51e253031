"""Answers to requests: a run, or several, behind HTTP.

`row_predictor` predicts plain rows (dictionaries) to the bit as `mmtrain predict` does, without frames, files and statistics on the way.
`batcher` puts the rows of many requests into one call of the network. In `http/`, `app` has the addresses, and `server` starts and stops
it.
"""
