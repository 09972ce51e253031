"""Encoded tensors by kind: a branch knows the spec of its input, never a column or a role.

Many column roles fold into few kinds, which keeps roles times architectures from multiplying. A kind is a registered spec class with
the fields of that kind; all that the package asks of a kind stands in its class: shape and type, what an absent value looks like, and
the vector that a dense layer reads.

| kind | tensor of one batch | example |
|---|---|---|
| `vector` | (batch, width) float32 | a number and its missing indicator |
| `index` | (batch, 1) int32 codes, 0 = missing, 1 = unseen | a category |
| `tokens` | (batch, length) int32 ids in reading order, 0 = padding | a text read word by word |
| `bag` | (batch, length) int32 ids, sorted, 0 = padding | a text as TF-IDF |
| `pieces` | (batch, length) int32 ids of a pretrained vocabulary | a text for a pretrained encoder |
| `sequence` | (batch, length, width) float32, zeros behind the last step | a series of measurements |
| `image` | (batch, height, width, channels) uint8 or uint16 | an image |
| `volume` | (batch, depth, height, width, channels) uint8 or uint16 | the slices of a scan |
| `set` | (batch, most, height, width, channels) uint8 or uint16 | several images, in an order without meaning |

    >>> kinds["image"] is ImageSpec
    True
    >>> ImageSpec(height=64, width=48, channels=1).shape
    (64, 48, 1)
"""

from mmtrain.specs.base import Kind as Kind
from mmtrain.specs.base import Tensor as Tensor
from mmtrain.specs.base import TensorSpec as TensorSpec
from mmtrain.specs.base import kind as kind
from mmtrain.specs.base import kinds as kinds
from mmtrain.specs.base import layer_names as layer_names
from mmtrain.specs.codes import BagSpec as BagSpec
from mmtrain.specs.codes import IndexSpec as IndexSpec
from mmtrain.specs.codes import PieceSpec as PieceSpec
from mmtrain.specs.codes import TokenSpec as TokenSpec
from mmtrain.specs.codes import default_embedding_width as default_embedding_width
from mmtrain.specs.pixels import ImageSpec as ImageSpec
from mmtrain.specs.pixels import PixelSpec as PixelSpec
from mmtrain.specs.pixels import Pool as Pool
from mmtrain.specs.pixels import SetSpec as SetSpec
from mmtrain.specs.pixels import VolumeSpec as VolumeSpec
from mmtrain.specs.vectors import FeatureSpec as FeatureSpec
from mmtrain.specs.vectors import NumberEncoding as NumberEncoding
from mmtrain.specs.vectors import SequenceSpec as SequenceSpec
from mmtrain.specs.vectors import VectorSpec as VectorSpec
from mmtrain.specs.vectors import feature_spec as feature_spec
