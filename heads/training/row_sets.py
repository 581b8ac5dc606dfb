"""RowSets: the pooled rows of several banks that hold many videos in common, each video's once, and batches of them."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from framebank.heads.bank import Bank
from framebank.heads.model import Model
from framebank.heads.predictions import mean_over_groups
from framebank.heads.ranking import best_class
from framebank.heads.training.batches import draw_sequences
from framebank.heads.training.pooled import pooled_bank
from framebank.heads.training.pooled_stack import stacked_rows
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.set_batch import SetBatch
from framebank.heads.training.whitener import whitener_of

FEW = 2.0  # times the rows of a step; to multiply so many costs less than to copy those of a step for each set


class RowSets:
    """The rows of the videos of S banks, as a `pooled_stack` of S sets reads them: (N, W), with their labels (N,).

    A row is what the head of `model` makes of a view and clip, scaled once for its classifier. A bank has up to R of
    them, at its places (S, R). If it has fewer, the last places are filled up.
    """

    def __init__(self, banks: Sequence[Bank], model: Model, *, device: torch.device) -> None:
        self._banks = banks
        self._groups = banks[0].num_groups
        videos = dict.fromkeys(video_id for bank in banks for video_id in bank.video_ids)
        place_of = dict(zip(videos, range(len(videos)), strict=True))
        self._dim = banks[0].x.shape[-1]
        width = stacked_rows(model, torch.empty(1, 1, self._dim)).shape[1]
        self._rows = torch.empty(len(videos) * self._groups, width, device=device)
        self._labels = torch.empty(len(self._rows), dtype=torch.long, device=device)
        self._read = self._rows[:0]  # the memory of what was read last
        places = []
        for bank in banks:
            first = torch.tensor([place_of[video_id] for video_id in bank.video_ids], device=device) * self._groups
            places.append((first[:, None] + torch.arange(self._groups, device=device)).flatten())  # (V*G,)
            self._rows[places[-1]] = stacked_rows(model, pooled_bank(model, bank, device=device).x).to(device)
            self._labels[places[-1]] = bank.target.repeat_interleave(self._groups).to(device)
        self._places = pad_sequence(places, batch_first=True)
        self._are_real = pad_sequence([torch.ones_like(own) for own in places], batch_first=True).float()

    def draw(self, recipe: Recipe, generators: Sequence[torch.Generator]) -> Iterator[SetBatch]:
        """Yield the batches of an epoch, for each bank those that `fit` draws with its generator.

        The rows of a batch are overwritten by the next one. If all rows are few, they are read where they are, and the
        shares say which are in the batch.
        """
        orders = []
        for bank, generator in zip(self._banks, generators, strict=True):
            torch.randint(2**31, (), generator=generator)  # `fit` draws the seed of dropout
            orders.append(draw_sequences(bank, recipe.views, sampler=recipe.sampler, generator=generator))
        order = pad_sequence(orders, batch_first=True, padding_value=-1).to(self._rows.device)  # (S, E)
        every = self._places.gather(1, order.clamp(min=0))
        are_few = len(self._rows) * math.ceil(order.shape[1] / recipe.batch_size) <= FEW * order.shape[1]
        for places, is_real in zip(*(one.split(recipe.batch_size, 1) for one in (every, order >= 0)), strict=True):
            shares = is_real / is_real.sum(1, keepdim=True)  # (S, B)
            if are_few:
                dense = shares.new_zeros(len(places), len(self._rows)).scatter_add_(1, places, shares)
                yield SetBatch(self._rows, self._labels[:, None].expand(-1, len(places)), dense.T)
            else:
                yield SetBatch(self._read_at(places), self._labels[places], shares)

    def _read_at(self, places: Tensor) -> Tensor:
        """Return the rows at places (S, B), (S, B, W)."""
        if len(self._read) < places.numel():
            self._read = self._rows.new_empty(places.numel(), self._rows.shape[1])
        out = self._read[: places.numel()]
        return torch.index_select(self._rows, 0, places.flatten(), out=out).view(*places.shape, -1)

    def read_all(self) -> Tensor:
        """Return the rows of each bank, (S, R, W)."""
        return self._rows[self._places]

    def whiteners(self) -> Tensor:
        """Return the whitener of the rows of each bank, (S, D, D)."""
        rows, device = self._rows.cpu()[:, : self._dim], self._rows.device
        own = zip(self._places.cpu(), self._are_real.cpu().bool(), strict=True)
        return torch.stack([whitener_of(rows[places[is_real]], device=device) for places, is_real in own])

    def judge(self, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return top-1 and cross-entropy of P copies on each bank, (S, P), by scores (S, R, P, C) of all rows.

        The last is the cross-entropy of each video, (S, P, V), 0 for places that are filled up.
        """
        sets, _, copies, _ = scores.shape
        logits = mean_over_groups(scores.transpose(1, 2).flatten(0, 2), self._groups).unflatten(0, (sets, copies, -1))
        target = self._labels[self._places[:, None, :: self._groups]].expand(-1, copies, -1)  # (S, P, V)
        real = self._are_real[:, None, :: self._groups]
        likely = logits.log_softmax(-1).gather(-1, target[..., None]).squeeze(-1)
        right = (best_class(logits) == target) * real
        losses = -(likely * real)
        return right.sum(-1) / real.sum(-1), losses.sum(-1) / real.sum(-1), losses
