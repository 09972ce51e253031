"""Exports: a trained model in a form that other programs open.

One file per format, each with what it takes, how far it may be from `predict`, how it is written, and in `runners/` the
program that runs it with nothing but its own runtime. That program is copied beside every export, and it is what checks it.

| format | takes | runs with |
|---|---|---|
| `saved_model` | raw cells, and images as files | TensorFlow |
| `keras` | raw cells, and images as files | Keras and mmtrain |
| `onnx` | encoded inputs | ONNX Runtime |
| `litert` | encoded inputs | LiteRT |
"""

from mmtrain.export import keras, litert, onnx, serving
from mmtrain.export.base import Format as Format
from mmtrain.export.base import export_format as export_format
from mmtrain.export.base import export_formats as export_formats

for _entry in (serving.FORMAT, keras.FORMAT, onnx.FORMAT, litert.FORMAT):
    export_format(_entry)
