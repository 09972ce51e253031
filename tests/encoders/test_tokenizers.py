"""Tokenizers in the files of published models: the ids of texts are those of the reference libraries; and what cannot be read."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest

from mmtrain.encoders.tokenizers.reading import read_tokenizer
from mmtrain.errors import RunError
from mmtrain.text.tokenizers.pieces import OWN_PADDING

PUBLISHED = json.loads(Path(__file__).with_name("published_tokenizers.json").read_text(encoding="utf-8"))
TEXTS = PUBLISHED["texts"]
LENGTH = 160


def write_files(folder, name, files):
    """Write the tokenizer files of a model into a folder."""
    folder.mkdir(exist_ok=True)
    for file in files:
        if file.endswith(".model"):
            (folder / file).write_bytes(base64.b64decode(PUBLISHED[name]["model"]))
        else:
            (folder / file).write_text(PUBLISHED[name]["files"][file], encoding="utf-8")
    (folder / "config.json").write_text(json.dumps({"model_type": name}), encoding="utf-8")
    return folder


CASES = {
    "roberta": (["tokenizer.json"], ["vocab.json", "merges.txt"], "<pad>"),
    "clip": (["tokenizer.json"], ["vocab.json", "merges.txt"], OWN_PADDING),
    "xlm-roberta": (["tokenizer.json"], ["sentencepiece.bpe.model"], "<pad>"),
    "siglip": (["tokenizer.json"], ["spiece.model"], OWN_PADDING),
}


OLDER = {name: (one, other) for name, (one, other, _) in CASES.items()}
CASES["siglip2"] = (["tokenizer.json"], [], "<pad>")


@pytest.mark.parametrize(("name", "pipeline", "files"), [(name, *formats) for name, formats in OLDER.items()], ids=list(OLDER))
def test_pipeline_and_older_files_are_the_same_tokenizer(tmp_path, name, pipeline, files):
    one, other = (read_tokenizer(write_files(tmp_path / format_, name, named)) for format_, named in (("new", pipeline), ("old", files)))
    differing = {key for key, value in one.model_dump().items() if other.model_dump()[key] != value}
    assert differing <= {"scores"}
    if name in ("xlm-roberta", "siglip"):
        assert [score is None for score in one.scores] == [score is None for score in other.scores]
        assert np.allclose(*([score or 0 for score in each.scores] for each in (one, other)))


@pytest.mark.parametrize(
    ("name", "files", "padding"),
    # CLIP's is a tokenizer of bytes, as RoBERTa's, and SigLIP's a unigram model, as that of XLM-R.
    [
        pytest.param(name, one, padding, marks=[pytest.mark.slow] * (name in ("clip", "siglip")))
        for name, (one, _, padding) in CASES.items()
    ],
    ids=list(CASES),
)
def test_ids_are_those_of_the_reference(tensorflow, tmp_path, name, files, padding):
    """All pieces of a text with those around it, in a batch and in a graph of a signature, as an export has it."""
    from mmtrain.layers.tokenizers.encode import EncodePieces

    tokenizer = read_tokenizer(write_files(tmp_path, name, files))
    assert tokenizer.padding == padding
    layer = EncodePieces(tokenizer=tokenizer.model_dump(mode="json"), length=LENGTH, masked=True)
    graph = tensorflow.function(layer.call, input_signature=[tensorflow.TensorSpec((None, 1), tensorflow.string)], autograph=False)
    ids, present = graph(tensorflow.constant(TEXTS)[:, None])
    got = [[number for number in row if number != tokenizer.id_of[padding]] for row in ids.numpy().tolist()]
    assert got == PUBLISHED[name]["ids"]
    framed = len(tokenizer.framing)
    assert present.numpy()[:, 0].tolist() == [float(len(row) > framed) for row in got]
    assert graph(tensorflow.constant([], tensorflow.string)[:, None])[0].shape == (0, LENGTH)
    # Cut, a text keeps the piece behind it.
    short = EncodePieces(tokenizer=tokenizer.model_dump(mode="json"), length=4, masked=True)
    assert short(tensorflow.constant([[TEXTS[0]]]))[0].numpy().tolist() == [[*got[0][:3], got[0][-1]]]


def test_marks_are_sorted_before_they_compose(tensorflow):
    """NFC by Python's `unicodedata`, of marks in all orders and of Hangul in parts."""
    import unicodedata

    from mmtrain.layers.tokenizers.characters import Characters
    from mmtrain.text.tokenizers.composition import canonical_replacements

    texts = [
        "a\u0301\u0323",
        "o\u0302\u0323\u0301",
        "\u1112\u1161\u11ab\u1100\u1161",
        "q\u0323\u0307",
        "\u212b\u0958",
        "\u064b\u0651",
        "",
        "ab",
    ]
    characters = Characters(canonical_replacements(), compose=True, sort_marks=True)
    composed = [text.decode() for text in characters.replace(tensorflow.constant(texts)).numpy()]
    assert composed == [unicodedata.normalize("NFC", text) for text in texts]


def test_spaces_that_no_word_follows(tensorflow, tmp_path):
    """Kept, they are pieces of their own; collapsed, one at the end is; between words, none is."""
    from mmtrain.layers.tokenizers.unigram import UnigramReader

    values = read_tokenizer(write_files(tmp_path, "xlm-roberta", ["sentencepiece.bpe.model"]))
    space = values.id_of["▁"]
    counts = {}
    for spaces in ("words", "collapsed", "kept"):
        reader = UnigramReader(values.model_copy(update={"spaces": spaces}))
        rows = reader.pieces(tensorflow.constant(["the  the ", " the", "  ", ""])).to_list()
        counts[spaces] = [row.count(space) for row in rows]
    plain = counts["words"]
    assert plain[2:] == [0, 0]
    assert np.subtract(counts["collapsed"], plain).tolist() == [1, 0, 1, 0]
    assert np.subtract(counts["kept"], plain).tolist() == [2, 0, 2, 0]


