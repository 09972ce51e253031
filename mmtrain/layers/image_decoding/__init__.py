"""Image files to pixels inside a TensorFlow graph, so that a saved or exported model takes images as they are.

The rules are those of `mmtrain.image_decoding`, and so are the pixels, to the bit in every test; one level is what may be
relied on. Nothing here runs while a model is trained, which takes its images from the image store.

| module | does |
|---|---|
| `byte_reader` | whole numbers out of bytes, and the header of a file |
| `exif` | the orientation, and turning an image by it |
| `jpeg` `png` `bmp` `gif` `webp` | header and pixels of one format, with what TensorFlow's decoder lacks |
| `decode` | any format to pixels in the layout's channels |
| `colour` | transparency and grey |
| `resize` | stretch, crop or pad |
| `window` | samples to levels of brightness |
| `pixels_layer` | `EncodePixels`: pixels that were decoded elsewhere |
| `decode_image_layer` | `EncodeImage`: all of it, for a batch |

What is damaged is refused here and there, by the rules of `mmtrain.image_decoding.format_rules`; a slow test breaks thousands of files
for that.
"""

from mmtrain.layers.image_decoding.decode_image_layer import OK as OK
from mmtrain.layers.image_decoding.decode_image_layer import STATUS as STATUS
from mmtrain.layers.image_decoding.decode_image_layer import EncodeImage as EncodeImage
from mmtrain.layers.image_decoding.decode_image_layer import EncodeImages as EncodeImages
from mmtrain.layers.image_decoding.pixels_layer import EncodePixels as EncodePixels
