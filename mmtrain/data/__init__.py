"""The table: read and checked, split, encoded; and the image store."""
