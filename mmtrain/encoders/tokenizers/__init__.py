"""Tokenizers of pretrained encoders from the files in their folders."""
