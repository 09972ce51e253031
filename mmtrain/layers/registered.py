"""Every layer of ours under its registered name, by which model.keras calls it; see `mmtrain.with_keras`."""

import mmtrain.layers.encoding
import mmtrain.layers.network
import mmtrain.layers.pictures  # noqa: F401
