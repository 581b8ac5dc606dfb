"""Randomness: drawing from a seed without a trace in the random state of the process."""

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def drawn_from(seed: int, *, device: torch.device) -> Iterator[None]:
    """Have torch draw from `seed` inside the block, on the CPU and on `device`; outside, the state stays as it was."""
    if device.type == "cuda":
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            torch.manual_seed(seed)
            yield
    else:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            yield
