"""Training: recipes, sums of losses, the training loop, and the run that it writes."""
