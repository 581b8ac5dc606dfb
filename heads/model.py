"""Model: a head, followed by a classifier or a scorer."""

import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.confidence.scaling import Scaling
from framebank.heads.masking import masked_mean
from framebank.heads.scorers.scorer import Scorer, reads_of
from framebank.heads.temporal.head import MixesFrames


class Model(nn.Module):
    """Turn frames into class scores: normalise the frames (if `frame_norm`), then head, then classifier.

    The store keeps frames without normalisation. By default they are made unit here before the head, so that each frame
    counts the same in a mean, whatever its norm. ActionCLIP pools them as they are. `head_mix` is the share of the
    plain mean of the frames in the pooled embedding (both are made unit). It ties what a head learned from few classes
    to what CLIP knew about all of them. This is the interpolation of Open-VCLIP (arXiv 2302.00624), of outputs in place
    of weights. `live` turns what the store keeps of the frames, (B, T, ...), into their embeddings (B, T, D), and is
    trained with the rest.
    """

    def __init__(
        self,
        head: nn.Module,
        classifier: nn.Module,
        *,
        frame_norm: bool = True,
        head_mix: float = 0.0,
        live: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.live = live
        self.head = head
        self.classifier = classifier
        self.scaling: Scaling | None = None  # used by `scaled`; it is not one of the weights
        self.frame_norm = frame_norm
        self.head_mix = head_mix
        reads = reads_of(classifier)
        if reads.head_frames and not isinstance(head, MixesFrames):
            raise ValueError("the scorer reads the frames that the head makes, and this head makes none")
        self.reads_frames = isinstance(classifier, Scorer)
        self.reads_pooled = reads.pooled
        self.reads_head_frames = reads.head_frames

    def frames(self, x: Tensor) -> Tensor:
        """Return what the head sees: stored frames x (B, T, D) of any float type as float32, unit if `frame_norm`."""
        x = x.float() if self.live is None else self.live(x)
        return F.normalize(x, dim=-1) if self.frame_norm else x

    def pool(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Pool the result of `frames`, (B, T, D), with mask (B, T) true for real frames -> (B, D)."""
        pooled: Tensor = self.head(frames, mask)
        if not self.head_mix:
            return pooled
        mean = F.normalize(masked_mean(frames, mask), dim=-1)
        return F.normalize(pooled, dim=-1).lerp(mean, self.head_mix)

    def score(self, frames: Tensor, mask: Tensor, pooled: Tensor | None) -> Tensor:
        """Score frames (B, T, D) and their pooled embedding (B, D), or None if it is not read -> logits (B, C)."""
        if self.reads_head_frames and isinstance(self.head, MixesFrames):
            frames, mask = self.head.mix(frames, mask)
        logits: Tensor = self.classifier(frames, mask, pooled) if self.reads_frames else self.classifier(pooled)
        return logits

    def embed(self, x: Tensor, mask: Tensor) -> Tensor:
        """Pool stored frames x (B, T, D) of any float type, mask (B, T) true for real frames -> (B, D) float32."""
        return self.pool(self.frames(x), mask)

    def scaled(self, logits: Tensor, *, multi_label: bool = False) -> Tensor:
        """Return logits (V, C) with calibrated probabilities, if a scaling was fitted; otherwise the same logits."""
        return self.scaling.apply(logits, multi_label=multi_label) if self.scaling else logits

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Score stored frames x (B, T, D), mask (B, T) true for real frames -> logits (B, C)."""
        frames = self.frames(x)
        return self.score(frames, mask, self.pool(frames, mask) if self.reads_pooled else None)
