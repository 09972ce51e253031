"""SentencePiece's table of characters, as `precompiled_charsmap` has it: what is not one is refused."""

import struct

import pytest

from mmtrain.text.tokenizers.unigram import read_replacements


@pytest.mark.parametrize(
    ("table", "what"),
    [
        (b"a", "the table of characters is cut off"),
        (struct.pack("<I", 3) + b"aaaa", "the table of characters has another length than it says"),
        (struct.pack("<I", 400) + b"aaaa", "the table of characters has another length than it says"),
    ],
)
def test_table_of_characters_that_is_damaged(table, what):
    with pytest.raises(ValueError, match=f"^{what}$"):
        read_replacements(table)
