"""WordPiece: the pieces of texts of many scripts in TensorFlow, as a plain reader in Python and the library `tokenizers` find them."""

import random

import pytest

from mmtrain.text.tokenizers.wordpiece import ABOVE, LONGEST_WORD, PREFIX, TABLE_SIZE, CleaningRules, WordPiece, character_table

LONG = "x" * 100
CASES = {
    # a text, and its pieces by the library `tokenizers` 0.23 with the vocabulary of BERT
    "Playing UNAFFABLE words, don't!": "playing una ##ffa ##ble words , don ' t !",
    "naïve café Ångström ÉCOLE İstanbul": "naive cafe ang ##strom ecole istanbul",
    "ΣΊΣΥΦΟΣ straße": "σ ##ι ##σ ##υ ##φ ##ο ##σ st ##raße",
    "你好,世界! 東京タワー": "[UNK] [UNK] , 世 [UNK] ! 東 京 タ ##ワ ##ー",
    "안녕 세계": "ᄋ ##ᅡ ##ᆫ ##ᄂ ##ᅧ ##ᆼ [UNK]",
    "नमस्ते दुनिया।": "न ##म ##स ##त द ##न ##ि ##य ##ा ।",
    "مرحبا بالعالم،": "م ##ر ##ح ##ب ##ا ب ##ا ##ل ##ع ##ا ##ل ##م ،",
    "สวัสดีชาวโลก": "[UNK]",
    "Xin chào thế giới": "xi ##n chao the gi ##oi",
    "שלום עולם": "ש ##ל ##ו ##ם ע ##ו ##ל ##ם",
    "Привет, мир! ёлка": "п ##р ##и ##в ##е ##т , м ##и ##р ! е ##л ##ка",
    "ok😀👍🏽 🇩🇪": "[UNK] [UNK]",
    "a\x0bb\x0cc\x85d\x00e\ufffdf\u200bg\u00adh": "abc ##de ##f ##gh",
    "tab\tnew\nline\r\nend\u00a0nbsp\u3000wide": "tab new line end n ##bs ##p wide",
    "e\u0301 o\u0308 ﬁne Ⅷ ½ ａ": "e o ﬁ ##ne [UNK] ½ [UNK]",
    LONG: " ".join(["xx", *["##xx"] * 49]),
    f"{LONG}x": "[UNK]",
    "##ing ## #": "# # ing # # #",
    "$5.99+20%=?": "$ 5 . 99 + 20 % = ?",
    "\u0378\u0378 \ue000x": "[UNK] xx",
    "\U000f0000 \U000e0100": "[UNK] [UNK]",  # above the table, no vocabulary has them
    " \n ": "",
    "": "",
}
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PIECES = (*SPECIAL, *sorted({piece for pieces in CASES.values() for piece in pieces.split()} - set(SPECIAL)))
CASES["\u0378\u0378 \ue000x"] = "[UNK] [UNK]"  # `x` alone is no piece here


def words_of(tokenizer, text):
    """Return the cleaned words of a text."""
    table = character_table(tokenizer.rules)
    cleaned = "".join(table[ord(one)] if ord(one) < TABLE_SIZE else ABOVE for one in text)
    return [word for word in cleaned.split(" ") if word]


def ids_of(tokenizer, text):
    """Return the ids of a text without special pieces, word by word: the reference for the layer."""
    return [number for word in words_of(tokenizer, text) for number in ids_of_word(tokenizer, word)]


def ids_of_word(tokenizer, word):
    """Return the ids of the longest pieces from left to right, or that of `unknown`."""
    ids, start = [], 0
    while start < len(word) <= LONGEST_WORD:
        prefix = PREFIX if start else ""
        end = next((end for end in range(len(word), start, -1) if prefix + word[start:end] in tokenizer.id_of), None)
        if end is None:
            break
        ids.append(tokenizer.id_of[prefix + word[start:end]])
        start = end
    return ids if start == len(word) else [tokenizer.id_of[tokenizer.unknown]]


@pytest.fixture(scope="module")
def tokenizer():
    return WordPiece(pieces=PIECES)


@pytest.mark.parametrize("text", CASES)
def test_pieces_of_a_text(tokenizer, text):
    assert " ".join(PIECES[number] for number in ids_of(tokenizer, text)) == CASES[text]


