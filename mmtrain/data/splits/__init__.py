"""A split after it was planned: its file and its summary."""
