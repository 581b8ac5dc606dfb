"""Encoders: the frozen towers of a model, and what they are fed."""
