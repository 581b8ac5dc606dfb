"""Batches: which videos, views and frames a training sees, as index operations on a bank."""

import torch
from torch import Tensor

from framebank.heads.bank import Bank
from framebank.heads.training.recipe import Recipe


def draw_sequences(bank: Bank, views: str, *, generator: torch.Generator, sampler: str = "shuffle") -> Tensor:
    """Return the rows of x that an epoch trains on, in random order: (V,), or (V*G,) if `views` is "all".

    `views` takes all views and clips of a video, only the "first", or a "random" one for each epoch. The sampler
    "shuffle" gives every video once. "balanced" gives as many videos, drawn so that all classes are equally likely.
    """
    videos = _draw_videos(bank, sampler, generator=generator)
    if bank.num_groups == 1:
        return videos
    if views == "all":
        groups = torch.arange(bank.num_groups)
        rows = (videos[:, None] * bank.num_groups + groups).flatten()  # (V, G) -> (V*G,)
        return rows[torch.randperm(len(rows), generator=generator)]
    if views == "first":
        return videos * bank.num_groups
    return videos * bank.num_groups + torch.randint(bank.num_groups, videos.shape, generator=generator)


def num_examples(train: Bank, recipe: Recipe) -> int:
    """Return the number of rows of x that one epoch trains on."""
    return len(train.x) if recipe.views == "all" else len(train)


def draw_frames(x: Tensor, mask: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Take one random frame of each of `count` equal segments of a batch: (B, T, ...), (B, T) -> (B, count, ...).

    This is TSN's sampling (Wang et al. 2016, arXiv 1608.00859) over the real frames of each video. A video with `count`
    frames or fewer keeps them all. Batches that are no longer than `count` stay as they are.
    """
    if x.shape[1] <= count:
        return x, mask
    order = (~mask).to(torch.uint8).argsort(dim=1, stable=True)  # (B, T), real frames first
    real = mask.sum(1, keepdim=True)  # (B, 1)
    kept = real.clamp(min=1, max=count)
    segment = torch.arange(count, device=x.device)  # (count,)
    first = segment * real // kept  # (B, count)
    width = (segment + 1) * real // kept - first
    place = first + (torch.rand(first.shape, device=x.device) * width).long()
    inside = segment < kept  # (B, count)
    chosen = order.gather(1, place.where(inside, 0))
    rows = torch.arange(len(x), device=x.device)[:, None]
    return x[rows, chosen], mask[rows, chosen] & inside


def _draw_videos(bank: Bank, sampler: str, *, generator: torch.Generator) -> Tensor:
    if sampler == "shuffle":
        return torch.randperm(len(bank), generator=generator)
    labels = bank.labels.cpu()  # (V, C)
    rarity = (labels / labels.sum(0).clamp(min=1)).sum(1)  # (V,)
    return torch.multinomial(rarity, len(bank), replacement=True, generator=generator)
