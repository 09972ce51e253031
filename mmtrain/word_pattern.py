"""What a word is, once, for whoever learns, looks up or counts words: RE2 patterns, as TensorFlow and Arrow both read them."""

LETTERS = r"\p{L}\p{M}\p{N}'"
"""Letters, marks, digits and the apostrophe, of every script."""

WORD = f"[{LETTERS}]+"
BETWEEN_WORDS = f"[^{LETTERS}]+"
