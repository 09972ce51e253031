"""Tokenizers of pretrained encoders with operations of TensorFlow alone, for tables, requests and exports."""
