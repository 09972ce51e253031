"""The section `augment` of images."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mmtrain.registry import Section


class Augment(Section):
    """Random changes to the images of training rows, new in every epoch; never applied to validation or test rows."""

    flip: Literal["none", "horizontal", "vertical", "both"] = Field("none", description="Mirror each image with probability one half.")
    rotate: float = Field(0.0, ge=0, le=180, description="Turn by up to this many degrees either way.")
    shift: float = Field(0.0, ge=0, lt=1, description="Move by up to this share of the width and of the height.")
    zoom: float = Field(0.0, ge=0, lt=1, description="Enlarge or shrink by up to this share.")
    brightness: float = Field(0.0, ge=0, lt=1, description="Add up to this share of full brightness, or take it away.")
    contrast: float = Field(0.0, ge=0, lt=1, description="Stretch or flatten the contrast by up to this share.")

    color: float = Field(
        0.0, ge=0, lt=1, description="Multiply red, green and blue, each with a factor of its own, by up to this share more or less."
    )
    erase: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Cover a rectangle of every other image with grey, with sides of up to this share of the image's "
        "(random erasing, Zhong et al. 2020, arXiv:1708.04896).",
    )
    shear: float = Field(0.0, ge=0, lt=90, description="Slant sideways by up to this many degrees either way.")
    channel_shift: float = Field(
        0.0, ge=0, lt=1, description="Add up to this share of full brightness to each channel, or take it away, to each another."
    )
    fill: Literal["nearest", "reflect", "wrap", "constant"] = Field(
        "nearest",
        description="What moves in from beyond the edge. nearest: the edge itself; reflect: the mirrored image; wrap: its other side; "
        "constant: `fill_value`.",
    )
    fill_value: float = Field(0.0, ge=0, le=1, description="Brightness of `fill: constant`, 0 black to 1 white.")
    policy: Literal["none", "rand_augment", "trivial_augment"] = Field(
        "none",
        description="Changes drawn from a list, besides the others. rand_augment: `operations` ones of strength `magnitude` (Cubuk et al. "
        "2020, arXiv:1909.13719); trivial_augment: one of random strength (Müller and Hutter 2021, arXiv:2103.10158). Both without "
        "equalizing histograms.",
    )
    operations: int = Field(2, ge=1, le=8, description="Changes to an image by `policy: rand_augment`.")
    magnitude: int = Field(9, ge=0, le=30, description="Their strength, 0 to 30.")

    @property
    def changes_images(self) -> bool:
        """Return whether anything is changed at all."""
        return self.moves or self.recolours

    @property
    def moves(self) -> bool:
        """Return whether pixels change their place."""
        return self.flip != "none" or max(self.rotate, self.shift, self.zoom, self.shear) > 0 or self.policy != "none"

    @property
    def recolours(self) -> bool:
        """Return whether pixels change their value."""
        return max(self.brightness, self.contrast, self.color, self.erase, self.channel_shift) > 0 or self.policy != "none"
