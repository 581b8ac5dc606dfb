"""Figures: comparisons of runs, and the figures of named protocols."""
