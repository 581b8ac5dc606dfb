"""Searching: what is asked of an index, whether anything in it is an answer, and which seconds of a video are."""
