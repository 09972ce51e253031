"""Updates of weights: parameter groups and their learning rates, stages, and the balance of gradients between branches."""
