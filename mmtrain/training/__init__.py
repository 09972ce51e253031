"""Training: the loop, the compiled step, stages, checkpoints, callbacks and events."""
