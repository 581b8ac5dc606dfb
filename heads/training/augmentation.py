"""Augmentation of stored features, on the device."""

import torch
from torch import Tensor


def mix_videos(
    x: Tensor, mask: Tensor, labels: Tensor, *, alpha: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Blend each video of a batch with another one: x (B, T, ...), mask (B, T), labels (B, C) -> the same shapes.

    This is Mixup (Zhang et al. 2018, arXiv 1710.09412) of frame embeddings, with one share from Beta(alpha, alpha) for
    the batch. A frame is blended if both videos have it; otherwise it stays as it is.
    """
    share = _beta(alpha, generator=generator)
    other = torch.randperm(len(x), generator=generator).to(x.device)
    both = mask & mask[other]  # (B, T)
    weight = torch.where(both, share, 1.0).to(x.dtype).reshape(*both.shape, *[1] * (x.ndim - 2))
    weight = weight.masked_fill((~mask & mask[other]).reshape(weight.shape), 0.0)
    return x.lerp(x[other], 1 - weight), mask | mask[other], labels * share + labels[other] * (1 - share)


def _beta(alpha: float, *, generator: torch.Generator) -> float:
    # numpy's Beta takes no torch generator, so torch draws a seed for it.
    seed = int(torch.randint(2**31, (), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return float(torch.distributions.Beta(alpha, alpha).sample())
