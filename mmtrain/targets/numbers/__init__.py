"""Tasks whose answers are numbers."""
