"""Exports: a trained model in a form that other programs open.

One file per format: its inputs, its tolerance against `predict`, and the function that writes it. `runners/` has a program for each
format, which needs nothing but the format's own runtime. It is copied next to every export, and the check of the export runs it.

| format | takes | runs with |
|---|---|---|
| `saved_model` | raw cells, and images as files | TensorFlow |
| `keras` | raw cells, and images as files | Keras and mmtrain |
| `onnx` | encoded inputs | ONNX Runtime |
| `litert` | encoded inputs | LiteRT |
| `hub` | raw cells, and images as files | Keras and mmtrain |
"""

from mmtrain.export import hub, keras, litert, onnx, serving
from mmtrain.export.base import Format as Format
from mmtrain.export.base import export_format as export_format
from mmtrain.export.base import export_formats as export_formats

for _entry in (serving.FORMAT, keras.FORMAT, onnx.FORMAT, litert.FORMAT, hub.FORMAT):
    export_format(_entry)
