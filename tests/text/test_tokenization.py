"""What a word is: letters, emoji and other signs; the same for the network and for `inspect-data`."""

from itertools import product
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from tiny import write_experiment, write_table

from mmtrain.audit.quality.vocabulary import build_vocabulary, signs_of
from mmtrain.columns import Text
from mmtrain.columns.vectorizers.fitted_text import FittedText
from mmtrain.commands.inspect_data import inspect_experiment

CASES = {
    # a text and its words
    "the cat, the dog!": ["the", "cat", "the", "dog"],
    "don't stop": ["don't", "stop"],
    "I love it 😍😍 so much👍": ["i", "love", "it", "😍", "😍", "so", "much", "👍"],
    "👍🏽 👍🏿👍": ["👍🏽", "👍🏿", "👍"],
    "👩‍⚕️👨‍👩‍👧‍👦": ["👩‍⚕", "👨‍👩‍👧‍👦"],
    "🇩🇪🇫🇷 🏴󠁧󠁢󠁳󠁣󠁴󠁿": ["🇩🇪", "🇫🇷", "🏴󠁧󠁢󠁳󠁣󠁴󠁿"],
    "1️⃣ #️⃣ *️⃣": ["1⃣", "#⃣", "*⃣"],
    "❤️ ❤ ♥︎ ☺️": ["❤", "❤", "♥", "☺"],
    "great :) :-( ;) :'( =) :D :p <3 </3": ["great", ":)", ":-(", ";)", ":'(", "=)", ":d", ":p", "<3", "</3"],
    "great:) (as follows): see a:b at 12:30, http://x.org": [
        *("great", ":)", "as", "follows", "see", "a", "b", "at", "12", "30", "http", "x", "org"),
    ],
    "5 € + $20 = £3 ± 2 % ≤ ∞": ["5", "€", "+", "$", "20", "=", "£", "3", "±", "2", "≤", "∞"],
    "C++ a<=b ==== ~x^2": ["c", "++", "a", "<=", "b", "====", "~", "x", "^", "2"],
    "♫ ♩ © ™ ✓ ✗ → ★★": ["♫", "♩", "©", "™", "✓", "✗", "→", "★", "★"],
    "?! ... — «»": [],
    "日本語😀テキスト": ["日本", "本語", "😀", "テキ", "キス", "スト"],
    "我爱你，猫 iPhone手机x": ["我爱", "爱你", "猫", "iphone", "手机", "x"],
    "コーヒー ﾃｰﾌﾞﾙ 々": ["コー", "ーヒ", "ヒー", "ﾃｰ", "ｰﾌﾞ", "ﾌﾞﾙ", "々"],
    "ที่นี่ กา": ["ที่นี่", "กา"],  # two characters with their marks are one pair
    "ภาษาไทย": ["ภา", "าษ", "ษา", "าไ", "ไท", "ทย"],
    "한국어 문장": ["한국어", "문장"],  # Korean has blanks
    "مرحبا بالعالم، كيف حالُكَ؟": ["مرحبا", "بالعالم", "كيف", "حالُكَ"],  # vowel signs belong to the letter before
    "नमस्ते दुनिया। क्या हाल है?": ["नमस्ते", "दुनिया", "क्या", "हाल", "है"],
    "İstanbul ÉCOLE naïve ΟΔΟΣ ΣΟΦΌΣ": ["i̇stanbul", "école", "naïve", "οδος", "σοφός"],
    "a\u00a0b\tc\n😀\r\nd": ["a", "b", "c", "😀", "d"],
    "": [],
}
OLD = {
    # what runs of older versions make of the same
    "I love it 😍, C++ :D": ["i", "love", "it", "c", "d"],
    "the cat, the dog! don't": ["the", "cat", "the", "dog", "don't"],
}


def of_network(texts, **options):
    """The words of each text, in reading order, as vocabularies are learned from them."""
    import tensorflow as tf

    from mmtrain.layers.words import distinct_words

    names, places = distinct_words(tf.constant(texts), **options)
    return [[names.numpy()[place].decode() for place in row] for row in places.to_list()]


def of_findings(texts, find=build_vocabulary):
    """The different words of each text, as `inspect-data` sees them."""
    found = find(cells(texts), np.arange(len(texts)))
    return [sorted(found.names[found.word[found.text == row]]) for row in range(len(texts))]


def cells(texts):
    return SimpleNamespace(texts=np.array(texts, dtype=object))


@pytest.mark.usefixtures("tensorflow")
def test_words_of_texts_with_signs():
    assert dict(zip(CASES, of_network(list(CASES)), strict=True)) == CASES


@pytest.mark.usefixtures("tensorflow")
def test_runs_of_older_versions_throw_signs_away_as_they_did():
    assert dict(zip(OLD, of_network(list(OLD), signs=False), strict=True)) == OLD


def test_findings_see_the_words_that_the_network_learns():
    assert of_findings(list(CASES)) == [sorted(set(words)) for words in CASES.values()]


