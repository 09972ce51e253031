"""The network, assembled from branches, a fusion and heads."""
