"""Changes of an index: enrolled classes, thresholds, and updates to a store that has changed."""
