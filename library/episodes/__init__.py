"""Few-shot: recognise classes from a few videos of each, in episodes; compare and train matchers."""
