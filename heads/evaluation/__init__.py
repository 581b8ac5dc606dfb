"""Evaluation: what runs and texts are worth, and comparisons of several."""
