"""Losses: from a batch to one number."""

LOSSES = ("kl", "ce")
