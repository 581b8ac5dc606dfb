"""Asking: runs, an index and texts, one or several of them, are asked for the labels of videos."""
