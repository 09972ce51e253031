"""What becomes of a split: its file, its calibration rows, its summary, and the order in which training rows are visited."""
