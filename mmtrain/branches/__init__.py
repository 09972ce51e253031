"""Branch architectures: columns to one feature vector. To add one, write a function with `@branch` and import it here."""

from mmtrain.branches.base import AnyBranch as AnyBranch
from mmtrain.branches.base import Architecture as Architecture
from mmtrain.branches.base import Branch as Branch
from mmtrain.branches.base import architectures as architectures
from mmtrain.branches.base import branch as branch
from mmtrain.branches.cnn import cnn as cnn
from mmtrain.branches.dense import linear as linear
from mmtrain.branches.dense import mlp as mlp
from mmtrain.branches.embedding_average import embedding_average as embedding_average
from mmtrain.specs import Kind

DEFAULTS: dict[Kind, str] = {"image": "cnn", "vector": "mlp", "index": "mlp", "bag": "mlp", "tokens": "embedding_average"}
"""The architecture of a branch that names none, by the kind of its first column."""
