"""Events of a training, and what listens to them: users' callbacks and TensorBoard."""
