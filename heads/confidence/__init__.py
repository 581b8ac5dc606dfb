"""Confidence: probabilities that are as often right as they say, what they are worth, and sets of labels."""
