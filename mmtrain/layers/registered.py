"""Every layer of ours under its registered name, by which model.keras calls it; see `mmtrain.with_keras`."""

import mmtrain.layers.encoding
import mmtrain.layers.image_decoding
import mmtrain.layers.network  # noqa: F401
