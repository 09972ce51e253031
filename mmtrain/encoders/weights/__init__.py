"""Weights of pretrained networks: files of safetensors, PyTorch and Keras, and the checkpoint that they make up."""

from mmtrain.encoders.weights.checkpoint import CONTAINERS as CONTAINERS
from mmtrain.encoders.weights.checkpoint import Checkpoint as Checkpoint
