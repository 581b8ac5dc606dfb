"""Recipes: what a training reports, and comparisons of several recipes."""
