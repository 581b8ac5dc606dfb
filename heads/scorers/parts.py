"""Parts: score a few videos at a time, if each video is compared with every text of every class."""

from collections.abc import Callable

import torch
from torch import Tensor

PART = 64  # videos


def in_parts(score: Callable[..., Tensor], *of_videos: Tensor) -> Tensor:
    """Return score(...) of tensors (B, ...), (B, C), computed 64 videos at a time, so its memory does not grow with B.

    An exported model scores all at once: its file would keep the number of parts of the example, and allow no larger B.
    """
    if torch.compiler.is_exporting():
        return score(*of_videos)
    parts = zip(*(each.split(PART) for each in of_videos), strict=True)
    return torch.cat([score(*part) for part in parts])
