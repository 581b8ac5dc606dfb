"""Upkeep of a store: plans, verdicts, repairs, merges, relabelling."""
