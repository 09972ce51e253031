"""The Open Inference Protocol, version 2, in JSON: tensors of columns in, tensors of prediction columns out.

Inputs are called as the headers of the table, each of shape (rows,) or (rows, 1). Texts, and images in base64, are BYTES; numbers any other
type. Outputs are the columns of `mmtrain predict --proba`, `status` included; a row that could not be predicted has null in the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmtrain.columns import inputs_among
from mmtrain.serving.refused import Refused
from mmtrain.serving.row_predictor import RowPredictor

DATATYPES = frozenset(["BOOL", "BYTES", "FP16", "FP32", "FP64", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"])
STATUS = "status"


def model_metadata(name: str, version: str, predictor: RowPredictor, outputs: Mapping[str, str]) -> dict[str, Any]:
    """Return the metadata of a model; `outputs` are the datatypes of the columns of its predictions."""
    numbers = {
        header for column in inputs_among(predictor.experiment.columns).values() if column.holds_numbers for header in column.reads()
    }
    inputs = [{"name": header, "datatype": "FP64" if header in numbers else "BYTES", "shape": [-1]} for header in predictor.reader.required]
    shaped = [{"name": column, "datatype": datatype, "shape": [-1]} for column, datatype in outputs.items()]
    return {"name": name, "versions": [version], "platform": "mmtrain", "inputs": inputs, "outputs": shaped}


def request_rows(document: Any) -> list[Mapping[str, Any]]:
    """Return the rows of an inference request. Raises Refused for one that does not follow the protocol."""
    if not isinstance(document, dict) or not isinstance(document.get("inputs"), list):
        raise Refused(
            400, "the request has no list of inputs.", 'Send {"inputs": [{"name": ..., "shape": ..., "datatype": ..., "data": ...}]}.'
        )
    columns: dict[str, list[Any]] = {}
    for number, tensor in enumerate(document["inputs"]):
        name, data = _tensor(number, tensor)
        if name in columns:
            raise Refused(400, f"the input {name[:60]!r} is there twice.", "Send each once.")
        columns[name] = data
    lengths = {len(data) for data in columns.values()}
    if not lengths:
        raise Refused(400, "the list of inputs is empty.", "Send an input for each column.")
    if len(lengths) > 1:
        raise Refused(400, "the inputs have different numbers of rows.", "Send one value of each input for each row.")
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _tensor(number: int, tensor: Any) -> tuple[str, list[Any]]:
    """Return name and values of an input. Raises Refused."""
    if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
        raise Refused(400, f"input {number} has no name.", "Send the header of a column.")
    name = tensor["name"]
    shown = f"the input {name[:60]!r}"
    if "binary_data_size" in (tensor["parameters"] if isinstance(tensor.get("parameters"), dict) else {}):
        raise Refused(400, f"{shown} is binary, which is not read.", "Send its values in `data`.")
    datatype = tensor.get("datatype")
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise Refused(400, f"{shown} has the datatype {str(datatype)[:20]!r}.", f"Send one of {', '.join(sorted(DATATYPES))}.")
    data, shape = tensor.get("data"), tensor.get("shape")
    if not isinstance(data, list):
        raise Refused(400, f"{shown} has no list `data`.", "Send its values, a value for each row.")
    # A nested list of (rows, 1) is that of (rows,).
    values = [one[0] if isinstance(one, list) and len(one) == 1 else one for one in data]
    if not isinstance(shape, list) or shape not in ([len(values)], [len(values), 1]):
        raise Refused(400, f"{shown} has the shape {str(shape)[:40]} and {len(values)} values.", "Its shape is [rows] or [rows, 1].")
    return name, values


def response(
    name: str, version: str, document: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], outputs: Mapping[str, str]
) -> dict[str, Any]:
    """Return the answer to a request, with the outputs that it asks for. Raises Refused for an output that does not exist."""
    # A column such as the rank is there only if the request has the cells that it follows from.
    wanted = [column for column in _wanted(document, outputs) if column in rows[0]]
    shaped = [
        {"name": column, "datatype": outputs[column], "shape": [len(rows)], "data": [row[column] for row in rows]} for column in wanted
    ]
    identity = {"id": document["id"]} if isinstance(document.get("id"), str) else {}
    return {"model_name": name, "model_version": version, **identity, "outputs": shaped}


def _wanted(document: Mapping[str, Any], outputs: Mapping[str, str]) -> list[str]:
    given = document.get("outputs")
    if not given:
        return list(outputs)
    names: list[str] = []
    for name in [one.get("name") if isinstance(one, dict) else None for one in given] if isinstance(given, list) else [None]:
        if not isinstance(name, str) or name not in outputs:
            raise Refused(400, f"there is no output {str(name)[:60]!r}.", "The metadata of the model lists them.")
        names.append(name)
    return names


def datatypes(columns: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, str]:
    """Return the datatype of each column of predictions, and that of `status`."""
    kinds = {name: "FP32" if np.issubdtype(values.dtype, np.floating) else "BYTES" for name, values in columns.items()}
    return {**kinds, STATUS: "BYTES"}
