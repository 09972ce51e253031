"""The network in brief, network.json: widths and weights of its parts, and its pretrained encoders."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mmtrain.artifacts.run_schema.run_facts import Model
from mmtrain.result_model import Count


class Sized(Model):
    """A part of the network."""

    width: Count
    """Size of its output vector."""
    parameters: Count
    """Number of trainable weights."""


class BranchEncoder(Model):
    """The pretrained encoder of a branch, or of a column that a branch reads as numbers."""

    model: str
    """Name of the model."""
    sha256: str
    """SHA-256 of the weights' files."""
    design: str = ""
    """Architecture of the network in a line; empty in runs of older versions."""
    frozen: bool
    """False where the training changed its weights."""
    parameters: Count
    """Number of all its weights."""


class BranchInput(Model):
    """Input of a branch."""

    name: str
    kind: str
    shape: list[Count]
    """Without the axis of rows."""
    encoder: BranchEncoder | None = None
    """The frozen encoder that makes numbers of the column."""


class Branch(Sized):
    """A branch."""

    name: str
    architecture: str
    inputs: Annotated[list[BranchInput], Field(min_length=1)]
    encoder: BranchEncoder | None = None

    @property
    def encoders(self) -> dict[str, BranchEncoder]:
        """The encoders by the column that each reads: that of the branch, and those of its columns."""
        known = {} if self.encoder is None else {self.inputs[0].name: self.encoder}
        return known | {one.name: one.encoder for one in self.inputs if one.encoder is not None}


class Fusion(Sized):
    """The fusion."""

    method: str


class Target(Sized):
    """A target."""

    name: str
    task: str


class Network(Model):
    """The network in brief."""

    branches: Annotated[list[Branch], Field(min_length=1)]
    fusion: Fusion
    targets: Annotated[list[Target], Field(min_length=1)]
    auxiliary_heads: dict[str, Count] | None = None
    """By branch: trainable weights of the heads by which it also predicts alone in training; they are in no count of the other parts."""

    @property
    def encoders(self) -> dict[str, BranchEncoder]:
        """The encoders by the column that each reads."""
        return {column: encoder for branch in self.branches for column, encoder in branch.encoders.items()}
