"""Writes published_tokenizers.json: small tokenizers in the files of published models, texts, and their ids by the reference libraries.

    python tests/encoders/make_tokenizers.py

needs tokenizers and sentencepiece, which no test does. Made with tokenizers 0.23.3 and sentencepiece 0.2.3.
"""

import base64
import io
import json
import re
import tempfile
from pathlib import Path

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

TEXTS = [
    "The quick brown fox didn't jump over the lazy dog's back; they'll say it's 12,345.67 dollars!",
    "Je n'ai pas encore goûté la crème brûlée, garçon ! Ça coûte 15 €.",
    "Der Straßenkehrer fährt über die Brücke nach Österreich: „Grüß Gott!“",
    "Xin chào thế giới, tôi yêu tiếng Việt và phở bò.",
    "Привет, мир! Ёлка стоит в лесу.",
    "Καλημέρα κόσμε, ο Σίσυφος. ΟΔΥΣΣΕΥΣ",
    "שלום עולם, מה שלומך היום?",
    "مرحبا بالعالم، كيف حالك؟ جدًّا",
    "नमस्ते दुनिया, आप कैसे हैं?",
    "สวัสดีชาวโลก วันนี้อากาศดีมาก",
    "你好，世界！今天天气很好。",
    "こんにちは世界。カタカナ、ﾊﾝｶｸ。",
    "안녕하세요 세계! 한국어 문장입니다.",
    "ok😀👍🏽 🇩🇪 <3 :-) ™ © ½ Ⅷ ﬁne ａｂｃ ㎏",
    "tabs\tand\nnewlines\r\n  double  spaces   at end   ",
    "  leading spaces, \u00a0nbsp\u3000ideographic",
    "e\u0301 o\u0302\u0301 n\u0303 \u1112\u1161\u11ab i\u0307",
    "don't DON'T it's'' 'tis we'd've !'s ?'re 3'm",
    "#hashtag @user http://example.com/path?query=1&b=2 snake_case camelCase",
    "",
    " ",
    "a",
]
RULES = {" ": "\t\n\r\u00a0\u3000", "fi": "ﬁ", "kg": "㎏", "!": "！", ",": "，", "VIII": "Ⅷ", "TM": "™"}
"""What the small table of characters replaces; SentencePiece's own has 240 kB."""
COMPOSED = {"é": "e\u0301", "ô": "o\u0302", "ố": "o\u0302\u0301", "ñ": "n\u0303", "한": "\u1112\u1161\u11ab", "하": "\u1112\u1161"}
PUNCTUATION = r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]"""
CLIP_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def byte_pairs(clip):
    """A tokenizer of RoBERTa or CLIP with a few hundred merges."""
    suffix = {"end_of_word_suffix": "</w>"} if clip else {}
    tokenizer = Tokenizer(models.BPE(**suffix))
    first, last = ("<|startoftext|>", "<|endoftext|>") if clip else ("<s>", "</s>")
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if clip:
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
        split = pre_tokenizers.Split(Regex(f"<\\|startoftext\\|>|<\\|endoftext\\|>|{CLIP_WORDS}"), "removed", invert=True)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = [first, last] if clip else [first, "<pad>", last, "<unk>"]
    trainer = trainers.BpeTrainer(vocab_size=900, special_tokens=special, initial_alphabet=alphabet, show_progress=False, **suffix)
    tokenizer.train_from_iterator(TEXTS, trainer)
    values = json.loads(tokenizer.to_str())["model"]
    vocabulary = dict(values["vocab"])
    if clip:  # every byte may end a word
        vocabulary |= {
            f"{one}</w>": len(vocabulary) + place for place, one in enumerate(one for one in alphabet if f"{one}</w>" not in vocabulary)
        }
    merges = [tuple(merge) for merge in values["merges"]]
    tokenizer.model = models.BPE(vocabulary, merges, **suffix)
    ends = [(last, vocabulary[last]), (first, vocabulary[first])]
    tokenizer.post_processor = processors.RobertaProcessing(*ends, add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    files = {
        "tokenizer.json": tokenizer.to_str(),
        "vocab.json": json.dumps(vocabulary),
        "merges.txt": "#version: 0.2\n" + "\n".join(" ".join(merge) for merge in merges) + "\n",
    }
    return files, [encoding.ids for encoding in tokenizer.encode_batch(TEXTS)]


def character_pairs():
    """The tokenizer.json of SigLIP 2 with few characters and merges, and the ids of lower-cased texts.

    Its `Lowercase` is that of the class in Transformers; the published file has none.
    """
    special, whole = ["<pad>", "<eos>", "<bos>", "<unk>"], ["\n", "\n\n", "<3"]
    replace = normalizers.Replace(" ", "▁")
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), replace])
    tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")  # no merge over a space behind a letter
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=special, limit_alphabet=70, show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    values = json.loads(tokenizer.to_str())["model"]
    merges = [tuple(merge) for merge in values["merges"]] + [("▁", "▁")]
    pieces = [*special, *whole, *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += [piece for piece in [*values["vocab"], "▁▁"] if piece not in pieces]
    numbers = {piece: number for number, piece in enumerate(pieces)}
    tokenizer.model = models.BPE(numbers, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", numbers["<eos>"])])
    tokenizer.add_special_tokens(special)
    tokenizer.add_tokens([AddedToken(one, normalized=False) for one in whole])
    ids = [encoding.ids for encoding in tokenizer.encode_batch(TEXTS)]
    tokenizer.normalizer = replace
    return {"tokenizer.json": tokenizer.to_str()}, ids


def sentencepiece_model(texts):
    """A unigram model with the small table of characters, as bytes."""
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as rules:
        entries = [(source, target) for target, sources in RULES.items() for source in sources]
        entries += [(source, target) for target, source in COMPOSED.items()]
        rules.write("".join(f"{' '.join(f'{ord(one):X}' for one in a)}\t{' '.join(f'{ord(one):X}' for one in b)}\n" for a, b in entries))
        rules.flush()
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=model,
            vocab_size=330,
            hard_vocab_limit=False,
            character_coverage=0.98,
            normalization_rule_tsv=rules.name,
            minloglevel=2,
        )
    return model.getvalue()


def unigram(model, siglip):
    """The tokenizer.json of XLM-RoBERTa or SigLIP of a SentencePiece model, and the ids by SentencePiece.

    The library `tokenizers` gives the same, except for characters that SentencePiece composes: it replaces grapheme clusters of less than
    six bytes only, and of a cluster the first part that its table has.
    """
    from sentencepiece import sentencepiece_model_pb2

    read = sentencepiece_model_pb2.ModelProto()
    read.ParseFromString(model)
    pieces = [(piece.piece, piece.score) for piece in read.pieces]
    special = [] if siglip else [(name, 0.0) for name in ("<s>", "<pad>", "</s>", "<unk>")]
    pieces = pieces if siglip else [*special, *pieces[3:], ("<mask>", 0.0)]
    tokenizer = Tokenizer(models.Unigram(pieces, 0 if siglip else 3, byte_fallback=False))
    charsmap = normalizers.Precompiled(read.normalizer_spec.precompiled_charsmap)
    metaspace = pre_tokenizers.Metaspace("▁", "always")
    if siglip:
        blanks = [normalizers.Replace(Regex(PUNCTUATION), ""), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
        tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *blanks, charsmap])
        tokenizer.pre_tokenizer = metaspace
        frame, names = "$A </s>", ["<unk>", "<s>", "</s>"]
    else:
        tokenizer.normalizer = normalizers.Sequence([charsmap, normalizers.Replace(Regex(" {2,}"), " ")])
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), metaspace])
        frame, names = "<s> $A </s>", ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    numbers = {piece: number for number, (piece, _) in enumerate(pieces)}
    framing = [(name, numbers[name]) for name in ("<s>", "</s>") if name in frame]
    tokenizer.post_processor = processors.TemplateProcessing(single=frame, special_tokens=framing)
    tokenizer.add_special_tokens(names)
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    if siglip:  # as Transformers prepares texts; the library lower-cases one by one, so that a Greek final sigma is not one
        texts = [" ".join(re.sub(PUNCTUATION, "", "".join(map(str.lower, text))).split()) for text in TEXTS]
        ids = [[*row, 2] for row in processor.encode(texts)]
    else:
        ids = [[0, *(3 if number == 0 else number + 1 for number in row), 2] for row in processor.encode(TEXTS)]
    library = [encoding.ids for encoding in tokenizer.encode_batch(TEXTS)]
    assert [text for text, one, other in zip(TEXTS, ids, library, strict=True) if one != other] == [TEXTS[16]]
    return {"tokenizer.json": tokenizer.to_str()}, ids


def main():
    entries = {"texts": TEXTS}
    for name, clip in (("roberta", False), ("clip", True)):
        files, ids = byte_pairs(clip)
        entries[name] = {"files": files, "ids": ids}
    for name, siglip in (("xlm-roberta", False), ("siglip", True)):
        texts = [text.lower() for text in TEXTS] if siglip else TEXTS
        model = sentencepiece_model(texts)
        files, ids = unigram(model, siglip)
        entries[name] = {"files": files, "model": base64.b64encode(model).decode(), "ids": ids}
    files, ids = character_pairs()
    entries["siglip2"] = {"files": files, "ids": ids}
    path = Path(__file__).with_name("published_tokenizers.json")
    path.write_text(json.dumps(entries, separators=(",", ":"), ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
