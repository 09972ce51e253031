"""Ways in which `role: text` reads a text: words of a vocabulary, hashed n-grams, pieces of an encoder."""
