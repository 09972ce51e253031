"""Import of all our layers, which registers the names that model.keras uses; see `mmtrain.with_keras`."""
