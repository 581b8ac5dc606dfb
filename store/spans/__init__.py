"""Spans: stretches of videos in seconds, what joins and thins them out, and the files that hold them."""
