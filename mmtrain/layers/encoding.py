"""Preprocessing as layers: raw tensors in, `(encoded, present)` out. Their weights-free state is their config.

`autocast=False` everywhere: float64 stays float64 until the one rounding that is meant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mmtrain.layers.numbers.number_transforms import NumberTransforms, Transform
from mmtrain.layers.words import hashed_ngrams, neighbour_codes, word_codes
from mmtrain.text.spelling import BLANK_ENDS


class Encode(keras.layers.Layer):  # type: ignore[misc]
    """Base of preprocessing layers; their config is the constructor's arguments, `settings`."""

    def __init__(self, settings: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(autocast=False, trainable=False, **kwargs)
        self.settings = settings
        self.built = True

    @property
    def tables(self) -> list[Any]:
        """All tables that the layer reads, which an export has to keep."""
        return []

    def get_config(self) -> dict[str, Any]:
        """The layer's arguments, plain JSON."""
        return {**{key: value for key, value in super().get_config().items() if key not in ("dtype", "trainable")}, **self.settings}


def _dense(ids: Any, width: int) -> Any:
    """Return ragged ids (batch, words) as (batch, width), cut or padded with 0."""
    return tf.ensure_shape(ids.to_tensor(default_value=0, shape=(None, width)), (None, width))


def _one_text(raw: Any) -> Any:
    """Return the text of each row, (batch,): of several, (batch, texts), one after the other."""
    return tf.reshape(raw, (-1,)) if raw.shape[1] == 1 else tf.strings.reduce_join(raw, axis=1, separator=" ")


def presence(known: Any, masked: Any) -> Any:
    """Return 1 where the branch may look, (batch, columns) float32; without masking a missing value has a substitute, so always 1."""
    return tf.cast(tf.logical_or(known, ~np.asarray(masked, dtype=np.bool_)), tf.float32)


@keras.saving.register_keras_serializable(package="mmtrain")
class EncodeNumbers(Encode):
    """(batch, columns) float64, NaN for missing, to `(value - center) / scale` as float32, and presence (batch, columns).

    The arguments have a value per column. Behind the number of a column with an `indicator` stands 1 if it is missing, else 0. What
    would be infinite in float32 counts as missing. Columns with one of `transforms` are clipped and transformed before that.
    """

    def __init__(
        self,
        *,
        fill: Sequence[float],
        center: Sequence[float],
        scale: Sequence[float],
        indicator: Sequence[bool],
        masked: Sequence[bool],
        transforms: Sequence[Transform | None] | None = None,
        **kwargs: Any,
    ) -> None:
        settings: dict[str, Sequence[Any]]
        settings = {"fill": fill, "center": center, "scale": scale, "indicator": indicator, "masked": masked}
        settings |= {"transforms": transforms} if transforms is not None else {}
        super().__init__({name: list(values) for name, values in settings.items()}, **kwargs)
        self._transforms = None if transforms is None else NumberTransforms(transforms)
        flagged = np.array(indicator, dtype=np.bool_)
        count = len(flagged)
        places = np.stack([np.arange(count), count + np.arange(count)], axis=1)  # of a number and of its indicator
        self._order = places[np.stack([np.ones(count, dtype=np.bool_), flagged], axis=1)].astype(np.int32)
        self._flagged, self._masked = flagged, np.array(masked, dtype=np.bool_)

    def call(self, raw: Any) -> tuple[Any, Any]:
        exact = self._scaled(tf.cast(raw, tf.float64))
        known = tf.math.is_finite(exact)
        encoded = tf.where(known, exact, self._scaled(tf.constant([self.settings["fill"]], tf.float64)))
        if self._flagged.any():
            encoded = tf.gather(tf.concat([encoded, 1.0 - tf.cast(known, tf.float32)], axis=1), self._order, axis=1)
        return encoded, presence(known, self._masked)

    def _scaled(self, value: Any) -> Any:
        """float64 in, rounded to float32 once."""
        if self._transforms is not None:
            value = self._transforms(value)
        center, scale = (tf.constant([self.settings[name]], tf.float64) for name in ("center", "scale"))
        return tf.cast((value - center) / scale, tf.float32)

    def compute_output_spec(self, raw: Any) -> tuple[Any, Any]:
        count = len(self._flagged)
        width = count + int(self._flagged.sum())
        return keras.KerasTensor((raw.shape[0], width), "float32"), keras.KerasTensor((raw.shape[0], count), "float32")


class Lookup(Encode):
    """A static hash table from words to codes; made when first used, so that the config stays plain."""

    def __init__(self, codes: Mapping[str, int], unseen: int, settings: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(settings, **kwargs)
        codes = codes or {"": unseen}  # a table cannot be empty
        pairs = tf.lookup.KeyValueTensorInitializer(tf.constant(list(codes), tf.string), tf.constant(list(codes.values()), tf.int32))
        self.table = tf.lookup.StaticHashTable(pairs, default_value=unseen)

    @property
    def tables(self) -> list[Any]:
        """All tables that the layer reads, which an export has to keep."""
        return [self.table]


@keras.saving.register_keras_serializable(package="mmtrain")
class EncodeCategories(Lookup):
    """(batch, columns) strings, empty for missing, to (batch, columns) int32 and presence (batch, columns).

    Codes are 0 missing, 1 unseen, 2... in the order of the column's `categories`. Blanks at the ends are cut off, as the table's
    reader does; those that only hold blanks are missing. Names of a column with `buckets` are hashed into 2 and more by the FarmHash
    fingerprint of their bytes. One table serves all columns: in it a name follows the column's number.
    """

    def __init__(self, *, categories: list[list[str]], masked: list[bool], buckets: Sequence[int] = (), **kwargs: Any) -> None:
        prefixes = [f"{number}:" for number in range(len(categories))] if len(categories) > 1 else [""]
        codes = {f"{prefix}{name}": code for prefix, names in zip(prefixes, categories, strict=True) for code, name in enumerate(names, 2)}
        settings: dict[str, Any] = {"categories": [list(names) for names in categories], "masked": [bool(one) for one in masked]}
        settings |= {"buckets": list(buckets)} if any(buckets) else {}
        self._hashed = [(place, size) for place, size in enumerate(buckets) if size]
        super().__init__(codes, 1, settings, **kwargs)
        self._prefixes = np.array([prefixes], dtype=object)
        self._masked = np.array(masked, dtype=np.bool_)

    def call(self, raw: Any) -> tuple[Any, Any]:
        names = tf.strings.regex_replace(raw, BLANK_ENDS, "")
        known = tf.not_equal(names, "")
        keys = names
        if self._prefixes.size > 1:
            keys = tf.strings.join([tf.broadcast_to(tf.constant(self._prefixes), tf.shape(names)), names])
        codes = self.table.lookup(keys)
        if self._hashed:
            columns = tf.unstack(codes, num=len(self._masked), axis=1)
            for place, size in self._hashed:
                columns[place] = tf.cast(tf.strings.to_hash_bucket_fast(names[:, place], size), tf.int32) + 2
            codes = tf.stack(columns, axis=1)
        return tf.where(known, codes, 0), presence(known, self._masked)

    def compute_output_spec(self, raw: Any) -> tuple[Any, Any]:
        return keras.KerasTensor(raw.shape, "int32"), keras.KerasTensor(raw.shape, "float32")


@keras.saving.register_keras_serializable(package="mmtrain")
class EncodeText(Lookup):
    """(batch, texts) strings to (batch, width) int32 ids: 0 padding, 1 missing text, 2 unseen word, 3... in the order of `words`.

    The first `length` words of a text are read. `ordered` keeps reading order; without it ids are sorted (largest first), as the
    order of a bag means nothing. With `ngrams` 2 the ids of known pairs of neighbouring words are added, and the width is
    2 * `length` - 1; such a pair is an entry of `words` with a blank in it. `signs`, `character_pairs` and `accents` say what
    a word is (`mmtrain.layers.words`); older versions had none of them.
    """

    def __init__(
        self,
        *,
        words: list[str],
        length: int,
        ordered: bool,
        masked: bool,
        signs: bool = False,
        ngrams: int = 1,
        character_pairs: bool = False,
        accents: bool = True,
        **kwargs: Any,
    ) -> None:
        settings = {"words": list(words), "length": length, "ordered": ordered, "masked": masked, "signs": signs}
        codes = {word: code for code, word in enumerate(words, 3)}
        settings |= {"ngrams": ngrams, "character_pairs": character_pairs, "accents": accents}
        super().__init__(codes, 2, settings, **kwargs)
        self._size = 3 + len(words)
        self._width = length if ngrams == 1 else 2 * length - 1
        self.pairs = self._pair_table(codes) if ngrams > 1 else None

    @property
    def tables(self) -> list[Any]:
        """Words, and pairs if there are any."""
        return [self.table] if self.pairs is None else [self.table, self.pairs]

    def _pair_table(self, codes: Mapping[str, int]) -> Any:
        """Codes of pairs by those of their words, as `neighbour_codes` reads them."""
        pairs = {pair: code for pair, code in codes.items() if " " in pair}
        keys = [codes[first] * self._size + codes[second] for first, second in map(str.split, pairs)] or [-1]  # it cannot be empty
        values = list(pairs.values()) or [0]
        entries = tf.lookup.KeyValueTensorInitializer(tf.constant(keys, tf.int64), tf.constant(values, tf.int32))
        return tf.lookup.StaticHashTable(entries, default_value=0)

    def call(self, raw: Any) -> tuple[Any, Any]:
        settings, width = self.settings, self._width
        choice = {name: settings[name] for name in ("signs", "character_pairs", "accents")}
        ids = word_codes(_one_text(raw), self.table, unseen=2, **choice)  # (batch, words), ragged
        known = tf.expand_dims(ids.row_lengths() > 0, 1)  # (batch, 1)
        dense = _dense(ids, settings["length"])
        if self.pairs is not None:
            # Padded as tensors: joining ragged ones transposes int64, and oneDNN writes to standard error that it cannot.
            pairs = neighbour_codes(ids[:, : settings["length"]], self.pairs, self._size)
            dense = tf.concat([dense, _dense(pairs, settings["length"] - 1)], axis=1)
        missing = tf.one_hot(0, width, dtype=tf.int32)  # id 1 in the first place, padding after it
        encoded = tf.where(known, dense, missing)
        if not settings["ordered"]:
            encoded = tf.sort(encoded, axis=1, direction="DESCENDING")
        return encoded, presence(known, settings["masked"])

    def compute_output_spec(self, raw: Any) -> tuple[Any, Any]:
        return keras.KerasTensor((raw.shape[0], self._width), "int32"), keras.KerasTensor((raw.shape[0], 1), "float32")


@keras.saving.register_keras_serializable(package="mmtrain")
class EncodeHashes(Encode):
    """(batch, texts) strings to (batch, width) int32 ids of hashed n-grams: 0 padding, 1 missing text, 3 + bucket, sorted (largest first).

    Words, then pairs of words and runs of characters, as `mmtrain.layers.words.hashed_ngrams` finds them in the first `length` words;
    of more than `width`, the first are kept.
    """

    def __init__(
        self,
        *,
        buckets: int,
        length: int,
        width: int,
        ngrams: int,
        characters: Sequence[int],
        masked: bool,
        accents: bool = True,
        **kwargs: Any,
    ) -> None:
        settings = {"buckets": buckets, "length": length, "width": width, "ngrams": ngrams, "accents": accents}
        super().__init__({**settings, "characters": list(characters), "masked": masked}, **kwargs)

    def call(self, raw: Any) -> tuple[Any, Any]:
        settings = self.settings
        options = {name: settings[name] for name in ("buckets", "length", "ngrams", "characters", "accents")}
        hashed, words = hashed_ngrams(_one_text(raw), **options)
        known = tf.expand_dims(words > 0, 1)  # (batch, 1)
        # Ids 0 to 2 mean the same as in other texts: padding, missing, unseen.
        dense = _dense(hashed.with_flat_values(hashed.flat_values + 3), settings["width"])
        encoded = tf.where(known, dense, tf.one_hot(0, settings["width"], dtype=tf.int32))
        return tf.sort(encoded, axis=1, direction="DESCENDING"), presence(known, settings["masked"])

    def compute_output_spec(self, raw: Any) -> tuple[Any, Any]:
        return keras.KerasTensor((raw.shape[0], self.settings["width"]), "int32"), keras.KerasTensor((raw.shape[0], 1), "float32")
