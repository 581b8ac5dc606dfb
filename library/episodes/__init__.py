"""Few-shot: classes are recognised by a few videos of each, in episodes; matchers are compared and trained."""
