"""Randomness: draw from a seed and leave the random state of the process unchanged."""

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def drawn_from(seed: int, *, device: torch.device) -> Iterator[None]:
    """Make torch draw from `seed` inside the block, on the CPU and on `device`. Restore its random state afterwards."""
    if device.type == "cuda":
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            torch.manual_seed(seed)
            yield
    else:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            yield
