"""Changes of training rows in the graph: of each image, and of two rows of a batch."""
