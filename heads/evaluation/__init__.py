"""Evaluation: the scores of runs and texts, and comparisons of several."""
