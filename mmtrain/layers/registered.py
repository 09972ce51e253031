"""Every layer of ours under its registered name, by which model.keras calls it; see `mmtrain.with_keras`."""
