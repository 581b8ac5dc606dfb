"""Push: the vectors of an index as points in a vector database, one way: the store stays the truth."""
