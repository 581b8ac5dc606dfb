"""Training: recipes, losses put together, the loop, and the run that it leaves."""
