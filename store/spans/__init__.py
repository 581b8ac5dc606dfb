"""Spans: stretches of videos in seconds, functions that join and filter them, and the files that hold them."""
