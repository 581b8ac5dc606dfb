"""Decoders: frames of a video or a folder, exact to the index."""
