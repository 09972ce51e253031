"""Architectures for images, sets of images and volumes."""
