"""Ranks: several processes, each with a device, that train one model as one process would.

Each rank draws the same batch from the same seed and pools its share of it; what is pooled is gathered, with gradients,
so that every loss sees the whole batch, as same-class targets must. The gradients of the ranks are then averaged, which
gives that of one device but for rounding. torchrun starts the ranks.
"""

import os

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_gather

from framebank.heads.model import Model


class Ranks:
    """The place of a process among `world`; alone, everything is a plain call."""

    def __init__(self) -> None:
        self.world = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        self.local = int(os.environ.get("LOCAL_RANK", "0"))

    @property
    def is_first(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0

    def start(self, device: torch.device) -> torch.device:
        """Meet the others, and return this rank's own device of that kind."""
        if self.world == 1:
            return device
        on_cuda = device.type == "cuda"
        own = torch.device("cuda", self.local) if on_cuda else device
        if not dist.is_initialized():
            dist.init_process_group("nccl" if on_cuda else "gloo", rank=self.rank, world_size=self.world)
        return own

    def stop(self) -> None:
        """Part from the others."""
        if self.world > 1 and dist.is_initialized():
            dist.destroy_process_group()

    def pool(self, model: Model, frames: Tensor, mask: Tensor) -> Tensor:
        """Pool a batch (B, T, D), mask (B, T), of which each rank does a share -> (B, D), the same on every rank."""
        if self.world == 1:
            return model.pool(frames, mask)
        each = -(-len(frames) // self.world)  # the last rank's share may be smaller: it is padded with the first videos
        places = torch.arange(each * self.rank, each * (self.rank + 1), device=frames.device) % len(frames)
        shares = all_gather(model.pool(frames[places], mask[places]).contiguous())
        return torch.cat(shares)[: len(frames)]  # (B, D)

    def average_gradients(self, *modules: nn.Module) -> None:
        """Replace the gradient of each parameter by its mean over the ranks."""
        if self.world == 1:
            return
        for parameter in (parameter for module in modules for parameter in module.parameters()):
            if parameter.requires_grad:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                dist.all_reduce(parameter.grad)
                parameter.grad /= self.world
