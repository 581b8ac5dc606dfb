"""Features of other programs in, stores for other programs out."""
