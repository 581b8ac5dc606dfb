"""Searching: queries to an index, whether anything in it is near enough, and which seconds of a video are."""
