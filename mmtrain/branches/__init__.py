"""Branch architectures: columns to features. To add one, write a function with `@branch` and import it here."""

from mmtrain.branches.base import AnyBranch as AnyBranch
from mmtrain.branches.base import Architecture as Architecture
from mmtrain.branches.base import Branch as Branch
from mmtrain.branches.base import Features as Features
from mmtrain.branches.base import Input as Input
from mmtrain.branches.base import Inputs as Inputs
from mmtrain.branches.base import Stacked as Stacked
from mmtrain.branches.base import architectures as architectures
from mmtrain.branches.base import branch as branch
from mmtrain.branches.base import default_architecture as default_architecture
from mmtrain.branches.base import stacked as stacked
from mmtrain.branches.cnn import cnn as cnn
from mmtrain.branches.deep_tables import dcn as dcn
from mmtrain.branches.deep_tables import realmlp as realmlp
from mmtrain.branches.deep_tables import resnet as resnet
from mmtrain.branches.dense import linear as linear
from mmtrain.branches.dense import mlp as mlp
from mmtrain.branches.embedding_average import embedding_average as embedding_average
from mmtrain.branches.ft_transformer import ft_transformer as ft_transformer
from mmtrain.branches.image_resnet import image_resnet as image_resnet
from mmtrain.branches.tabm import tabm as tabm
from mmtrain.branches.text_networks import text_cnn as text_cnn
from mmtrain.branches.text_networks import text_gru as text_gru
from mmtrain.branches.text_networks import text_transformer as text_transformer
from mmtrain.branches.vit import vit as vit
