"""Every layer of ours under its registered name: `import mmtrain.layers.registered`, and Keras opens model.keras."""

import mmtrain.layers.encoding
import mmtrain.layers.network
import mmtrain.layers.pictures  # noqa: F401
