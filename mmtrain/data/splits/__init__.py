"""Which rows belong to which part, and in which order they are visited."""
