"""Figures: what runs are worth beside each other, and by a named protocol."""
