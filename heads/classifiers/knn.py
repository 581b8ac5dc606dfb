"""KnnClassifier: the nearest training videos vote."""

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.class_texts import ClassTexts
from framebank.heads.classifiers.classifier import ClassifierTraits, Fitted
from framebank.heads.classifiers.targets import require_single_labels
from framebank.heads.ranking import nearest_rows
from framebank.store.errors import DataError

MODES = ("uniform", "video", "clip")
PART = 65536  # rows of the bank that are compared at a time


@final
class KnnClassifier(nn.Module, Fitted):
    """Weighted nearest neighbours, as DINO (Caron et al. 2021, arXiv 2104.14294) and TWLV-I (arXiv 2408.11318) test.

    The k rows of the bank with the highest cosine to a video (the first ones if equal) each vote exp(cosine /
    temperature) for their class. The logits are the logarithms of the shares of the votes. If k is above the number of
    rows, all rows vote. `mode` says what a row is if a video was stored in several views and clips: "uniform" takes the
    first only, "video" the mean of their unit embeddings, "clip" each of them, with the video's label. With one view
    and clip, all three are the same. No video is dropped.

    At test, each view and clip of a video votes separately and the shares are averaged, in every mode. So "clip" equals
    TWLV-I's except for one thing: TWLV-I adds up the votes, so a clip with nearer neighbours counts more. In "video",
    TWLV-I also averages the clips of the query video. Nothing is learned in steps (`epochs = 0`): a head that is
    trained with it moves away from the rows.
    """

    traits = ClassifierTraits()
    rows: Tensor
    owners: Tensor

    def __init__(
        self,
        dim: int,
        num_classes: int,
        texts: ClassTexts | None = None,
        *,
        k: int = 200,
        temperature: float = 0.1,
        mode: str = "video",
    ) -> None:
        super().__init__()
        if mode not in MODES:
            raise DataError(f"mode {mode!r} is not known; expected one of {', '.join(MODES)}")
        if k < 1 or not temperature > 0:
            raise DataError(f"k is {k} and temperature {temperature}; expected 1 or more and a temperature above 0")
        self.num_classes = num_classes
        self.k = k
        self.temperature = temperature
        self.mode = mode
        self.register_buffer("rows", torch.zeros(0, dim))  # (R, D), unit
        self.register_buffer("owners", torch.zeros(0, dtype=torch.long))  # (R,), the class of each

    @torch.no_grad()
    def fit(
        self, pooled: Tensor, target: Tensor, *, val: tuple[Tensor, Tensor] | None, groups: Tensor | None = None
    ) -> None:
        """Keep pooled (V, G, D) of target (V,). The validation videos are not used. DataError for several labels."""
        require_single_labels(target, name="knn")
        unit = F.normalize(pooled.float(), dim=-1)
        if self.mode == "uniform":
            unit = unit[:, :1]
        elif self.mode == "video":
            unit = F.normalize(unit.mean(1, keepdim=True), dim=-1)
        device = self.rows.device
        self.owners = target.repeat_interleave(unit.shape[1]).to(device)
        self.rows = unit.flatten(0, 1).to(device)  # (R, D)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Score embeddings (B, D) -> logits (B, C). All are equal if there is no row."""
        cosines, owners = self._nearest(F.normalize(embeddings, dim=-1))
        # The nearest row has a vote of one, so that no exponential overflows.
        votes = ((cosines - cosines[:, :1]) / self.temperature).exp()  # (B, K)
        counted = votes.new_zeros(votes.shape[0], self.num_classes).scatter_add(1, owners, votes)
        return (counted / counted.sum(1, keepdim=True).clamp(min=1e-12)).clamp(min=1e-12).log()

    def _nearest(self, unit: Tensor) -> tuple[Tensor, Tensor]:
        """Return the cosines (B, K) of the nearest rows, highest first, and their classes (B, K)."""
        cosines = unit.new_zeros(unit.shape[0], 0)  # not len(): an exported file would keep that number of videos
        owners = self.owners.new_zeros(unit.shape[0], 0)
        for rows, own in zip(self.rows.split(PART), self.owners.split(PART), strict=True):
            found, place = nearest_rows(unit @ rows.T, self.k)
            cosines = torch.cat([cosines, found], dim=1)
            owners = torch.cat([owners, own[place]], dim=1)
        cosines, order = nearest_rows(cosines, self.k)
        return cosines, owners.gather(1, order)
