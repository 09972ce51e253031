"""Command lines of `mmtrain.commands.comparison`."""
