"""Tiny text encoders in their published format, with random weights, and what they compute by a reference in NumPy."""

import json
import math
import struct

import numpy as np

WIDTH, HEADS, INNER, VOCABULARY, POSITIONS = 8, 2, 12, 11, 9
BERT = {
    "model_type": "bert",
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": HEADS,
    "intermediate_size": INNER,
    "max_position_embeddings": POSITIONS,
    "type_vocab_size": 2,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
}
ROBERTA = {**BERT, "model_type": "roberta", "pad_token_id": 1, "type_vocab_size": 1, "layer_norm_eps": 1e-5}
DISTILBERT = {
    "model_type": "distilbert",
    "vocab_size": VOCABULARY,
    "dim": WIDTH,
    "n_layers": 2,
    "n_heads": HEADS,
    "hidden_dim": INNER,
    "max_position_embeddings": POSITIONS,
    "activation": "gelu",
    "pad_token_id": 0,
}
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "dress", "##es", "the", "fit", "a"]
BERT_NAMES = (
    ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"),
    ("attention.output.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm"),
    "encoder.layer",
)
DISTILBERT_NAMES = (
    ("attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin"),
    ("sa_layer_norm", "ffn.lin1", "ffn.lin2", "output_layer_norm"),
    "transformer.layer",
)


def names_of(config):
    return DISTILBERT_NAMES if config["model_type"] == "distilbert" else BERT_NAMES


def write_safetensors(path, arrays):
    """The published format: length of the table, table, numbers."""
    table, numbers, place = {}, [], 0
    for name, values in arrays.items():
        numbers.append(np.ascontiguousarray(values, dtype="<f4").tobytes())
        table[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [place, place + len(numbers[-1])]}
        place += len(numbers[-1])
    head = json.dumps(table).encode()
    path.write_bytes(b"".join([struct.pack("<Q", len(head)), head, *numbers]))


def checkpoint(config=BERT, norm=("weight", "bias"), seed=3):
    """Random arrays under the names of the published format."""
    dice = np.random.default_rng(seed)
    attention, (first_norm, inner, outer, last_norm), blocks = names_of(config)
    arrays = {
        "embeddings.word_embeddings.weight": dice.normal(size=(VOCABULARY, WIDTH)),
        "embeddings.position_embeddings.weight": dice.normal(size=(POSITIONS, WIDTH)),
    }
    if segments := config.get("type_vocab_size"):
        arrays["embeddings.token_type_embeddings.weight"] = dice.normal(size=(segments, WIDTH))

    def add_norm(name):
        arrays[f"{name}.{norm[0]}"], arrays[f"{name}.{norm[1]}"] = 1 + 0.1 * dice.normal(size=WIDTH), dice.normal(size=WIDTH)

    def add_dense(name, units, width):
        arrays[f"{name}.weight"], arrays[f"{name}.bias"] = dice.normal(size=(units, width)), dice.normal(size=units)

    add_norm("embeddings.LayerNorm")
    for number in range(2):
        start = f"{blocks}.{number}."
        for name in attention:
            add_dense(start + name, WIDTH, WIDTH)
        add_norm(start + first_norm)
        add_dense(start + inner, INNER, WIDTH)
        add_dense(start + outer, WIDTH, INNER)
        add_norm(start + last_norm)
    return {name: values.astype(np.float32) for name, values in arrays.items()}


def last_states(config, arrays, ids, norm=("weight", "bias")):
    """The vectors of all pieces (batch, length, width) in float64, and which are no padding; written after the papers."""
    (query, key, value, mixed), (first_norm, inner, outer, last_norm), blocks = names_of(config)
    arrays = {name: values.astype(np.float64) for name, values in arrays.items()}
    ids = np.array(ids)
    known = ids != config["pad_token_id"]
    positions = np.broadcast_to(np.arange(ids.shape[1]), ids.shape)
    if config["model_type"] == "roberta":
        positions = np.cumsum(known, axis=1) * known + config["pad_token_id"]

    def dense(name, values):
        return values @ arrays[f"{name}.weight"].T + arrays[f"{name}.bias"]

    def normalized(name, values):
        centred = values - values.mean(-1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + config.get("layer_norm_eps", 1e-12))
        return centred / deviation * arrays[f"{name}.{norm[0]}"] + arrays[f"{name}.{norm[1]}"]

    def heads(values):
        return values.reshape(*ids.shape, HEADS, WIDTH // HEADS).transpose(0, 2, 1, 3)

    states = arrays["embeddings.word_embeddings.weight"][ids] + arrays["embeddings.position_embeddings.weight"][positions]
    if "embeddings.token_type_embeddings.weight" in arrays:
        states = states + arrays["embeddings.token_type_embeddings.weight"][0]
    states = normalized("embeddings.LayerNorm", states)
    for number in range(2):
        start = f"{blocks}.{number}."
        scores = heads(dense(start + query, states)) @ heads(dense(start + key, states)).transpose(0, 1, 3, 2) / math.sqrt(WIDTH // HEADS)
        scores = np.exp(np.where(known[:, None, None, :], scores, -np.inf))
        attended = (scores / scores.sum(-1, keepdims=True)) @ heads(dense(start + value, states))
        attended = attended.transpose(0, 2, 1, 3).reshape(*ids.shape, WIDTH)
        states = normalized(start + first_norm, states + dense(start + mixed, attended))
        hidden = dense(start + inner, states)
        hidden = hidden * 0.5 * (1 + np.vectorize(math.erf)(hidden / math.sqrt(2)))
        states = normalized(start + last_norm, states + dense(start + outer, hidden))
    return states, known


def mean_vectors(config, arrays, ids, norm=("weight", "bias")):
    states, known = last_states(config, arrays, ids, norm)
    return (states * known[..., None]).sum(1) / known.sum(1, keepdims=True)


def write_model(folder, config=BERT, arrays=None, modules=None, pooling=None):
    """A folder as it is on a hub: config, weights, vocabulary, and the files of sentence-transformers where `modules` are given."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    write_safetensors(folder / "model.safetensors", checkpoint(config) if arrays is None else arrays)
    if modules is not None:
        steps = [{"type": f"sentence_transformers.models.{name}", "path": f"{number}_{name}"} for number, name in enumerate(modules)]
        (folder / "modules.json").write_text(json.dumps(steps))
        (folder / "1_Pooling").mkdir(exist_ok=True)
        (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": WIDTH, **(pooling or {})}))
    return folder