@pytest.mark.slow
def test_graph_finds_the_same_pieces(tensorflow, tokenizer):
    from mmtrain.layers.tokenizers.wordpiece import WordPieceReader

    reader = WordPieceReader(tokenizer)
    texts = [*CASES, *random_texts(300)]
    graph = tensorflow.function(reader.pieces, input_signature=[tensorflow.TensorSpec((None,), tensorflow.string)], autograph=False)
    expected = [ids_of(tokenizer, text) for text in texts]
    assert reader.pieces(tensorflow.constant(texts)).to_list() == expected
    assert graph(tensorflow.constant(texts)).to_list() == expected
    assert graph(tensorflow.constant([], tensorflow.string)).to_list() == []
    assert graph(tensorflow.constant([""])).to_list() == [[]]


def test_layer_frames_cuts_and_pads(tensorflow, tokenizer):
    from mmtrain.layers.tokenizers.encode import EncodePieces

    layer = EncodePieces(tokenizer=tokenizer.model_dump(mode="json"), length=6, masked=True)
    texts = [["words, don't!"], [""], ["end"], ["words, don't!"], ["\u200b"]]
    ids, present = type(layer).from_config(layer.get_config())(tensorflow.constant(texts))
    named = [[PIECES[number] for number in row] for row in ids.numpy()]
    cut = ["[CLS]", "words", ",", "don", "'", "[SEP]"]
    empty = ["[CLS]", "[SEP]", *["[PAD]"] * 4]
    assert named == [cut, empty, ["[CLS]", "end", "[SEP]", *["[PAD]"] * 3], cut, empty]
    assert present.numpy().tolist() == [[1], [0], [1], [1], [0]]


def test_rules_of_characters():
    cased = character_table(CleaningRules(lower_case=False, strip_accents=False, split_chinese=False))
    assert [cased[ord(one)] for one in "É世!\u0301"] == ["É", "世", " ! ", "\u0301"]
    lower = character_table(CleaningRules(lower_case=True, strip_accents=False))
    assert [lower[ord(one)] for one in "É世\u0301"] == ["é", " 世 ", "\u0301"]


def test_a_literal_special_piece_is_a_word_like_any_other():
    pieces = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[", "]", "cl", "##s")
    assert [pieces[number] for number in ids_of(WordPiece(pieces=pieces), "[CLS]")] == ["[", "cl", "##s", "]"]


def test_special_pieces_are_needed():
    with pytest.raises(ValueError, match=r"the vocabulary has no piece '\[SEP\]'"):
        WordPiece(pieces=("[PAD]", "[UNK]", "[CLS]"))


SCRIPTS = [
    *((0x20, 0x7F), (0xA0, 0x250), (0x370, 0x400), (0x400, 0x460), (0x5D0, 0x5EB), (0x620, 0x650), (0x905, 0x970)),
    *((0xE01, 0xE3B), (0x1E00, 0x1F00), (0x3041, 0x3097), (0x4E00, 0x5000), (0xAC00, 0xAD00), (0x1F600, 0x1F640)),
]


def random_texts(count):
    """Texts of words of one script each."""
    dice = random.Random(5)

    def word():
        first, last = dice.choice(SCRIPTS)
        return "".join(chr(dice.randrange(first, last)) for _ in range(dice.randint(1, 9)))

    return [" ".join(word() for _ in range(dice.randint(1, 8))) for _ in range(count)]


def test_equals_the_library_tokenizers():
    """Known differences, not among these texts: literal `[CLS]`, and marks and punctuation that came with Unicode 9 or later."""
    library = pytest.importorskip("tokenizers", reason="compares with the library `tokenizers`, which is not installed")
    texts = random_texts(2000)
    cleaner = WordPiece(pieces=SPECIAL)
    words = {word for text in texts for word in words_of(cleaner, text)}
    dice = random.Random(6)
    pieces = {word[: dice.randint(1, len(word))] for word in sorted(words)}
    pieces |= {f"##{character}" for word in sorted(words) for character in word if dice.random() < 0.9}
    vocabulary = (*SPECIAL, *sorted(pieces))
    model = library.models.WordPiece({piece: number for number, piece in enumerate(vocabulary)}, unk_token="[UNK]")
    reference = library.Tokenizer(model)
    reference.normalizer = library.normalizers.BertNormalizer()
    reference.pre_tokenizer = library.pre_tokenizers.BertPreTokenizer()
    ours = WordPiece(pieces=vocabulary)
    assert [ids_of(ours, text) for text in texts] == [encoding.ids for encoding in reference.encode_batch(texts)]
