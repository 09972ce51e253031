"""Command lines of `mmtrain.commands.installation`."""
