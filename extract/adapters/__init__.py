"""Adapters: what is trained inside the last blocks of an image tower, and the weights that come of it."""
