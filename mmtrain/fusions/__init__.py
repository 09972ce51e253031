"""Fusions: the feature vectors of all branches to one vector. Importing a module here registers its methods."""

from mmtrain.fusions import attending as attending
from mmtrain.fusions import elementwise as elementwise
from mmtrain.fusions import gating as gating
from mmtrain.fusions import products as products
from mmtrain.fusions.base import AnyFusion as AnyFusion
from mmtrain.fusions.base import FusionSection as FusionSection
from mmtrain.fusions.base import fusion as fusion
from mmtrain.fusions.base import fusions as fusions