def many_texts():
    """Pairs and triples of letters, digits, punctuation and signs of every kind, with and without blanks."""
    pieces = [
        "a",
        "Ünï",
        "7",
        "'",
        "!",
        ":)",
        ":",
        ")",
        "3",
        "<",
        "d",
        "😀",
        "👍🏽",
        "\u200d",
        "⚕",
        "\ufe0f",
        "🇩",
        "🇪",
        "€",
        "+",
        "=",
        "日",
        "-",
        "\u20e3",
        "#",
        "(",
        ";",
        "/",
    ]
    return [separator.join(some) for size in (2, 3) for some in product(pieces, repeat=size) for separator in ("", " ")]


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_both_see_the_same_words_in_many_texts_and_a_word_alone_is_itself(every):
    texts = many_texts()[::every]
    assert len(texts) > 40_000 // every
    learned = of_network(texts)
    import tensorflow as tf

    from mmtrain.layers.words import word_codes

    words = sorted({word for row in learned for word in row})
    assert of_network(words) == [[word] for word in words]
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(words, tf.range(len(words))), -1)
    codes = word_codes(tf.constant(texts), table, -1).to_list()
    assert [[words[code] for code in row] for row in codes] == learned
    found = build_vocabulary(cells(texts), np.arange(len(texts)))
    pairs = {(row, word) for row, some in enumerate(learned) for word in some}
    assert set(zip(found.text.tolist(), found.names[found.word], strict=True)) == pairs


def test_signs_that_are_thrown_away_are_those_in_no_word():
    assert of_findings(["Really?! :) (a—b) 5€ 👍🏽.", "none", "!!!"], signs_of) == [sorted("?!()—."), [], ["!"]]


MOODS = {"emoji": "😀😡", "emoticon": [":)", ":("], "sign": "✓✗", "punctuation": "!?"}


ALL = "100% of its texts hold it, and 100% of the texts that hold it are its own"
TOLD = {
    **{
        kind: ("warning", "gives_answer_away", f"the word '{MOODS[kind][0]}' gives 'good' of 'mood' away: {ALL}.")
        for kind in ("emoji", "emoticon", "sign")
    },
    "punctuation": (
        "warning",
        "sign_thrown_away",
        f"the sign '!' tells 'good' of 'mood' ({ALL}), but no word holds it, so it is thrown away in 100 texts.",
    ),
}


def of_moods(kind):
    """200 texts of words that say nothing and one thing that says all."""
    return [{"note": f"word{row % 7} word{row % 5} {MOODS[kind][row % 2]}", "mood": ("good", "bad")[row % 2]} for row in range(200)]


@pytest.mark.parametrize("kind", MOODS)
def test_what_tells_the_answer_is_a_word_or_is_told_to_be_thrown_away(kind, tmp_path):
    write_table(tmp_path / "table.csv", of_moods(kind))
    columns = {"note": {"role": "text"}, "mood": {"role": "target", "task": "binary", "positive": "good"}}
    path = write_experiment(tmp_path / "moods.yaml", {"columns": columns, "split": {"method": "random"}})
    findings = inspect_experiment(path).findings
    assert [(one.level, one.kind, one.what) for one in findings if one.where == "note" and "mood" in one.what] == [TOLD[kind]]


@pytest.mark.usefixtures("tensorflow")
def test_a_column_of_an_older_run_has_no_signs():
    from mmtrain.layers.encoding import EncodeText

    known = {"vectorize": "tokens", "words": ["good"], "idf": [], "length": 3, "longest": 3, "masked": False, "missing": 0}
    texts = pd.Series(["good 😀"], dtype="str")
    codes = {}
    for name, more in {"older": {}, "newer": {"signs": True}}.items():
        layer = FittedText.model_validate({"role": "text", **known, **more}).preprocessing()
        codes[name] = layer(np.array([[texts[0]]], dtype=object))[0].numpy().tolist()
        assert layer.get_config()["signs"] is bool(more)
    assert codes == {"older": [[3, 0, 0]], "newer": [[3, 2, 0]]}
    older = {key: value for key, value in layer.get_config().items() if key != "signs"}
    assert EncodeText.from_config(older)(np.array([["good 😀"]], dtype=object))[0].numpy().tolist() == [[3, 0, 0]]
    assert Text().fit([texts]).signs


@pytest.mark.usefixtures("tensorflow")
def test_a_column_of_an_older_run_keeps_runs_without_blanks_whole():
    known = {
        "vectorize": "tokens",
        "words": ["日本語", "日本", "本語"],
        "idf": [],
        "length": 3,
        "longest": 3,
        "masked": False,
        "missing": 0,
    }
    codes = []
    for more in ({}, {"character_pairs": True}):
        column = FittedText.model_validate({"role": "text", "signs": True, **known, **more})
        codes.append(column.preprocessing()(np.array([["日本語!"]], dtype=object))[0].numpy().tolist())
    assert codes == [[[3, 0, 0]], [[4, 5, 0]]]
    assert of_network(["日本語!"], character_pairs=False) == [["日本語"]]
    assert Text().fit([pd.Series(["日本語"], dtype="str")]).words == ("日本", "本語")
