"""Command lines of `mmtrain.commands.deployment`."""
