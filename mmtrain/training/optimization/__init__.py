"""Updates of weights: parameter groups and their learning rates, stages, the balance of gradients between branches, and
penalized linear regression.
"""
