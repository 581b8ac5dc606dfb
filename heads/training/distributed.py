"""Ranks: several processes, each with one device, that train one model as one process would.

Each rank draws the same batch from the same seed and pools its share of it. The pooled embeddings are gathered with
gradients, so every loss sees the whole batch, as targets of equal classes require. Then the gradients of the ranks are
averaged. Apart from rounding, this equals the gradient of one device. torchrun starts the ranks.
"""

import os

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_gather

from framebank.heads.model import Model


class Ranks:
    """The rank of a process among `world` processes. If there is one process, every call is a plain one."""

    def __init__(self) -> None:
        self.world = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        self.local = int(os.environ.get("LOCAL_RANK", "0"))

    @property
    def is_first(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0

    def start(self, device: torch.device) -> torch.device:
        """Join the other ranks, and return the device of this rank, of the kind of `device`."""
        if self.world == 1:
            return device
        on_cuda = device.type == "cuda"
        own = torch.device("cuda", self.local) if on_cuda else device
        if not dist.is_initialized():
            dist.init_process_group("nccl" if on_cuda else "gloo", rank=self.rank, world_size=self.world)
        return own

    def stop(self) -> None:
        """Leave the group of ranks."""
        if self.world > 1 and dist.is_initialized():
            dist.destroy_process_group()

    def pool(self, model: Model, frames: Tensor, mask: Tensor) -> Tensor:
        """Pool a batch (B, T, D), mask (B, T), a share on each rank -> (B, D) float32, equal on every rank."""
        if self.world == 1:
            pooled: Tensor = model.pool(frames, mask)
            return pooled.float()
        each = -(-len(frames) // self.world)  # a smaller last share is padded with the first videos
        places = torch.arange(each * self.rank, each * (self.rank + 1), device=frames.device) % len(frames)
        shares = all_gather(model.pool(frames[places], mask[places]).float().contiguous())
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
