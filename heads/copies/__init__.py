"""Copies: videos and parts of videos that show the same recording, by the rows of two videos along a line of time."""
