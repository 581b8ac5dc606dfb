"""Adapting: train inside the last blocks of an encoder, on the tokens that a store keeps of the frames."""
