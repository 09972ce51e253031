"""Pretrained networks, from local files. To add a family, write a class with `@family` in a module and import it here."""

from mmtrain.encoders.base import Built as Built
from mmtrain.encoders.base import Encoder as Encoder
from mmtrain.encoders.base import Family as Family
from mmtrain.encoders.base import Slot as Slot
from mmtrain.encoders.base import families as families
from mmtrain.encoders.base import family as family
from mmtrain.encoders.bert import Bert as Bert
from mmtrain.encoders.clip import ClipImage as ClipImage
from mmtrain.encoders.clip import ClipText as ClipText
from mmtrain.encoders.convnext import ConvNeXt as ConvNeXt
from mmtrain.encoders.dinov3 import DinoV3 as DinoV3
from mmtrain.encoders.efficientnet import EfficientNet as EfficientNet
from mmtrain.encoders.keras_applications import KerasApplications as KerasApplications
from mmtrain.encoders.loading import Recognized as Recognized
from mmtrain.encoders.loading import find_weights as find_weights
from mmtrain.encoders.loading import identify as identify
from mmtrain.encoders.loading import load_encoder as load_encoder
from mmtrain.encoders.loading import model_folders as model_folders
from mmtrain.encoders.loading import models_at_hand as models_at_hand
from mmtrain.encoders.loading import open_checkpoint as open_checkpoint
from mmtrain.encoders.loading import recognize as recognize
from mmtrain.encoders.mobilenetv3 import MobileNetV3 as MobileNetV3
from mmtrain.encoders.open_clip import OpenClipImage as OpenClipImage
from mmtrain.encoders.open_clip import OpenClipText as OpenClipText
from mmtrain.encoders.resnet import ResNet as ResNet
from mmtrain.encoders.vit import ViT as ViT