def test_pieces_of_characters_that_the_published_cases_lack(tensorflow, tmp_path):
    """Texts that are whole pieces, characters of every length as bytes, and merges over spaces where the vocabulary has them."""
    from mmtrain.layers.tokenizers.character_pairs import CharacterPairReader

    values = read_tokenizer(write_files(tmp_path, "siglip2", ["tokenizer.json"]))
    read = CharacterPairReader(values).pieces
    texts = ["\n\n\na", "<3 <3", "\u07ff\u0800\uffff\U00010000\U0010ffff", ""]
    pieces = [[values.pieces[number] for number in row] for row in read(tensorflow.constant(texts)).to_list()]
    assert pieces[:2] == [["\n\n", "\n", "a"], ["<3", "▁", "<3"]]
    assert pieces[2:] == [[f"<0x{byte:02X}>" for byte in texts[2].encode()], []]
    over = type(values)(**{**values.model_dump(), "pieces": (*values.pieces, "e▁"), "merges": ("e ▁", *values.merges)})
    (row,) = CharacterPairReader(over).pieces(tensorflow.constant(["e e"])).to_list()
    assert [over.pieces[number] for number in row] == ["e▁", "e"]


def test_lower_case_is_that_of_siglip_alone(tmp_path):
    folder = write_files(tmp_path / "towers", "siglip2", ["tokenizer.json"])
    assert read_tokenizer(folder).lower_case
    (folder / "config.json").write_text('{"model_type": "gemma"}')
    assert not read_tokenizer(folder).lower_case


def changed(name, change):
    values = json.loads(PUBLISHED[name]["files"]["tokenizer.json"])
    change(values)
    return json.dumps(values)


def rename(vocabulary, piece):
    """Give the id of a piece to another one."""
    vocabulary["another"] = vocabulary.pop(piece)


def put(*path, value):
    """A change of one value in a tokenizer.json."""

    def change(values):
        for key in path[:-1]:
            values = values[key]
        values[path[-1]] = value

    return change


WRONG = {
    "a byte is missing": ("clip", lambda values: rename(values["model"]["vocab"], "!</w>"), "piece '!</w>' for a byte"),
    "a merge of unknown pieces": ("roberta", put("model", "merges", value=["q x y"]), "the vocabulary lacks a piece of the merge 'q x y'"),
    "bytes as pieces": ("roberta", put("model", "byte_fallback", value=True), "its normalizers are none; one that replaces spaces by"),
    "other words": (
        "roberta",
        put("pre_tokenizer", value={"type": "Whitespace"}),
        "it divides texts by nothing before Whitespace; those of GPT-2",
    ),
    "two pieces in front": (
        "xlm-roberta",
        put("post_processor", "single", value=[{"SpecialToken": {"id": "<s>"}}] * 2),
        "it puts <s> and <s> around",
    ),
    "another normalizer": ("xlm-roberta", put("normalizer", value={"type": "NFKD"}), "its normalizer 'NFKD' is not read."),
    "a damaged table": (
        "xlm-roberta",
        put("normalizer", "normalizers", 0, "precompiled_charsmap", value="AAAA"),
        "`Precompiled` is damaged",
    ),
    "no space in front": (
        "xlm-roberta",
        put("pre_tokenizer", value={"type": "Metaspace", "prepend_scheme": "never"}),
        "known is `Metaspace` with a space",
    ),
    "spaces that stay": ("siglip2", put("normalizer", value=None), "its normalizers are none; one that replaces spaces by"),
    "words of characters": ("siglip2", put("pre_tokenizer", value={"type": "Whitespace"}), "it divides texts by Whitespace; `Split`"),
    "pieces in normalized texts": ("siglip2", put("added_tokens", -1, "normalized", value=True), "some of its `added_tokens` are found in"),
    "no piece for a byte": (
        "siglip2",
        lambda values: rename(values["model"]["vocab"], "<0x7F>"),
        "the vocabulary has no piece '<0x7F>'",
    ),
    "dropped merges": ("siglip2", put("model", "dropout", value=0.1), "its `dropout` is 0.1, which is not read"),
    "no unknown piece": ("xlm-roberta", put("model", "unk_id", value=None), "its vocabulary is not a list of pieces with scores"),
}


@pytest.mark.parametrize(("name", "change", "message"), WRONG.values(), ids=list(WRONG))
def test_other_pipelines_are_refused(tmp_path, name, change, message):
    (tmp_path / "tokenizer.json").write_text(changed(name, change), encoding="utf-8")
    with pytest.raises(RunError, match=re.escape(message)):
        read_tokenizer(tmp_path)


def test_damaged_and_other_files_of_sentencepiece_are_refused(tmp_path):
    folder = write_files(tmp_path, "xlm-roberta", ["spiece.model"])
    with pytest.raises(RunError, match=re.escape("the ids of special pieces are not known for a 'xlm-roberta' without tokenizer.json")):
        read_tokenizer(folder)
    (folder / "config.json").write_text('{"model_type": "siglip"}')
    (folder / "spiece.model").write_bytes((folder / "spiece.model").read_bytes()[:-1])
    with pytest.raises(RunError, match=re.escape("it cannot be read as a unigram model of SentencePiece: a field lies outside the file.")):
        read_tokenizer(folder)
    (folder / "spiece.model").write_bytes(b"\x12\x02\x18\x02")  # trainer: model_type 2
    with pytest.raises(RunError, match=re.escape("it is not a unigram model, but one of another `model_type`")):
        read_tokenizer(folder)
