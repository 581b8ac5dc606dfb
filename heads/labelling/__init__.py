"""Labelling: neighbours, votes, enrolled classes and their thresholds."""
