"""The embedded default world: clips of a drawn figure, and a tiny CLIP that was trained on such drawings."""
