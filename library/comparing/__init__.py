"""Recipes: what a training of one tells, and several of them compared."""
