"""Containers: walks along the structure of a video file, which tell whether all of it is there."""
