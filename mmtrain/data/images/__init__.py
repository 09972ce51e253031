"""Images of a column: found, decoded once into a store, gathered by row."""
