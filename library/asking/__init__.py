"""Asking: get the labels of videos from runs, an index and texts, one or several of them."""
