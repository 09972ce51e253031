"""Several processes that share one training: sums of losses and gradients, and what they have to agree on."""
