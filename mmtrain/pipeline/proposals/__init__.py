"""Proposals for experiments: what `init` writes, what presets set, and the speed of encoders at hand."""
