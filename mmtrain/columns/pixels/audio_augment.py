"""The section `augment` of recordings."""

from __future__ import annotations

from pydantic import Field, model_validator

from mmtrain.registry import Section


class AudioAugment(Section):
    """Random changes to the spectrograms of training rows, new in every epoch; never applied to validation or test rows.

    A spectrogram is neither mirrored nor turned, which would make it another sound. Masks are those of SpecAugment (Park et al. 2019,
    arXiv:1904.08779).
    """

    shift: float = Field(0.0, ge=0, lt=1, description="Move by up to this share of `seconds`, earlier or later; silence moves in.")
    noise: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Add normal noise to the decibels, with a standard deviation of up to this share of the range from black to white.",
    )
    time_mask: float = Field(0.0, ge=0, lt=1, description="Cover up to this share of the time with the mean of the spectrogram.")
    time_masks: int = Field(1, ge=1, le=8, description="How often, each time in another place.")
    frequency_mask: float = Field(0.0, ge=0, lt=1, description="Cover up to this share of the bands with the mean of the spectrogram.")
    frequency_masks: int = Field(1, ge=1, le=8, description="How often, each time in another place.")

    @model_validator(mode="after")
    def _masks_have_a_width(self) -> AudioAugment:
        for one in ("time_mask", "frequency_mask"):
            # A run's config.yaml has every value, the defaults included.
            if dict(self)[f"{one}s"] > 1 and not dict(self)[one]:
                raise ValueError(f"`{one}s` has no effect without `{one}`, the share that each covers. Set `{one}: 0.2`, for example.")
        return self

    @property
    def changes_sounds(self) -> bool:
        """Return whether anything is changed at all."""
        return max(self.shift, self.noise, self.time_mask, self.frequency_mask) > 0
