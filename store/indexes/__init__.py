"""Indexes: nearest neighbours on disk, the classes enrolled in them, and the store that they come from."""
