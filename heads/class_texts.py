"""ClassTexts: what a classifier, a scorer or a loss can read about the texts of its classes."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:  # a head does not load h5py
    from framebank.store.prompts import PromptBank


@dataclass(frozen=True)
class ClassTexts:
    """Unit text embeddings of C classes, and the logit scale that their encoder was trained with.

    matrix       (P, C, D), class embeddings of each of P templates, or of all together (1, C, D)
    rows         (C, R, D), every text of each class by itself, padded with zeros
    counts       (C,) int64, how many of a class's rows are texts
    logit_scale  what a cosine is multiplied with
    sentences    (C,), the first text of each class in words, or none where only embeddings are known
    threshold    the cosine from which their encoder says yes, if it was trained with a sigmoid; else None
    norms        (C,), the mean norm of a class's texts as the encoder gave them; ones where only unit ones are known
    """

    matrix: Tensor
    rows: Tensor
    counts: Tensor
    logit_scale: float
    sentences: tuple[str, ...] = ()
    norms: Tensor = field(default_factory=lambda: torch.ones(0))
    threshold: float | None = None

    def __post_init__(self) -> None:
        """Check the shapes: ValueError."""
        classes, width = self.matrix.shape[1:] if self.matrix.ndim == 3 else (0, 0)
        if self.rows.ndim != 3 or self.rows.shape[::2] != (classes, width) or self.counts.shape != (classes,):
            raise ValueError(
                f"expected matrix (P, C, D), rows (C, R, D) and counts (C,), got {tuple(self.matrix.shape)}, "
                f"{tuple(self.rows.shape)} and {tuple(self.counts.shape)}"
            )

        if not len(self.norms):
            object.__setattr__(self, "norms", self.matrix.new_ones(classes))
        if len(self.norms) != classes:
            raise ValueError(f"expected a norm for each of {classes} classes, or none, got {len(self.norms)}")
        if len(self.sentences) not in (0, classes):
            raise ValueError(f"expected a sentence for each of {classes} classes, or none, got {len(self.sentences)}")

    def __len__(self) -> int:
        return self.matrix.shape[1]

    @classmethod
    def of(cls, prompts: "PromptBank", *, scoring: str) -> "ClassTexts":
        """Read prompts; `scoring` keeps templates apart ("probabilities") or averages them ("embeddings")."""
        matrix = prompts.per_template() if scoring == "probabilities" else prompts.class_embeddings()[None]
        rows, counts = prompts.padded()
        return cls(
            torch.from_numpy(matrix),
            torch.from_numpy(rows),
            torch.from_numpy(counts).long(),
            prompts.logit_scale,
            tuple(prompts.texts[start] for start in (0, *prompts.end[:-1])),
            torch.from_numpy(prompts.norms()),
            None if prompts.logit_bias is None else -prompts.logit_bias / prompts.logit_scale,
        )

    @classmethod
    def of_matrix(cls, matrix: Tensor, *, logit_scale: float = 100.0) -> "ClassTexts":
        """Take class embeddings (C, D) or (P, C, D) of any length, which are all the texts there are."""
        if matrix.ndim not in (2, 3):
            raise ValueError(f"class embeddings are (C, D) or (P, C, D), got {tuple(matrix.shape)}")
        unit = F.normalize(matrix.float(), dim=-1)
        unit = unit if unit.ndim == 3 else unit[None]  # (P, C, D)
        counts = torch.full((unit.shape[1],), len(unit))
        return cls(unit, unit.transpose(0, 1).contiguous(), counts, logit_scale)

    @classmethod
    def blank(cls, num_classes: int, dim: int) -> "ClassTexts":
        """Return zeros, where a checkpoint will bring what was made of the texts."""
        return cls.of_matrix(torch.zeros(num_classes, dim))

    def to(self, device: torch.device) -> "ClassTexts":
        """Return the same on a device."""
        matrix, rows, counts, norms = (each.to(device) for each in (self.matrix, self.rows, self.counts, self.norms))
        return replace(self, matrix=matrix, rows=rows, counts=counts, norms=norms)

    def draw(self, target: Tensor, *, generator: torch.Generator) -> Tensor:
        """Return one text of its class for each video, drawn anew: target (B,) -> (B, D)."""
        return self.rows[target, self.draw_places(target, generator=generator)]

    def draw_places(self, target: Tensor, *, generator: torch.Generator) -> Tensor:
        """Return which of its texts is drawn for each class of target (B,): (B,) int64, anew at each call."""
        place = torch.rand(len(target), generator=generator).to(target.device) * self.counts[target]  # (B,)
        return place.long()
