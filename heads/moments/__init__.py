"""Moments: which stretch of a video fits a query, whether any video fits at all, and where shots end."""
