"""What changes an index: classes that are enrolled, thresholds, and a store that has moved on."""
