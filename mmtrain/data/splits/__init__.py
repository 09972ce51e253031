"""A split after it was planned: its file, its calibration rows, its summary, and the order in which training rows are visited."""
