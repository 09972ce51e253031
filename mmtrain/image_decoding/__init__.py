"""One image file to one array of pixels, upright and right, or a refusal in words.

| module | does |
|---|---|
| `decoded_image` | the data classes: `ImageHeader`, `Layout`, `UnreadableImage` |
| `image_source` | path -> bytes and their format, by the first bytes and never by the file's name |
| `unsupported_formats` | formats that are not read, by their first bytes and endings, and what to do with such files |
| `containers` | bytes -> the parts of the file that decide its pixels |
| `header` | `inspect`: size, mode, bits and orientation, no pixel decoded |
| `colour` | any mode of Pillow's -> grey, colour, or colour and alpha |
| `window` | samples of more depth than a screen shows -> levels of brightness |
| `lay_out` | an image of Pillow's -> pixels |
| `formats/` | formats that an exported graph cannot decode: TIFF, AVIF, HEIC, DICOM, NIfTI |
| `folder_content` | a folder of DICOM files as bytes |
| `resize` | stretch, crop or pad, in whole numbers that an exported graph can repeat |
| `read` | `read`: all of it |

Decided here: of an animation the first frame is the image. Embedded colour profiles are not applied, as TensorFlow does
not apply them either. Only EXIF turns an image, not XMP. Everything may be called from many threads.
"""

from mmtrain.image_decoding.decoded_image import FORMATS as FORMATS
from mmtrain.image_decoding.decoded_image import MAX_PIXELS as MAX_PIXELS
from mmtrain.image_decoding.decoded_image import ImageHeader as ImageHeader
from mmtrain.image_decoding.decoded_image import Layout as Layout
from mmtrain.image_decoding.decoded_image import UnreadableImage as UnreadableImage
from mmtrain.image_decoding.decoded_image import Window as Window
from mmtrain.image_decoding.header import inspect as inspect
from mmtrain.image_decoding.read import read as read
