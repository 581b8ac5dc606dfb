"""Few-shot recognition: episodes, matchers on them, and training by episodes."""
