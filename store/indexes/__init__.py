"""Indexes: nearest neighbours on disk, the classes enrolled there, and the store they come from."""
