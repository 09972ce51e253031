"""Base of layers that are restored from a few plain settings."""

from __future__ import annotations

from typing import Any

import keras


class ConfiguredLayer(keras.layers.Layer):  # type: ignore[misc]
    """Base of layers whose config is `settings`, plain JSON: the arguments that a subclass adds to those of Keras.

    They are positional only, so that the config in a model file, which is passed by name, cannot hold any.
    """

    def __init__(self, settings: dict[str, Any] | None = None, /, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.settings = settings or {}

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, plain JSON."""
        return {**super().get_config(), **self.settings}
