"""Moments: which stretch of a video a query means, whether anything does, and where the shots end."""
