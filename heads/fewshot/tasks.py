"""EpisodeBatches: episodes over a bank, as the frames and texts that train a matcher."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from framebank.heads.bank import Bank
from framebank.heads.fewshot.episodes import Episodes
from framebank.heads.matchers.task import EpisodeBatch, Truth
from framebank.store.prompts import PromptBank


@dataclass(frozen=True)
class EpisodeBatches:
    """Episodes drawn from the videos of a bank, `at_once` in each task; the last task may have fewer.

    Frames keep the norm that they are stored with. If a video has several views and clips, the first is used; with a
    `seed`, a random one for each task. `class_text` (C, D) follows the episodes' labels.
    """

    bank: Bank
    episodes: Episodes
    at_once: int
    device: torch.device
    class_text: Tensor | None = None
    seed: int | None = None

    def __len__(self) -> int:
        return -(-len(self.episodes) // self.at_once)

    def __iter__(self) -> Iterator[EpisodeBatch]:
        """Yield the tasks in the order they were drawn."""
        generator = None if self.seed is None else torch.Generator().manual_seed(self.seed)
        for start in range(0, len(self.episodes), self.at_once):
            yield self._task(slice(start, start + self.at_once), generator)

    def _task(self, chosen: slice, generator: torch.Generator | None) -> EpisodeBatch:
        classes = torch.from_numpy(self.episodes.classes[chosen])  # (E, N)
        query, query_mask = self._frames(self.episodes.query[chosen], generator)
        support, support_mask = self._frames(self.episodes.support[chosen], generator)
        text = None if self.class_text is None else self.class_text[classes.to(self.class_text.device)]  # (E, N, D)
        target = torch.from_numpy(self.episodes.target[chosen]).to(self.device)
        truth = Truth(target, classes.to(self.device), self.class_text)
        return EpisodeBatch(query, support, text, query_mask, support_mask, truth)

    def _frames(self, videos: np.ndarray, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Return the frames of videos (...), (..., T, D) float32, and which of them are real (..., T)."""
        rows = torch.from_numpy(videos) * self.bank.num_groups
        if generator and self.bank.num_groups > 1:
            rows = rows + torch.randint(self.bank.num_groups, rows.shape, generator=generator)
        rows = rows.to(self.bank.device)
        return self.bank.x[rows].to(self.device).float(), self.bank.mask[rows].to(self.device)


def class_texts(prompts: PromptBank | None, labels: tuple[str, ...], *, device: torch.device) -> Tensor | None:
    """Return the unit embedding of each class (C, D), in the order of `labels`, or None without prompts."""
    return None if prompts is None else torch.from_numpy(prompts.select(labels).class_embeddings()).to(device)
