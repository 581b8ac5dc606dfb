"""Confidence: calibrated probabilities, measures of their quality, and sets of labels."""
