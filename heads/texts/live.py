"""LiveTexts: class embeddings that a text tower, which learns, makes anew of the sentences of the classes."""

from typing import TYPE_CHECKING, final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.texts.text import EmbedsSentences

if TYPE_CHECKING:  # a head does not load h5py
    from framebank.store.prompts import PromptBank


@final
class LiveTexts(nn.Module, EmbedsSentences):
    """The texts of `prompts`, R sentences of C classes, embedded by the last blocks of a text tower, which learn.

    `tail` turns what enters these blocks for a sentence, and the place that is read in the end, into its embedding:
    states (N, L, W), ends (N,) -> (N, D). Class embeddings are made of sentences as prompts make them: for each of P
    templates if `scoring` is "probabilities", otherwise of all together. The given embeddings are not read. The class
    embeddings are kept while the model is in test mode.
    """

    states: Tensor
    ends: Tensor
    first: Tensor
    group: Tensor

    def __init__(self, prompts: "PromptBank", tail: nn.Module, states: Tensor, ends: Tensor, *, scoring: str) -> None:
        super().__init__()
        counts = np.diff(prompts.end, prepend=0)
        self.num_classes = len(counts)
        apart = scoring == "probabilities"
        self.num_templates = len(prompts.templates) if apart else 1
        of_class = torch.from_numpy(np.repeat(np.arange(len(counts)), counts))
        template = torch.from_numpy(prompts.template) if apart else 0
        self.tail = tail
        for name, value in (
            ("states", states),
            ("ends", ends),
            ("first", torch.from_numpy(prompts.end - counts)),
            ("group", template * self.num_classes + of_class),  # (R,), the place among P * C class embeddings
        ):
            self.register_buffer(name, value, persistent=False)
        self._kept: Tensor | None = None

    def require_classes(self, num_classes: int) -> None:
        """Raise ValueError for other classes: their sentences are not here."""
        if num_classes != self.num_classes:
            raise ValueError(f"the sentences of {self.num_classes} classes are here, not those of {num_classes}")

    def train(self, mode: bool = True) -> "LiveTexts":
        """Switch between training and evaluation. Before evaluation, keep the class embeddings."""
        super().train(mode)
        with torch.no_grad():
            self._kept = None if mode else self._class_embeddings()
        return self

    def sentences(self, target: Tensor, places: Tensor) -> Tensor:
        """Return the unit embeddings (B, D) of sentences: number `places` (B,) of the classes `target` (B,)."""
        rows = self.first[target] + places
        return F.normalize(self.tail(self.states[rows], self.ends[rows]), dim=-1)

    def forward(self, embeddings: Tensor, classes: Tensor) -> Tensor:
        """Return unit embeddings (P, N, D) of classes (N,). The given ones (P, N, D) are not read."""
        made = self._class_embeddings() if self._kept is None else self._kept
        return made[:, classes]

    def _class_embeddings(self) -> Tensor:
        unit = F.normalize(self.tail(self.states, self.ends), dim=-1)  # (R, D)
        sums = unit.new_zeros(self.num_templates * self.num_classes, unit.shape[1]).index_add(0, self.group, unit)
        made: Tensor = F.normalize(sums, dim=-1).unflatten(0, (self.num_templates, self.num_classes))
        return made
