"""A table that nobody has described yet: what is in its columns, and what they are probably for."""
